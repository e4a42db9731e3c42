//! Streams with a next link: what the link has is appended, and what it instructs holds from then on.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page, Received, Then};
use crate::harness::proxy::{recovering, standard};
use crate::harness::publisher::stream_item;
use crate::harness::request::{get, request};
use crate::harness::{patience, pushpin_differs, unique};

/// An application with a list of items, 1, 2, and so on. A stream begins with `[opened]` and the count so far; its next
/// link has the items after the one that Grip-Last names.
struct Feed {
    page: Page,
    channel: String,
    items: Arc<AtomicUsize>,
}

impl Feed {
    fn with(items: usize) -> Feed {
        let (channel, items) = (unique("ch"), Arc::new(AtomicUsize::new(items)));
        let (of_page, known) = (channel.clone(), items.clone());
        let page = Page::handling(move |request, socket| {
            let count = known.load(Ordering::SeqCst);
            let body = match request.target.contains("next") {
                true => (last_id(request) + 1..=count).map(|id| format!("{id}\n")).collect(),
                false => "[opened]\n".to_owned(),
            };
            let answer = held(&of_page, count, &body);
            let _ = socket.write_all(&answer.bytes_for(&request.method));
            Then::KeepOpen
        });
        Feed { page, channel, items }
    }

    /// A client that has got the stream's beginning.
    fn client(&self) -> Client {
        self.client_of(standard().ask(&get(&self.page.path)))
    }

    fn client_of(&self, mut client: Client) -> Client {
        client.head();
        client.expect_body("[opened]\n");
        client
    }

    /// One more item; it is not published.
    fn add(&self) -> usize {
        self.items.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// One more item, published.
    fn publish(&self) -> usize {
        let id = self.add();
        standard().publish(self.item(id));
        id
    }

    fn item(&self, id: usize) -> Value {
        let mut item = stream_item(&self.channel, &format!("{id}\n"));
        item["id"] = json!(id.to_string());
        item["prev-id"] = json!((id - 1).to_string());
        item
    }

    /// The next request for the link.
    fn link_request(&self) -> Received {
        loop {
            let request = self.page.request();
            if request.target.contains("next") {
                return request;
            }
        }
    }
}

fn held(channel: &str, count: usize, body: &str) -> Answer {
    Answer::text(body)
        .header("Grip-Hold", "stream")
        .header("Grip-Channel", &format!("{channel}; prev-id={count}"))
        .header("Grip-Link", "<?next=1>; rel=next")
}

fn last_id(request: &Received) -> usize {
    let value = request.headers.get("Grip-Last").expect("Grip-Last");
    value.rsplit('=').next().and_then(|id| id.parse().ok()).expect("a number as the last id")
}

#[test]
fn an_answer_that_holds_nothing_goes_on_with_its_link_until_there_is_none() {
    let page = Page::handling(|request, socket| {
        let part: usize = request.target.rsplit('=').next().and_then(|part| part.parse().ok()).unwrap_or(0);
        let mut answer = Answer::text(&format!("part {part}\n"));
        if part < 3 {
            answer = answer.header("Grip-Link", &format!("<?part={}>; rel=next", part + 1));
        }
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let mut client = standard().ask(&get(&page.path));
    let response = client.response();
    assert_eq!((response.code, response.text()), (200, "part 0\npart 1\npart 2\npart 3\n"));
    assert!(response.headers.starting_with("Grip-").is_empty());
    let next = Page::answering(Answer::text("next\n"));
    assert_eq!(client.send(get(&next.path).bytes()).response().text(), "next\n", "the connection is usable");
}

#[test]
fn a_link_beyond_the_beginning_of_the_routes_path_keeps_its_path() {
    pushpin_differs!("1.36 asks for no link that has no route");
    for (host, beginning) in [("removal.test", "/removed"), ("replacement.test", "/old")] {
        let linked = Page::answering(Answer::text("linked\n"));
        let link = format!("<{}/x?y>; rel=next", linked.path);
        let page = Page::answering(Answer::text("[opened]\n").header("Grip-Link", &link));
        let response = standard().fetch(&get(format!("{beginning}{}", page.path)).host(host));
        assert_eq!(response.text(), "[opened]\nlinked\n", "{host}");
        assert_eq!(linked.request().target, format!("{}/x?y", linked.path), "{host}");
    }
}

#[test]
fn a_link_may_hold_what_its_answer_began() {
    let channel = unique("ch");
    let of_page = channel.clone();
    let page = Page::handling(move |request, socket| {
        let answer = match request.target.contains("next") {
            true => Answer::text("two\n").header("Grip-Hold", "stream").header("Grip-Channel", &of_page),
            false => Answer::text("one\n").header("Grip-Link", "<?next>; rel=next"),
        };
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("one\ntwo\n");
    standard().publish_until_streamed(&mut client, &channel, "three\n");
}

#[test]
fn an_item_that_does_not_follow_is_replaced_by_what_the_link_has() {
    let feed = Feed::with(1);
    let mut client = feed.client();
    feed.publish();
    client.expect_body("2\n");
    feed.add();
    let mut unheard_of = feed.item(feed.add());
    unheard_of["no-seq"] = json!(false);
    // 4 waits for 3, and then goes without it.
    standard().publish(unheard_of);
    client.expect_body("3\n4\n");
    feed.publish();
    client.expect_body("5\n");
}

#[test]
fn an_answer_that_is_behind_goes_on_with_its_link_at_once() {
    let feed = Feed::with(5);
    let mut witness = feed.client();
    feed.publish();
    witness.expect_body("6\n");
    let behind = unique("ch");
    let page = Page::handling({
        let (channel, behind) = (feed.channel.clone(), behind.clone());
        move |request, socket| {
            let answer = match request.target.contains("next") {
                true => held(&channel, 6, &format!("after {}\n", last_id(request))),
                false => held(&channel, 3, &format!("[{behind}]\n")),
            };
            let _ = socket.write_all(&answer.bytes_for(&request.method));
            Then::KeepOpen
        }
    });
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body(format!("[{behind}]\nafter 3\n"));
    standard().publish(feed.item(7));
    client.expect_body("7\n");
}

#[test]
fn a_hint_makes_the_link_be_asked_for() {
    let feed = Feed::with(2);
    let mut client = feed.client();
    feed.add();
    standard().publish(json!({"channel": feed.channel, "formats": {"http-stream": {"action": "hint"}}}));
    client.expect_body("3\n");
    feed.publish();
    client.expect_body("4\n");
}

#[test]
fn a_hint_with_an_id_is_nothing_that_the_client_has() {
    pushpin_differs!("it tells the application that its client has what the hint speaks of");
    let feed = Feed::with(2);
    let mut client = feed.client();
    feed.publish();
    client.expect_body("3\n");
    let mut hint = feed.item(feed.add());
    hint["formats"] = json!({"http-stream": {"action": "hint"}});
    standard().publish(hint);
    client.expect_body("4\n");
    feed.publish();
    client.expect_body("5\n");
}

#[test]
fn a_link_is_asked_for_without_the_clients_headers() {
    let feed = Feed::with(1);
    let ask = get(format!("{}?mine=1", feed.page.path)).header("X-Mine", "1").header("Cookie", "a=b");
    let mut client = feed.client_of(standard().ask(&ask));
    feed.add();
    standard().publish(json!({"channel": feed.channel, "formats": {"http-stream": {"action": "hint"}}}));
    client.expect_body("2\n");
    let request = feed.link_request();
    assert_eq!((request.method.as_str(), request.body.len()), ("GET", 0));
    assert_eq!(request.target, format!("{}?next=1", feed.page.path));
    assert!(!request.headers.has("X-Mine") && !request.headers.has("Cookie"), "{:?}", request.headers);
    assert!(request.headers.has("Grip-Sig") && request.headers.has("Grip-Feature"));
    assert_eq!(request.headers.get("X-Route"), Some("any"), "it goes by the routes");
    assert_eq!(request.headers.all("Grip-Last"), [format!("{}; last-id=1", feed.channel)]);
}

#[test]
fn a_quiet_stream_asks_for_its_link_after_its_timeout() {
    let channel = unique("ch");
    let page = Page::handling({
        let channel = channel.clone();
        move |request, socket| {
            let is_next = request.target.contains("next");
            let answer = Answer::text(if is_next { "next\n" } else { "[opened]\n" })
                .header("Grip-Hold", "stream")
                .header("Grip-Channel", &channel)
                .header("Grip-Link", "<?next=1>; rel=next; timeout=2");
            let _ = socket.write_all(&answer.bytes_for(&request.method));
            Then::KeepOpen
        }
    });
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("[opened]\n");
    let begun = Instant::now();
    client.expect_body("next\nnext\n");
    assert!(begun.elapsed() > Duration::from_millis(2_500), "asked within {:?}", begun.elapsed());
}

#[test]
fn a_link_may_hold_other_channels() {
    let (before, after, both) = (unique("ch"), unique("ch"), unique("ch"));
    let page = Page::handling({
        let (before, after, both) = (before.clone(), after.clone(), both.clone());
        move |request, socket| {
            let (channel, body) = match request.target.contains("next") {
                true => (&after, "moved\n"),
                false => (&before, "[opened]\n"),
            };
            let answer = Answer::text(body)
                .header("Grip-Hold", "stream")
                .header("Grip-Channel", &format!("{channel}, {both}"))
                .header("Grip-Link", "<?next=1>; rel=next");
            let _ = socket.write_all(&answer.bytes_for(&request.method));
            Then::KeepOpen
        }
    });
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("[opened]\n");
    standard().publish_stream(&before, "before\n");
    client.expect_body("before\n");
    standard().publish(json!({"channel": both, "formats": {"http-stream": {"action": "hint"}}}));
    client.expect_body("moved\n");
    // Its subscription is not shown by anything on the wire.
    standard().publish_again_until_streamed(&mut client, &after, "after\n");
    standard().publish(json!([stream_item(&before, "not for it\n"), stream_item(&both, "still\n")]));
    client.expect_body("still\n");
}

#[test]
fn who_has_what_a_link_has_misses_nothing_on_its_channels() {
    pushpin_differs!("it appends what the link has before its subscriptions are in force");
    let before = unique("ch");
    let page = Page::handling({
        let before = before.clone();
        move |request, socket| {
            let (channel, body) = match request.target.split_once("?to=") {
                Some((_, after)) => (after, "moved\n"),
                None => (before.as_str(), "[opened]\n"),
            };
            let answer = Answer::text(body).header("Grip-Hold", "stream").header("Grip-Channel", channel);
            let link = format!("<?to={}>; rel=next", unique("ch"));
            let _ = socket.write_all(&answer.header("Grip-Link", &link).bytes_for(&request.method));
            Then::KeepOpen
        }
    });
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("[opened]\n");
    page.request();
    let mut channel = before;
    for step in 0..20 {
        standard().publish(json!({"channel": channel, "formats": {"http-stream": {"action": "hint"}}}));
        client.expect_body("moved\n");
        let target = page.request().target;
        channel = target.split_once("?to=").map(|(_, to)| to.to_owned()).expect("the link's channel");
        standard().publish_stream(&channel, &format!("{step}\n"));
        client.expect_body(format!("{step}\n"));
    }
}

#[test]
fn a_link_without_anything_to_hold_ends_the_stream() {
    let channel = unique("ch");
    let page = Page::handling({
        let channel = channel.clone();
        move |request, socket| {
            let answer = match request.target.contains("next") {
                true => Answer::text("the end\n"),
                false => held(&channel, 1, "[opened]\n"),
            };
            let _ = socket.write_all(&answer.bytes_for(&request.method));
            Then::KeepOpen
        }
    });
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("[opened]\n");
    standard().publish(json!({"channel": channel, "formats": {"http-stream": {"action": "hint"}}}));
    client.expect_body("the end\n");
    client.expect_body_end();
    let next = Page::answering(Answer::text("next\n"));
    assert_eq!(client.send(get(&next.path).bytes()).response().text(), "next\n");
}

#[test]
fn a_link_that_fails_is_asked_for_again() {
    let asked = AtomicUsize::new(0);
    let page = Page::handling(move |request, socket| {
        let answer = match (request.target.contains("next"), asked.fetch_add(1, Ordering::SeqCst)) {
            (false, _) => Answer::text("one\n").header("Grip-Link", "<?next>; rel=next"),
            (true, 1) => Answer::new(500, "Oops").body("not this"),
            (true, _) => Answer::text("two\n"),
        };
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let response = standard().fetch(&get(&page.path));
    assert_eq!(response.text(), "one\ntwo\n");
}

#[test]
fn a_link_that_would_hold_a_long_poll_cuts_the_stream() {
    pushpin_differs!("it ends the stream as if it were whole");
    let channel = unique("ch");
    let page = Page::handling(move |request, socket| {
        let answer = match request.target.contains("next") {
            true => Answer::text("").header("Grip-Hold", "response").header("Grip-Channel", &channel),
            false => Answer::text("one\n").header("Grip-Link", "<?next>; rel=next"),
        };
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let mut client = standard().ask(&get(&page.path));
    client.head();
    assert_eq!(client.expect_body_cut(), b"one\n");
}

#[test]
fn recover_makes_streams_ask_for_their_links() {
    let feed = Feed::with(1);
    let mut client = feed.client_of(recovering().ask(&get(&feed.page.path)));
    feed.add();
    let answer = recovering().control(&request("POST", "/recover").body(""));
    assert_eq!((answer.code, answer.text()), (200, "Updated\n"));
    client.expect_body("2\n");
}

#[test]
fn streams_with_the_same_link_ask_for_it_together() {
    let feed = Feed::with(1);
    let mut clients: Vec<Client> = (0..12).map(|_| feed.client()).collect();
    feed.publish();
    clients.iter_mut().for_each(|client| client.expect_body("2\n"));
    feed.add();
    standard().publish(feed.item(feed.add()));
    clients.iter_mut().for_each(|client| client.expect_body("3\n4\n"));
    let requests = std::iter::from_fn(|| feed.page.request_so_far());
    let of_links = requests.filter(|request| {
        request.target.contains("next")
            && request.headers.get("Grip-Last").is_some_and(|it| it.ends_with("=2"))
    });
    let count = of_links.count();
    assert!(count <= 4, "{count} requests for 12 streams");
}

#[test]
fn what_comes_while_a_link_is_asked_for_is_not_lost() {
    pushpin_differs!("now and then it loses or repeats an item that crosses the link's answer");
    let feed = Feed::with(1);
    let mut client = feed.client();
    for _ in 0..10 {
        standard().publish(json!({"channel": feed.channel, "formats": {"http-stream": {"action": "hint"}}}));
        for _ in 0..5 {
            feed.publish();
        }
    }
    let all: String = (2..=51).map(|id| format!("{id}\n")).collect();
    client.expect_body(all);
}

#[test]
fn an_application_is_told_when_a_stream_is_gone() {
    pushpin_differs!("1.36 knows no gone links");
    let channel = unique("ch");
    let page = Page::answering(
        Answer::text("[opened]\n")
            .header("Grip-Hold", "stream")
            .header("Grip-Channel", &channel)
            .header("Grip-Link", "<?gone=1>; rel=gone"),
    );
    for ends in ["leaves", "is closed"] {
        let mut client = standard().ask(&get(&page.path));
        client.head();
        client.expect_body("[opened]\n");
        page.request();
        match ends {
            "leaves" => drop(client),
            _ => standard()
                .publish(json!({"channel": channel, "formats": {"http-stream": {"action": "close"}}})),
        }
        let told = page.request();
        assert_eq!((told.method.as_str(), told.body.len()), ("POST", 0), "{ends}");
        assert_eq!(told.target, format!("{}?gone=1", page.path));
    }
}

#[test]
fn an_application_is_told_when_a_long_poll_is_over_and_not_when_it_asks_again() {
    pushpin_differs!("1.36 knows no gone links");
    let channel = unique("ch");
    let page = Page::answering(
        Answer::text("")
            .header("Grip-Hold", "response")
            .header("Grip-Channel", &channel)
            .header("Grip-Link", "<?gone=1>; rel=gone"),
    );
    let client = standard().ask(&get(&page.path));
    page.request();
    let deadline = Instant::now() + patience();
    let mut methods = HashSet::new();
    while !methods.contains("GET") && Instant::now() < deadline {
        standard().publish(json!({"channel": channel, "formats": {"http-response": {"action": "hint"}}}));
        methods.extend(page.request_so_far().map(|request| request.method));
    }
    assert!(!methods.contains("POST"), "told too early");
    drop(client);
    while page.request().method != "POST" {}
}
