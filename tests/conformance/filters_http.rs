//! Filters that ask an application about each item: http-check, which lets it pass or not, and http-modify, which may
//! give it other content. Pushpin has them from version 2 on.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page, Received, Then};
use crate::harness::proxy::standard;
use crate::harness::publisher::{response_item, stream_item};
use crate::harness::request::{get, request};
use crate::harness::websocket::{Application, control_event, text_event};
use crate::harness::{pushpin_differs, unique};

macro_rules! not_in_1_36 {
    () => {
        pushpin_differs!("1.36 has no filters that ask an application")
    };
}

/// An application that is asked: it answers what the body says.
fn obedient() -> Page {
    Page::handling(|request, socket| {
        let _ = socket.write_all(&obey(request).bytes_for(&request.method));
        Then::KeepOpen
    })
}

fn obey(request: &Received) -> Answer {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    match text.trim() {
        "drop" => Answer::text("").header("Action", "drop"),
        "keep" => Answer::new(204, "No Content"),
        "fail" => Answer::new(500, "Internal Server Error").body("failed\n"),
        "large" => Answer::text(&"x".repeat(100_001)),
        "empty" => Answer::text(""),
        _ => Answer::text(&format!("changed: {text}")),
    }
}

/// A client of a stream on `channels`, whose filters ask at `url`.
fn opened(channels: &str, url: &str) -> Client {
    let answer = Answer::text("[opened]\n")
        .header("Grip-Hold", "stream")
        .header("Grip-Channel", channels)
        .header("Grip-Set-Meta", &format!("user=alice, url=\"{url}\""));
    let mut client = standard().ask(&get(&Page::answering(answer).path));
    client.head();
    client.expect_body("[opened]\n");
    client
}

fn publish_all(channel: &str, contents: &[&str]) {
    let items: Vec<Value> =
        contents.iter().map(|content| stream_item(channel, &format!("{content}\n"))).collect();
    standard().publish(json!(items));
}

#[test]
fn an_application_may_change_keep_or_drop_what_is_published() {
    not_in_1_36!();
    let (channel, application) = (unique("ch"), obedient());
    let mut client = opened(&format!("{channel}; filter=http-modify"), &application.path);
    publish_all(&channel, &["one", "drop", "keep", "empty", "two"]);
    client.expect_body("changed: one\nkeep\nchanged: two\n");
}

#[test]
fn what_fails_is_not_delivered_and_what_follows_is() {
    not_in_1_36!();
    let (channel, application) = (unique("ch"), obedient());
    let mut client = opened(&format!("{channel}; filter=http-modify"), &application.path);
    publish_all(&channel, &["fail", "large", "one"]);
    client.expect_body("changed: one\n");
    let nowhere = unique("ch");
    for url in ["", "ftp://elsewhere/", "http://127.0.0.1:1/"] {
        let channels = format!("{nowhere}; filter=http-check, {channel}");
        let mut client = opened(&channels, url);
        standard().publish_stream(&nowhere, "unchecked\n");
        standard().publish_stream(&channel, "plain\n");
        client.expect_body("plain\n");
    }
}

#[test]
fn the_application_is_told_who_and_what_it_is_about() {
    not_in_1_36!();
    let (channel, application) = (unique("ch"), obedient());
    let url = format!("{}?a=b", application.path);
    let mut client = opened(&format!("{channel}; filter=http-modify"), &url);
    let mut item = stream_item(&channel, "news\n");
    item["meta"] = json!({"sender": "bob", "note": "\u{e9}\n"});
    standard().publish(item);
    client.expect_body("changed: news\n");
    let request = application.request();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", url.as_str()));
    assert_eq!(request.body, b"news\n");
    let meta = |name: &str| -> Value {
        serde_json::from_str(request.headers.get(name).expect("variables")).expect("they are JSON")
    };
    assert_eq!(meta("Sub-Meta"), json!({"user": "alice", "url": url}));
    assert_eq!(meta("Pub-Meta"), json!({"sender": "bob", "note": "\u{e9}\n"}));
    assert!(request.headers.has("Grip-Sig") && !request.headers.has("Grip-Last"));
}

#[test]
fn a_check_sends_no_content_and_changes_none() {
    not_in_1_36!();
    let channel = unique("ch");
    let application = Page::handling(|request, socket| {
        let sender = request.headers.get("Pub-Meta").expect("variables").contains("bob");
        let action = if sender { "drop" } else { "accept" };
        let _ = socket.write_all(&Answer::text("ignored").header("Action", action).bytes_for("POST"));
        Then::KeepOpen
    });
    let mut client = opened(&format!("{channel}; filter=http-check"), &application.path);
    let mut dropped = stream_item(&channel, "of bob\n");
    dropped["meta"] = json!({"sender": "bob"});
    standard().publish(json!([dropped, stream_item(&channel, "of others\n")]));
    client.expect_body("of others\n");
    let request = application.request();
    assert_eq!((request.body.len(), request.headers.get("Content-Length")), (0, Some("0")));
}

#[test]
fn other_filters_decide_before_and_after() {
    not_in_1_36!();
    let (channel, application) = (unique("ch"), obedient());
    let filters = "filter=skip-self; filter=http-modify; filter=var-subst";
    let mut client = opened(&format!("{channel}; {filters}"), &application.path);
    let mut own = stream_item(&channel, "own\n");
    own["meta"] = json!({"sender": "alice"});
    standard().publish(json!([own, stream_item(&channel, "for %(user)s\n")]));
    client.expect_body("changed: for alice\n");
    assert_eq!(application.request().body, b"for %(user)s\n", "what is skipped is not asked about");
}

/// An application that answers when it is told to.
struct Slow {
    page: Page,
    go_on: Sender<()>,
}

impl Slow {
    fn new() -> Slow {
        let (go_on, wait): (Sender<()>, Receiver<()>) = channel();
        let wait = Arc::new(Mutex::new(wait));
        let page = Page::handling(move |request, socket| {
            let _ = wait.lock().expect("one at a time").recv();
            let _ = socket.write_all(&obey(request).bytes_for(&request.method));
            Then::KeepOpen
        });
        Slow { page, go_on }
    }

    fn answer(&self) {
        self.go_on.send(()).expect("the application waits");
    }
}

#[test]
fn what_comes_meanwhile_waits_and_others_do_not() {
    not_in_1_36!();
    let (slow, other, application) = (unique("ch"), unique("ch"), Slow::new());
    let channels = format!("{slow}; filter=http-modify, {other}; filter=var-subst");
    let mut client = opened(&channels, &application.page.path);
    let mut plain = opened(&slow, "");
    publish_all(&slow, &["one"]);
    // Several channels have no order among them: the client's core must have the second when the third is published.
    let items = json!({"items": [stream_item(&slow, "two\n")]}).to_string();
    let receipt = standard().control(&request("POST", "/publish/?receipt=true").body(items));
    assert_eq!(receipt.code, 200);
    plain.expect_body("one\ntwo\n");
    application.page.request();
    // It waits behind what came before, though nobody need be asked about it.
    standard().publish_stream(&other, "three for %(user)s\n");
    plain.expect_body("");
    application.answer();
    client.expect_body("changed: one\n");
    application.answer();
    client.expect_body("changed: two\nthree for alice\n");
}

#[test]
fn a_client_that_leaves_while_an_application_is_asked_is_forgotten() {
    not_in_1_36!();
    let (channel, application) = (unique("ch"), Slow::new());
    let client = opened(&format!("{channel}; filter=http-modify"), &application.page.path);
    publish_all(&channel, &["one", "two"]);
    application.page.request();
    drop(client);
    let mut next = opened(&format!("{channel}; filter=skip-self"), "");
    application.answer();
    publish_all(&channel, &["three"]);
    next.expect_body("three\n");
    assert!(application.page.request_so_far().is_none(), "nobody is asked about what nobody gets");
}

#[test]
fn a_close_is_asked_about_too() {
    not_in_1_36!();
    let channel = unique("ch");
    let application = Page::answering(Answer::text("content that a close has no use for"));
    let mut client = opened(&format!("{channel}; filter=http-modify"), &application.path);
    standard().publish(json!([{"channel": channel, "formats": {"http-stream": {"action": "close"}}}]));
    client.expect_body_end();
    assert!(application.request().body.is_empty());
}

#[test]
fn a_long_poll_is_answered_with_what_passes() {
    not_in_1_36!();
    let (channel, application) = (unique("ch"), obedient());
    let answer = Answer::text("timed out\n")
        .header("Grip-Hold", "response")
        .header("Grip-Channel", &format!("{channel}; filter=http-modify"))
        .header("Grip-Set-Meta", &format!("url={}", application.path));
    let mut client = standard().ask(&get(&Page::answering(answer).path));
    let items = ["drop\n", "fail\n", "news\n", "late\n"].map(|body| response_item(&channel, body));
    standard().publish_until_answered(&mut client, json!(items));
    assert_eq!(client.response().text(), "changed: news\n");
}

#[test]
fn a_websocket_asks_by_a_url_of_its_own() {
    not_in_1_36!();
    let (channel, application) = (unique("ch"), obedient());
    let controls = [
        json!({"type": "set-meta", "name": "url", "value": application.path}),
        json!({"type": "subscribe", "channel": channel, "filters": ["http-modify"]}),
    ];
    let events: String = controls.into_iter().map(control_event).collect();
    let opening = format!("OPEN\r\n{events}{}", text_event("m:welcome"));
    let events = Application::answering(move |_| opening.clone());
    let mut over_http = standard().open("sockets.test", &events.page.path);
    over_http.expect_text("welcome");
    let message =
        |content: &str| json!({"channel": channel, "formats": {"ws-message": {"content": content}}});
    standard().publish(json!([message("drop"), message("one"), message("keep")]));
    over_http.expect_text("changed: one");
    over_http.expect_text("keep");
    let asked = application.request();
    assert_eq!((asked.method.as_str(), asked.body.as_slice()), ("POST", &b"drop"[..]));
}

#[test]
fn ids_go_on_with_what_was_decided_and_not_with_what_waits() {
    not_in_1_36!();
    let (channel, application) = (unique("ch"), Slow::new());
    let (of_page, url) = (channel.clone(), application.page.path.clone());
    let page = Page::handling(move |request, socket| {
        let last = request.headers.get("Grip-Last").unwrap_or_default().to_owned();
        let (channels, body) = match request.target.contains("next") {
            false => {
                (format!("{of_page}; prev-id=1; filter=http-modify; filter=build-id"), "[opened]\n".into())
            }
            true => (format!("{of_page}; prev-id=6"), format!("{last}\n")),
        };
        let answer = Answer::text(&body)
            .header("Grip-Hold", "stream")
            .header("Grip-Channel", &channels)
            .header("Grip-Set-Meta", &format!("url={url}, id_format=%({of_page})s"))
            .header("Grip-Link", "<?next>; rel=next");
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("[opened]\n");
    let item = |id: usize, content: &str| {
        let mut item = stream_item(&channel, &format!("{content}\n"));
        (item["id"], item["prev-id"]) = (json!(id.to_string()), json!((id - 1).to_string()));
        item
    };
    standard().publish(json!([item(2, "id %I"), item(3, "drop")]));
    let asked = application.page.request();
    assert_eq!(asked.headers.get("Grip-Last"), Some(format!("{channel}; last-id=1").as_str()));
    application.answer();
    client.expect_body("changed: id 2\n");
    application.answer();
    application.page.request();
    // 4 waits for its decision when it is clear that 5 is missing; the link has both.
    standard().publish(item(4, "waits"));
    application.page.request();
    standard().publish(item(6, "without 5"));
    client.expect_body(format!("{channel}; last-id=3\n"));
    application.answer();
    standard().publish(item(7, "seven"));
    client.expect_body("seven\n");
}

#[test]
fn no_more_than_a_hundred_messages_wait() {
    not_in_1_36!();
    let (channel, application) = (unique("ch"), Slow::new());
    let mut client = opened(&format!("{channel}; filter=http-modify"), &application.page.path);
    let mut witness = opened(&channel, "");
    let numbers: Vec<String> = (0..105).map(|number| number.to_string()).collect();
    let all: Vec<&str> = numbers.iter().map(String::as_str).collect();
    publish_all(&channel, &all);
    witness.expect_body("0\n");
    witness.expect_body(all[1..].iter().map(|number| format!("{number}\n")).collect::<String>());
    for number in &all[..100] {
        application.answer();
        client.expect_body(format!("changed: {number}\n"));
    }
    publish_all(&channel, &["last"]);
    application.answer();
    client.expect_body("changed: last\n");
}

#[test]
fn who_follows_ids_gets_from_the_link_what_cannot_wait() {
    not_in_1_36!();
    let (channel, application) = (unique("ch"), Slow::new());
    let (of_page, url) = (channel.clone(), application.page.path.clone());
    let page = Page::handling(move |request, socket| {
        let last = request.headers.get("Grip-Last").unwrap_or_default().to_owned();
        let (channels, body) = match request.target.contains("next") {
            false => (format!("{of_page}; prev-id=0; filter=http-check"), "[opened]\n".into()),
            true => (format!("{of_page}; prev-id=105"), format!("{last}\n")),
        };
        let answer = Answer::text(&body)
            .header("Grip-Hold", "stream")
            .header("Grip-Channel", &channels)
            .header("Grip-Set-Meta", &format!("url={url}"))
            .header("Grip-Link", "<?next>; rel=next");
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("[opened]\n");
    let item = |id: usize| {
        let mut item = stream_item(&channel, &format!("{id}\n"));
        (item["id"], item["prev-id"]) = (json!(id.to_string()), json!((id - 1).to_string()));
        item
    };
    standard().publish(Value::Array((1..=105).map(item).collect()));
    client.expect_body(format!("{channel}; last-id=0\n"));
    standard().publish(item(106));
    client.expect_body("106\n");
}
