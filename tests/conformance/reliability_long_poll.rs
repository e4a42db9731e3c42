//! Long polls that follow ids: the application is asked again, and told what its client has, when its answer is behind
//! what is published, or when something was missed.
//!
//! Nothing shows that a long poll is held, so most items here have no id: they may be published again and again until
//! the client has its answer.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page, Received, Then, requests_for_a_hold};
use crate::harness::proxy::{recovering, standard, updating};
use crate::harness::publisher::response_item;
use crate::harness::request::{get, request};
use crate::harness::{pushpin_differs, unique};

/// An answer that holds the request on `channels`, as a Grip-Channel header names them.
fn holding(channels: &str) -> Answer {
    Answer::text("timed out\n").header("Grip-Hold", "response").header("Grip-Channel", channels)
}

/// A page that holds as often as one long poll on a new channel asks for it, and then has something to say.
struct Application {
    page: Page,
}

impl Application {
    fn holding(answer: Answer) -> Application {
        Application::holding_often(answer, requests_for_a_hold())
    }

    fn holding_often(answer: Answer, times: usize) -> Application {
        let asked = AtomicUsize::new(0);
        let page = Page::handling(move |request, socket| {
            let changed = Answer::text("asked again\n");
            let holds = asked.fetch_add(1, Ordering::SeqCst) < times;
            let answer = if holds { &answer } else { &changed };
            let _ = socket.write_all(&answer.bytes_for(&request.method));
            Then::KeepOpen
        });
        Application { page }
    }

    /// A client whose request is held.
    fn client(&self) -> Client {
        let client = standard().ask(&get(&self.page.path));
        self.page.await_hold();
        client
    }

    /// The client was answered by being asked for again; that request.
    fn asked_again(&self, client: &mut Client) -> Received {
        assert_eq!(client.response().text(), "asked again\n");
        self.page.request()
    }
}

/// A stream on `channel`, so that its last id is known.
fn witness(channel: &str) -> Client {
    standard().stream(channel)
}

/// An item for long polls and streams.
fn item(channel: &str, id: &str, prev_id: &str) -> Value {
    let content = format!("{id}\n");
    let formats = json!({"http-response": {"body": content}, "http-stream": {"content": content}});
    json!({"channel": channel, "id": id, "prev-id": prev_id, "formats": formats})
}

/// An item for long polls that follows the one with `prev_id`, and has no id itself.
fn after(channel: &str, prev_id: &str) -> Value {
    let mut item = response_item(channel, &format!("after {prev_id}\n"));
    item["prev-id"] = json!(prev_id);
    item
}

fn heard(request: &Received) -> Vec<String> {
    let mut heard: Vec<String> =
        request.headers.all("Grip-Last").iter().map(|value| (*value).to_owned()).collect();
    heard.sort();
    heard
}

#[test]
fn an_item_that_follows_answers_a_held_request() {
    let channel = unique("ch");
    let application = Application::holding(holding(&format!("{channel}; prev-id=1")));
    let mut client = application.client();
    standard().publish_until_answered(&mut client, after(&channel, "1"));
    assert_eq!(client.response().text(), "after 1\n");
}

#[test]
fn an_item_that_does_not_follow_makes_the_application_answer_again() {
    let channel = unique("ch");
    let application = Application::holding(holding(&format!("{channel}; prev-id=1")));
    let mut client = application.client();
    standard().publish_until_answered(&mut client, after(&channel, "2"));
    let again = application.asked_again(&mut client);
    assert_eq!(heard(&again), [format!("{channel}; last-id=1")]);
}

#[test]
fn an_answer_that_is_behind_is_asked_for_again() {
    let channel = unique("ch");
    let mut stream = witness(&channel);
    standard().publish(item(&channel, "5", "4"));
    stream.expect_body("5\n");
    let page = Page::handling({
        let hold = holding(&format!("{channel}; prev-id=3"));
        move |request, socket| {
            let caught_up = Answer::text("caught up\n");
            let answer = if request.headers.has("Grip-Last") { &caught_up } else { &hold };
            let _ = socket.write_all(&answer.bytes_for(&request.method));
            Then::KeepOpen
        }
    });
    let mut client = standard().ask(&request("POST", &page.path).header("X-Mine", "kept").body("a=1"));
    assert_eq!(client.response().text(), "caught up\n");
    let (first, again) = (page.request(), page.request());
    assert_eq!((heard(&first), heard(&again)), (vec![], vec![format!("{channel}; last-id=3")]));
    assert_eq!((again.method.as_str(), again.body.as_slice()), ("POST", &b"a=1"[..]));
    assert_eq!(again.headers.get("X-Mine"), Some("kept"));
}

#[test]
fn an_answer_that_is_not_behind_is_held() {
    let channel = unique("ch");
    let mut stream = witness(&channel);
    standard().publish(item(&channel, "5", "4"));
    stream.expect_body("5\n");
    let application = Application::holding(holding(&format!("{channel}; prev-id=5")));
    let mut client = standard().ask(&get(&application.page.path));
    standard().publish_until_answered(&mut client, after(&channel, "5"));
    assert_eq!(client.response().text(), "after 5\n");
}

#[test]
fn a_hint_says_what_the_client_has_of_each_channel_it_follows() {
    let (one, two, three) = (unique("ch"), unique("ch"), unique("ch"));
    let application = Application::holding(holding(&format!("{one}; prev-id=1, {two}; prev-id=b, {three}")));
    let mut client = application.client();
    let hint = json!({"channel": three, "formats": {"http-response": {"action": "hint"}}});
    standard().publish_until_answered(&mut client, hint);
    let again = application.asked_again(&mut client);
    let mut expected = [format!("{one}; last-id=1"), format!("{two}; last-id=b")];
    expected.sort();
    assert_eq!(heard(&again), expected);
}

#[test]
fn who_follows_nothing_is_said_nothing_of() {
    let channel = unique("ch");
    let application = Application::holding(holding(&channel));
    let mut client = application.client();
    let hint = json!({"channel": channel, "formats": {"http-response": {"action": "hint"}}});
    standard().publish_until_answered(&mut client, hint);
    assert_eq!(heard(&application.asked_again(&mut client)), [] as [&str; 0]);
}

#[test]
fn whoever_does_not_follow_ids_takes_every_item() {
    let channel = unique("ch");
    let application = Application::holding(holding(&channel));
    let mut client = application.client();
    standard().publish_until_answered(&mut client, after(&channel, "2"));
    assert_eq!(client.response().text(), "after 2\n");
}

#[test]
fn an_item_without_a_prev_id_follows_everything() {
    pushpin_differs!("it takes an item without a prev-id for one that does not follow");
    let channel = unique("ch");
    let application = Application::holding(holding(&format!("{channel}; prev-id=1")));
    let mut client = application.client();
    standard().publish_until_answered(&mut client, response_item(&channel, "follows\n"));
    assert_eq!(client.response().text(), "follows\n");
}

#[test]
fn items_for_streams_count_for_long_polls_too() {
    pushpin_differs!(
        "an item that has nothing for long polls leaves them where they were, and so makes them ask"
    );
    let channel = unique("ch");
    let mut stream = witness(&channel);
    let application = Application::holding_often(holding(&format!("{channel}; prev-id=1")), 2);
    let mut client = application.client();
    standard().publish_until_answered(&mut client, after(&channel, "1"));
    assert_eq!(client.response().text(), "after 1\n");
    client.send(get(&application.page.path).bytes());
    application.page.request();
    let mut for_streams = item(&channel, "2", "1");
    for_streams["formats"].as_object_mut().expect("formats").remove("http-response");
    standard().publish(for_streams);
    stream.expect_body("2\n");
    standard().publish(item(&channel, "3", "2"));
    assert_eq!(client.response().text(), "3\n");
}

#[test]
fn recover_makes_every_held_request_ask_again() {
    let channel = unique("ch");
    let application = Application::holding(holding(&format!("{channel}; prev-id=1")));
    let mut client = recovering().ask(&get(&application.page.path));
    application.page.await_hold();
    while {
        let answer = recovering().control(&request("POST", "/recover").body(""));
        assert_eq!((answer.code, answer.text()), (200, "Updated\n"));
        !client.answered_within(Duration::from_millis(100))
    } {}
    assert_eq!(heard(&application.asked_again(&mut client)), [format!("{channel}; last-id=1")]);
}

#[test]
fn a_routes_prefix_is_not_in_what_the_application_hears() {
    let channel = unique("ch");
    let application = Application::holding(holding(&format!("{channel}; prev-id=1")));
    let mut client = standard().ask(&get(&application.page.path).host("prefixed.test"));
    application.page.await_hold();
    standard().publish_until_answered(&mut client, after(&format!("pre-{channel}"), "2"));
    assert_eq!(heard(&application.asked_again(&mut client)), [format!("{channel}; last-id=1")]);
}

#[test]
fn what_came_while_the_application_was_asked_is_at_hand() {
    pushpin_differs!("it asks again, though it had the item");
    let channel = unique("ch");
    let application = Application::holding_often(holding(&format!("{channel}; prev-id=1")), 2);
    let mut client = application.client();
    standard().publish_until_answered(&mut client, after(&channel, "1"));
    assert_eq!(client.response().text(), "after 1\n");
    standard().publish(item(&channel, "2", "1"));
    // The application's answer still ends with 1.
    client.send(get(&application.page.path).bytes());
    assert_eq!(client.response().text(), "2\n");
    application.page.request();
    assert!(application.page.request_so_far().is_none(), "it is asked once");
}

#[test]
fn who_is_first_on_a_channel_is_asked_for_again_if_the_settings_want_that() {
    let application = Application::holding_often(holding(&unique("ch")), 1);
    let mut client = updating().ask(&get(&application.page.path));
    application.page.request();
    application.asked_again(&mut client);
}
