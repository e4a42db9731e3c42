//! Pages of another origin (`aco`): CORS headers that the application does not say itself, and JSON-P.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::client::{Client, Response};
use crate::harness::headers::Headers;
use crate::harness::origin::{Answer, Page, Then, requests_for_a_hold};
use crate::harness::proxy::{between, standard};
use crate::harness::publisher::response_item;
use crate::harness::request::{get, request};
use crate::harness::{pushpin_differs, unique};

const HOST: &str = "cross.test";

/// What a script calls its function with, if it calls `function`.
fn called_with(response: &Response, function: &str) -> Value {
    assert_eq!(response.code, 200);
    assert_eq!(response.headers.get("Content-Type"), Some("application/javascript"));
    let text = response.text();
    let argument = text.strip_prefix(&format!("/**/{function}(")).and_then(|text| text.strip_suffix(");\n"));
    serde_json::from_str(argument.unwrap_or_else(|| panic!("no call of {function}: {text:?}"))).expect("JSON")
}

fn fetch(target: &str) -> Response {
    standard().fetch(&get(target).host(HOST))
}

fn allowances(headers: &Headers) -> Vec<&str> {
    let names = ["Methods", "Headers", "Credentials", "Origin"];
    names.iter().filter_map(|name| headers.get(&format!("Access-Control-Allow-{name}"))).collect()
}

#[test]
fn any_page_may_have_an_answer() {
    let page = Page::answering(Answer::text("x").header("X-Own", "1").header("ETag", "\"e\""));
    let response = fetch(&page.path);
    let methods = "OPTIONS, HEAD, GET, POST, PUT, DELETE";
    assert_eq!(allowances(&response.headers), [methods, "true", "*"]);
    assert_eq!(response.headers.get("Access-Control-Max-Age"), Some("3600"));
    assert!(response.headers.lists("Access-Control-Expose-Headers", "X-Own"));
    assert!(!response.headers.lists("Access-Control-Expose-Headers", "Content-Type"));
}

#[test]
fn what_a_browser_asks_for_is_allowed_and_its_question_reaches_the_application() {
    let page = Page::answering(Answer::new(204, "No Content"));
    let asked = request("OPTIONS", &page.path)
        .host(HOST)
        .header("Origin", "http://page.test")
        .header("Access-Control-Request-Method", "PATCH")
        .header("Access-Control-Request-Headers", "X-A, X-B")
        .header("Access-Control-Request-Headers", "X-C");
    let response = standard().fetch(&asked);
    assert_eq!(response.code, 204);
    assert_eq!(allowances(&response.headers), ["PATCH", "X-A, X-B, X-C", "true", "http://page.test"]);
    assert_eq!(page.request().method, "OPTIONS");
}

#[test]
fn what_the_application_allows_itself_stands() {
    let own = Answer::text("x").header("Access-Control-Allow-Origin", "http://own.test");
    let page = Page::answering(own.header("Access-Control-Expose-Headers", "X-Own"));
    let response = fetch(&page.path);
    assert_eq!(response.headers.all("Access-Control-Allow-Origin"), ["http://own.test"]);
    assert_eq!(response.headers.all("Access-Control-Expose-Headers"), ["X-Own"]);
    assert_eq!(response.headers.get("Access-Control-Allow-Credentials"), Some("true"));
}

#[test]
fn nothing_is_allowed_on_other_routes_unless_it_is_on_all() {
    let page = Page::answering(Answer::text("x"));
    assert!(standard().fetch(&get(&page.path)).headers.starting_with("Access-Control-").is_empty());
    let response = between().fetch(&get(&page.path));
    assert_eq!(response.headers.get("Access-Control-Allow-Origin"), Some("*"));
}

#[test]
fn a_failure_may_be_seen_too() {
    let response = standard().fetch(&get("/").host("cross-down.test"));
    assert_eq!((response.code, response.text()), (502, "Error while proxying to origin.\n"));
    assert_eq!(response.headers.get("Access-Control-Allow-Origin"), Some("*"));
    let response = standard().fetch(&get("/?callback=f").host("cross-down.test"));
    let said = called_with(&response, "f");
    assert_eq!((&said["code"], &said["reason"]), (&json!(502), &json!("Bad Gateway")));
    assert_eq!(said["body"], json!("Error while proxying to origin.\n"));
}

#[test]
fn an_answer_that_was_held_may_be_seen() {
    let (page, channel) = held();
    let mut client = standard().ask(&get(&page.path).host(HOST).header("Origin", "http://page.test"));
    standard().publish_until_answered(&mut client, response_item(&channel, "published\n"));
    let response = client.response();
    assert_eq!(response.text(), "published\n");
    assert_eq!(response.headers.get("Access-Control-Allow-Origin"), Some("http://page.test"));
}

#[test]
fn a_stream_may_be_seen_whatever_function_it_names() {
    let channel = unique("ch");
    let page = Page::answering(
        Answer::text("opened\n").header("Grip-Hold", "stream").header("Grip-Channel", &channel),
    );
    let mut client = standard().ask(&get(format!("{}?callback=f", page.path)).host(HOST));
    assert_eq!(client.head().headers.get("Access-Control-Allow-Origin"), Some("*"));
    client.expect_body("opened\n");
}

/// A page whose answer is held for messages on a channel.
fn held() -> (Page, String) {
    let channel = unique("ch");
    let answer = Answer::text("nothing\n").header("Grip-Hold", "response").header("Grip-Channel", &channel);
    (Page::answering(answer.header("X-Held", "1")), channel)
}

#[test]
fn a_script_says_all_of_an_answer() {
    let answer = Answer::new(404, "Not Found").header("X-Own", "\"1\"").header("Cache-Control", "no-store");
    let page = Page::answering(answer.body("say \"ä\"\\\n"));
    let response = fetch(&format!("{}?callback=page.f&x=1", page.path));
    let said = called_with(&response, "page.f");
    assert_eq!((&said["code"], &said["reason"]), (&json!(404), &json!("Not Found")));
    assert_eq!(said["headers"]["X-Own"], json!("\"1\""));
    assert_eq!(said["body"], json!("say \"ä\"\\\n"));
    assert_eq!(response.headers.get("Cache-Control"), Some("no-store"));
    assert!(!response.headers.has("X-Own"));
    assert_eq!(page.request().target, format!("{}?x=1", page.path));
}

#[test]
fn a_script_asks_with_the_method_headers_and_body_of_its_query() {
    let page = Page::answering(Answer::text("x"));
    let headers = "%7b%22X-New%22:%22n%22,%22Host%22:%22h%22%7d";
    let query = format!("callback=f&_method=PATCH&_headers={headers}&_body=two%20words");
    let response = standard().fetch(
        &get(format!("{}?{query}", page.path)).host(HOST).header("Accept", "text/x").header("X-Own", "o"),
    );
    assert_eq!(called_with(&response, "f")["body"], json!("x"));
    let received = page.request();
    assert_eq!((received.method.as_str(), &received.target), ("PATCH", &page.path));
    assert_eq!(received.body, b"two words");
    let headers = received.headers;
    assert_eq!((headers.get("X-New"), headers.get("X-Own")), (Some("n"), Some("o")));
    assert_eq!((headers.get("Host"), headers.all("Accept")), (Some(HOST), vec!["*/*"]));
}

#[test]
fn only_a_get_asks_for_a_script() {
    let page = Page::answering(Answer::text("plain\n"));
    let posted = request("POST", format!("{}?callback=f", page.path)).host(HOST).body("b");
    assert_eq!(standard().fetch(&posted).text(), "plain\n");
    assert_eq!(page.request().target, format!("{}?callback=f", page.path));
}

#[test]
fn a_basic_script_is_the_body() {
    let page = Page::answering(Answer::text("{\"a\": [1,\n2]}\n"));
    let response = standard().fetch(&get(format!("{}?cb=f", page.path)).host("cross-basic.test"));
    assert_eq!(called_with(&response, "f"), json!({"a": [1, 2]}));
    let received = page.request();
    assert_eq!((received.method.as_str(), received.body.as_slice()), ("POST", &b""[..]));
}

#[test]
fn a_body_may_be_enough_to_ask_for_a_script() {
    let page = Page::answering(Answer::text("x"));
    let response = standard().fetch(&get(format!("{}?b=%7b%7d&k=1", page.path)).host("cross-body.test"));
    assert_eq!(called_with(&response, "dcb")["body"], json!("x"));
    let received = page.request();
    assert_eq!((received.method.as_str(), received.body.as_slice()), ("PUT", &b"{}"[..]));
    assert_eq!(received.headers.get("Content-Type"), Some("application/json"));
    assert_eq!(received.target, format!("{}?k=1", page.path));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (query, name) in [
        ("callback=", "callback"),
        ("callback=f&_headers=%7b", "_headers"),
        ("callback=f&_headers=%7b%22a%22:1%7d", "_headers"),
    ] {
        let response = fetch(&format!("/?{query}"));
        assert_eq!((response.code, response.text()), (400, &*format!("Invalid {name} parameter.\n")));
        assert_eq!(response.headers.get("Access-Control-Allow-Origin"), Some("*"));
    }
}

#[test]
fn a_function_is_a_name_and_a_method_is_a_token() {
    pushpin_differs!("any text is taken for a function and for a method");
    for (query, name) in [("callback=alert(1);f", "callback"), ("callback=f&_method=P%20X", "_method")] {
        let response = fetch(&format!("/?{query}"));
        assert_eq!((response.code, response.text()), (400, &*format!("Invalid {name} parameter.\n")));
    }
}

#[test]
fn a_script_does_not_send_events_of_websockets() {
    let events = "_headers=%7b%22Content-Type%22:%22application/websocket-events%22%7d&_method=POST&_body=x";
    let response = between().fetch(&get(format!("/?callback=f&{events}")).host("sockets.test"));
    assert_eq!(called_with(&response, "f")["code"], json!(403));
}

#[test]
fn a_held_request_is_answered_with_a_script_and_the_connection_goes_on() {
    let (page, channel) = held();
    let mut client = standard().ask(&get(format!("{}?callback=f&_body=b", page.path)).host(HOST));
    let item = json!({"channel": channel, "formats": {"http-response": {
        "code": 201, "reason": "Made", "headers": {"X-Own": "1"}, "body": "say \"it\"\n",
    }}});
    standard().publish_until_answered(&mut client, item);
    let said = called_with(&client.response(), "f");
    assert_eq!((&said["code"], &said["reason"]), (&json!(201), &json!("Made")));
    assert_eq!((&said["headers"]["X-Own"], &said["headers"]["X-Held"]), (&json!("1"), &json!("1")));
    assert_eq!(said["body"], json!("say \"it\"\n"));
    let plain = Page::answering(Answer::text("second\n"));
    let after: &mut Client = client.send(get(&plain.path).host(HOST).bytes());
    assert_eq!(after.response().text(), "second\n");
}

#[test]
fn a_hint_asks_again_as_the_script_meant() {
    let channel = unique("ch");
    let hold = Answer::text("nothing\n").header("Grip-Hold", "response").header("Grip-Channel", &channel);
    let asked_so_far = AtomicUsize::new(0);
    let page = Page::handling(move |request, socket| {
        let first = asked_so_far.fetch_add(1, Ordering::SeqCst) < requests_for_a_hold();
        let answer = if first { hold.clone() } else { Answer::text("changed\n") };
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let target = format!("{}?callback=f&_method=PUT&_body=b", page.path);
    let mut client = standard().ask(&get(target).host(HOST));
    page.await_hold();
    let hint = json!({"channel": channel, "formats": {"http-response": {"action": "hint"}}});
    standard().publish_until_answered(&mut client, hint);
    assert_eq!(called_with(&client.response(), "f")["body"], json!("changed\n"));
    let again = page.request();
    assert_eq!((again.method.as_str(), again.body.as_slice()), ("PUT", &b"b"[..]));
}
