//! What a client gets when the origin cannot be reached, breaks, or gives instructions that make no sense.
//!
//! Before an answer has begun the client gets a 502 with a short text, which says more on a server or route with
//! `debug`; after, the connection is cut, so that nobody takes the part for the whole.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::harness::client::Response;
use crate::harness::origin::{Answer, Page, Then};
use crate::harness::proxy::{debugging, standard};
use crate::harness::request::{get, request};
use crate::harness::routing::dead_address;
use crate::harness::{patience, pushpin_differs, unique};

fn assert_generic_502(response: &Response) {
    assert_eq!((response.code, response.reason.as_str()), (502, "Bad Gateway"));
    assert_eq!(response.text(), "Error while proxying to origin.\n");
    assert_eq!(response.headers.get("Content-Type"), Some("text/plain"));
    assert_eq!(response.headers.get("Content-Length"), Some("32"));
}

#[test]
fn an_origin_that_is_down_is_a_502() {
    assert_generic_502(&standard().fetch(&get("/").host("down.test")));
}

#[test]
fn targets_that_are_all_down_are_a_502() {
    assert_generic_502(&standard().fetch(&get("/").host("both-down.test")));
}

#[test]
fn a_502_leaves_the_connection_usable() {
    let page = Page::answering(Answer::text("next\n"));
    let mut client = standard().connect();
    assert_generic_502(&client.send(get("/").host("down.test").bytes()).response());
    assert_eq!(client.send(get(&page.path).bytes()).response().text(), "next\n");
}

#[test]
fn a_502_to_a_post_leaves_the_connection_usable() {
    let page = Page::answering(Answer::text("next\n"));
    let mut client = standard().connect();
    assert_generic_502(
        &client.send(request("POST", "/").host("down.test").body("unsent").bytes()).response(),
    );
    assert_eq!(client.send(get(&page.path).bytes()).response().text(), "next\n");
}

#[test]
fn a_502_to_an_http_1_0_client_ends_with_the_connection() {
    let mut client = standard().ask(&get("/").host("down.test").http_1_0());
    assert_generic_502(&client.response());
    client.expect_closed();
}

#[test]
fn a_server_in_debug_names_the_targets_it_tried() {
    let response = debugging().fetch(&get("/").host("both-down.test"));
    let dead = dead_address();
    assert_eq!(response.code, 502);
    assert_eq!(response.text(), format!("Unable to connect to any targets. Tried: {dead}, {dead}\n"));
}

#[test]
fn a_route_in_debug_names_the_targets_it_tried() {
    let response = standard().fetch(&get("/").host("informative.test"));
    assert_eq!(response.code, 502);
    assert_eq!(response.text(), format!("Unable to connect to any targets. Tried: {}\n", dead_address()));
}

#[test]
fn an_origin_that_speaks_no_http_is_a_502() {
    let page = Page::sending_raw("SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\nmore of the same\r\n");
    assert_generic_502(&standard().fetch(&get(&page.path)));
}

#[test]
fn an_origin_that_closes_before_it_answers_is_a_502() {
    let page = Page::sending_raw("");
    assert_generic_502(&standard().fetch(&get(&page.path)));
}

#[test]
fn an_origin_that_closes_within_its_head_is_a_502() {
    pushpin_differs!("zurl takes a head cut short for a whole one, and the client gets \"HTTP/1.1 0 OK\"");
    let page = Page::sending_raw("HTTP/1.1 200 OK\r\nContent-Le");
    assert_generic_502(&standard().fetch(&get(&page.path)));
}

#[test]
fn an_answer_cut_short_of_its_length_cuts_the_connection() {
    pushpin_differs!(TAKEN_FOR_WHOLE);
    cut_after_its_beginning("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun");
}

#[test]
fn an_answer_cut_between_its_chunks_cuts_the_connection() {
    pushpin_differs!(TAKEN_FOR_WHOLE);
    cut_after_its_beginning("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n");
}

#[test]
fn an_answer_cut_within_a_chunk_cuts_the_connection() {
    pushpin_differs!(TAKEN_FOR_WHOLE);
    cut_after_its_beginning("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nbegun");
}

#[test]
fn an_answer_whose_chunks_turn_to_nonsense_cuts_the_connection() {
    pushpin_differs!(TAKEN_FOR_WHOLE);
    broken_after_its_beginning(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n",
        "nonsense\r\n",
    );
}

fn cut_after_its_beginning(begin: &'static str) {
    broken_after_its_beginning(begin, "");
}

/// What Pushpin makes of an answer that breaks off.
const TAKEN_FOR_WHOLE: &str =
    "zurl takes what came for the whole: a clean end, or a wait for the rest that never ends";

/// The origin breaks off only once the client has the beginning, so that nothing but a cut can tell it.
fn broken_after_its_beginning(begin: &'static str, then: &'static str) {
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let page = Page::handling(move |_, socket| {
        let _ = socket.write_all(begin.as_bytes());
        let _ = released.lock().expect("the signal").recv_timeout(patience());
        let _ = socket.write_all(then.as_bytes());
        Then::Close
    });
    let mut client = standard().ask(&get(&page.path));
    assert_eq!(client.head().code, 200);
    client.expect_body("begun");
    release.send(()).expect("the handler waits");
    assert_eq!(client.expect_body_cut(), b"");
}

#[test]
fn an_unknown_hold_is_a_502() {
    let page = Page::answering(
        Answer::text("x").header("Grip-Hold", "forever").header("Grip-Channel", &unique("ch")),
    );
    assert_generic_502(&standard().fetch(&get(&page.path)));
}

#[test]
fn an_unknown_hold_is_explained_in_debug() {
    let page = Page::answering(
        Answer::text("x").header("Grip-Hold", "forever").header("Grip-Channel", &unique("ch")),
    );
    explained_in_debug(&page, "Grip-Hold must be set to either 'response' or 'stream'");
}

#[test]
fn an_instruct_with_another_status_than_200_is_a_502() {
    let page = Page::answering(instruct(201, "Created", r#"{"hold":{"channels":[{"name":"x"}]}}"#));
    assert_generic_502(&standard().fetch(&get(&page.path)));
}

#[test]
fn an_instruct_with_another_status_is_explained_in_debug() {
    let page = Page::answering(instruct(201, "Created", r#"{"hold":{"channels":[{"name":"x"}]}}"#));
    explained_in_debug(&page, "response code for application/grip-instruct content must be 200");
}

#[test]
fn an_instruct_that_is_no_json_is_a_502() {
    let page = Page::answering(instruct(200, "OK", "{hold"));
    assert_generic_502(&standard().fetch(&get(&page.path)));
}

#[test]
fn an_instruct_that_is_no_json_is_explained_in_debug() {
    let page = Page::answering(instruct(200, "OK", "{hold"));
    explained_in_debug(&page, "failed to parse application/grip-instruct content as JSON");
}

#[test]
fn a_hold_with_an_unknown_mode_is_explained_in_debug() {
    let page =
        Page::answering(instruct(200, "OK", r#"{"hold":{"mode":"forever","channels":[{"name":"x"}]}}"#));
    explained_in_debug(&page, "hold 'mode' must be set to either 'response' or 'stream'");
}

#[test]
fn a_hold_without_channels_is_explained_in_debug() {
    let page = Page::answering(instruct(200, "OK", r#"{"hold":{"mode":"stream"}}"#));
    explained_in_debug(&page, "hold does not contain 'channels'");
}

#[test]
fn a_channel_without_a_name_is_explained_in_debug() {
    let page = Page::answering(instruct(200, "OK", r#"{"hold":{"mode":"stream","channels":[{}]}}"#));
    explained_in_debug(&page, "channel does not contain 'name'");
}

fn instruct(code: u16, reason: &str, body: &str) -> Answer {
    Answer::new(code, reason).header("Content-Type", "application/grip-instruct").body(body)
}

fn explained_in_debug(page: &Page, why: &str) {
    let response = debugging().fetch(&get(&page.path));
    assert_eq!(response.code, 502);
    assert_eq!(response.text(), format!("Failed to parse accept instructions: {why}\n"));
}

#[test]
fn a_held_answer_beyond_100_kilobytes_is_a_502() {
    let page = Page::answering(
        Answer::text("x")
            .header("Grip-Hold", "response")
            .header("Grip-Channel", &unique("ch"))
            .body(vec![b'x'; 100_001]),
    );
    assert_generic_502(&standard().fetch(&get(&page.path)));
}

#[test]
fn a_failure_within_an_answer_to_head_has_no_body() {
    pushpin_differs!("the failure's text is written after the head of an answer to HEAD");
    let mut client = standard().ask(&request("HEAD", "/").host("down.test"));
    assert_eq!(client.response().code, 502);
    let page = Page::answering(Answer::text("next\n"));
    assert_eq!(client.send(get(&page.path).bytes()).response().text(), "next\n", "still in step");
}
