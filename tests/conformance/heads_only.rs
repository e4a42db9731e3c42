//! Streams whose client gets no content, because its request was HEAD or the answer's status has none: nothing is held,
//! and nothing follows the head.

use std::io::Write;

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page, Then};
use crate::harness::proxy::standard;
use crate::harness::publisher::stream_item;
use crate::harness::request::{get, request};
use crate::harness::{pushpin_differs, unique};

/// The next request on the connection is answered, which shows that nothing stood between.
fn goes_on(client: &mut Client) {
    let next = Page::answering(Answer::text("next\n"));
    assert_eq!(client.send(get(&next.path).bytes()).response().text(), "next\n");
}

#[test]
fn a_status_without_content_holds_no_stream() {
    pushpin_differs!("1.36 holds it, and the next request of its client waits");
    for (code, reason) in [(204, "No Content"), (304, "Not Modified")] {
        let channel = unique("ch");
        let hold = Answer::new(code, reason).header("Grip-Hold", "stream").header("Grip-Channel", &channel);
        let page = Page::answering(hold.header("ETag", "\"1\"").header("Grip-Keep-Alive", "x; timeout=1"));
        let mut client = standard().ask(&get(&page.path));
        let response = client.response();
        assert_eq!((response.code, response.headers.get("ETag")), (code, Some("\"1\"")));
        assert!(!response.headers.has("Transfer-Encoding"), "{:?}", response.headers);
        standard().publish(stream_item(&channel, "too late\n"));
        goes_on(&mut client);
    }
}

#[test]
fn an_instruction_in_json_with_such_a_status_holds_no_stream() {
    pushpin_differs!("1.36 holds it, and the next request of its client waits");
    let channel = unique("ch");
    let instruct = format!(
        r#"{{"hold":{{"mode":"stream","channels":[{{"name":"{channel}"}}]}},"response":{{"code":204,"body":"x"}}}}"#
    );
    let answer = Answer::new(200, "OK").header("Content-Type", "application/grip-instruct").body(instruct);
    let mut client = standard().ask(&get(&Page::answering(answer).path));
    let response = client.response();
    assert_eq!((response.code, response.headers.has("Transfer-Encoding")), (204, false));
    standard().publish(stream_item(&channel, "too late\n"));
    goes_on(&mut client);
}

#[test]
fn head_of_a_stream_is_answered_with_its_head() {
    pushpin_differs!("1.36 holds it, and the next request of its client waits");
    let channel = unique("ch");
    let hold = Answer::text("[opened]\n").header("Grip-Hold", "stream").header("Grip-Channel", &channel);
    let page = Page::answering(hold.header("X-A", "1"));
    let mut client = standard().connect();
    let response = client.send(request("HEAD", &page.path).bytes()).response();
    assert_eq!((response.code, response.headers.get("X-A")), (200, Some("1")));
    assert!(!response.headers.has("Content-Length"), "a stream has no length: {:?}", response.headers);
    assert!(response.headers.starting_with("Grip-").is_empty());
    standard().publish(stream_item(&channel, "too late\n"));
    goes_on(&mut client);
}

#[test]
fn head_of_what_goes_on_with_a_link_is_answered_with_its_head() {
    pushpin_differs!("1.36 asks for the link, and sends chunks where the next answer is to be");
    let page = Page::handling(|request, socket| {
        let answer = match request.target.contains("next") {
            true => Answer::text("next\n"),
            false => Answer::text("part\n").header("Grip-Link", "<?next>; rel=next"),
        };
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let mut client = standard().connect();
    let response = client.send(request("HEAD", &page.path).bytes()).response();
    assert_eq!((response.code, response.headers.has("Content-Length")), (200, false));
    page.request();
    goes_on(&mut client);
    assert!(page.request_so_far().is_none(), "the link was asked for");
}

#[test]
fn head_of_an_instruction_in_json_is_answered_with_its_head() {
    pushpin_differs!("1.36 answers 502, as the answer to HEAD has no content");
    let instruct = r#"{"response":{"code":200,"body":"x"}}"#;
    let answer =
        Answer::new(200, "OK").header("Content-Type", "application/grip-instruct").header("X-A", "1");
    let page = Page::answering(answer.body(instruct));
    let mut client = standard().connect();
    let response = client.send(request("HEAD", &page.path).bytes()).response();
    assert_eq!((response.code, response.headers.get("X-A")), (200, Some("1")));
    assert!(!response.headers.has("Content-Type") && !response.headers.has("Content-Length"));
    goes_on(&mut client);
}
