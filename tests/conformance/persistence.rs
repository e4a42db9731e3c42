//! Client connections: when they stay open, when they close, requests sent ahead of answers.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::harness::origin::{Answer, Page, Then};
use crate::harness::patience;
use crate::harness::proxy::standard;
use crate::harness::pushpin_differs;
use crate::harness::request::{get, request};

#[test]
fn a_connection_serves_one_request_after_another() {
    let page = Page::answering(Answer::text("again\n"));
    let mut client = standard().connect();
    for turn in 0..5 {
        let target = format!("{}?turn={turn}", page.path);
        assert_eq!(client.send(get(&target).bytes()).response().text(), "again\n");
        assert_eq!(page.request().target, target);
    }
}

#[test]
fn connection_close_is_answered_with_close_and_obeyed() {
    let page = Page::answering(Answer::text("bye\n"));
    let mut client = standard().ask(&get(&page.path).header("Connection", "close"));
    let response = client.response();
    assert_eq!(response.text(), "bye\n");
    assert!(response.headers.lists("Connection", "close"));
    client.expect_closed();
}

#[test]
fn connection_close_is_found_among_others() {
    closes_after("X-Other, close");
    closes_after("close,X-Other");
}

#[test]
fn connection_close_is_found_in_any_case() {
    pushpin_differs!("condure compares Connection's tokens with regard to case; RFC 9110 section 7.6.1");
    closes_after("Close");
}

fn closes_after(connection: &str) {
    let page = Page::answering(Answer::text("bye\n"));
    let mut client = standard().ask(&get(&page.path).header("Connection", connection));
    assert_eq!(client.response().text(), "bye\n");
    client.expect_closed();
}

#[test]
fn an_http_1_0_request_without_a_host_is_served() {
    let page = Page::answering(Answer::text("old\n"));
    let mut client = standard().connect();
    assert_eq!(client.send(format!("GET {} HTTP/1.0\r\n\r\n", page.path)).response().text(), "old\n");
}

#[test]
fn an_empty_line_before_a_request_is_ignored() {
    let page = Page::answering(Answer::text("here\n"));
    let mut client = standard().connect();
    for _ in 0..2 {
        assert_eq!(client.send("\r\n").send(get(&page.path).bytes()).response().text(), "here\n");
    }
}

#[test]
fn an_http_1_0_connection_closes_after_the_answer() {
    let page = Page::answering(Answer::text("old\n"));
    let mut client = standard().ask(&get(&page.path).http_1_0());
    assert_eq!(client.response().text(), "old\n");
    client.expect_closed();
}

#[test]
fn an_http_1_0_connection_stays_open_if_asked_to() {
    let page = Page::answering(Answer::text("old\n"));
    let mut client = standard().connect();
    for _ in 0..2 {
        let response =
            client.send(get(&page.path).http_1_0().header("Connection", "keep-alive").bytes()).response();
        assert_eq!(response.text(), "old\n");
        assert!(response.headers.lists("Connection", "keep-alive"), "an HTTP/1.0 client must be told");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let slow = Page::handling(move |_, socket| {
        let _ = released.lock().expect("the signal").recv_timeout(patience());
        let _ = socket.write_all(&Answer::text("slow\n").bytes_for("GET"));
        Then::KeepOpen
    });
    let quick = Page::answering(Answer::text("quick\n"));
    let mut client = standard().connect();
    let requests =
        [get(&slow.path), get(&quick.path), request("POST", &quick.path).body("body"), get(&quick.path)];
    client.send(requests.iter().flat_map(|request| request.bytes()).collect::<Vec<u8>>());
    slow.request();
    release.send(()).expect("the handler waits");
    let answers: Vec<String> = (0..4).map(|_| client.response().text().to_owned()).collect();
    assert_eq!(answers, ["slow\n", "quick\n", "quick\n", "quick\n"]);
    let methods: Vec<String> = (0..3).map(|_| quick.request().method).collect();
    assert_eq!(methods, ["GET", "POST", "GET"]);
}

#[test]
fn a_pipelined_request_after_close_is_not_answered() {
    let page = Page::answering(Answer::text("only\n"));
    let mut client = standard().connect();
    let mut bytes = get(&page.path).header("Connection", "close").bytes();
    bytes.extend(get(&page.path).bytes());
    assert_eq!(client.send(bytes).response().text(), "only\n");
    client.expect_closed();
    page.request();
    assert!(page.request_so_far().is_none());
}

#[test]
fn a_request_that_comes_byte_by_byte_is_served() {
    let page = Page::answering(Answer::text("patient\n"));
    let mut client = standard().connect();
    for byte in request("POST", &page.path).header("X-Slow", "yes").body("slow body").bytes() {
        client.send([byte]);
    }
    assert_eq!(client.response().text(), "patient\n");
    let received = page.request();
    assert_eq!((received.body.as_slice(), received.headers.get("X-Slow")), (&b"slow body"[..], Some("yes")));
}

#[test]
fn a_client_that_leaves_mid_request_disturbs_nobody() {
    let page = Page::answering(Answer::text("fine\n"));
    let mut leaver = standard().connect();
    leaver.send(format!("POST {} HTTP/1.1\r\nHost: any.test\r\nContent-Length: 100\r\n\r\nhalf", page.path));
    drop(leaver);
    assert_eq!(standard().fetch(&get(&page.path)).text(), "fine\n");
}

#[test]
fn refused_connections_cost_those_that_come_after_them_nothing() {
    let page = Page::answering(Answer::text("yours\n"));
    for round in 0..300 {
        let mut refused = standard().connect();
        // It leaves without waiting for its answer.
        refused.send("no request\r\n\r\n");
        drop(refused);
        assert_eq!(standard().fetch(&get(&page.path)).text(), "yours\n", "round {round}");
    }
}
