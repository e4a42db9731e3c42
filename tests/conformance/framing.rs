//! Bodies and how they are framed, in both directions: Content-Length, chunks, the connection's end, 100-continue.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::harness::origin::{Answer, Page, Then};
use crate::harness::patience;
use crate::harness::proxy::standard;
use crate::harness::pushpin_differs;
use crate::harness::request::{get, request};

#[test]
fn a_chunked_upload_arrives_whole() {
    let page = Page::answering(Answer::text("got it\n"));
    let mut client = standard().connect();
    client.send(chunked_head(&page.path)).send("4\r\nwiki\r\n5\r\npedia\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "got it\n");
    assert_eq!(page.request().body, b"wikipedia");
}

#[test]
fn chunk_extensions_hexadecimal_sizes_and_trailers_are_understood() {
    let page = Page::answering(Answer::text("got it\n"));
    let mut client = standard().connect();
    client.send(chunked_head(&page.path));
    client.send("A;name=value\r\n0123456789\r\n00b\r\nabcdefghijk\r\n0\r\nX-Trailer: yes\r\n\r\n");
    assert_eq!(client.response().text(), "got it\n");
    let received = page.request();
    assert_eq!(received.body, b"0123456789abcdefghijk");
    assert!(!received.headers.has("X-Trailer"));
    assert_eq!(client.send(get(&page.path).bytes()).response().text(), "got it\n", "still in step");
}

#[test]
fn an_empty_chunked_upload_is_an_empty_body() {
    let page = Page::answering(Answer::text("got it\n"));
    let mut client = standard().connect();
    client.send(chunked_head(&page.path)).send("0\r\n\r\n");
    assert_eq!(client.response().text(), "got it\n");
    assert_eq!(page.request().body, b"");
}

#[test]
fn the_chunked_coding_is_recognised_in_any_case() {
    pushpin_differs!("condure compares Transfer-Encoding's value with regard to case; RFC 9112 section 7");
    let page = Page::answering(Answer::text("got it\n"));
    let mut client = standard().connect();
    client.send(chunked_head(&page.path).replace("chunked", "Chunked")).send("3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "got it\n");
    assert_eq!(page.request().body, b"abc");
}

fn chunked_head(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: any.test\r\nTransfer-Encoding: chunked\r\n\r\n")
}

#[test]
fn an_upload_of_megabytes_arrives_unchanged() {
    let page = Page::answering(Answer::text("got it\n"));
    let body = megabytes(5);
    assert_eq!(standard().fetch(&request("POST", &page.path).body(body.clone())).text(), "got it\n");
    assert!(page.request().body == body, "the bytes differ");
}

#[test]
fn a_chunked_upload_of_megabytes_arrives_unchanged() {
    let page = Page::answering(Answer::text("got it\n"));
    let body = megabytes(3);
    let mut client = standard().connect();
    client.send(chunked_head(&page.path));
    for piece in body.chunks(70_001) {
        client.send(format!("{:x}\r\n", piece.len())).send(piece).send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.response().text(), "got it\n");
    assert!(page.request().body == body, "the bytes differ");
}

#[test]
fn a_download_of_megabytes_arrives_unchanged() {
    let body = megabytes(8);
    let page = Page::answering(Answer::new(200, "OK").body(body.clone()));
    let response = standard().fetch(&get(&page.path));
    assert_eq!(response.headers.get("Content-Length"), Some(body.len().to_string().as_str()));
    assert!(response.body == body, "the bytes differ");
}

/// Bytes of all values that do not repeat at any power of two, so that a lost or doubled block shows.
fn megabytes(count: usize) -> Vec<u8> {
    (0..count * 1_000_000).map(|at| (at % 251) as u8 ^ (at / 65_537) as u8).collect()
}

#[test]
fn a_chunked_answer_arrives_chunked() {
    let page = Page::handling(|_, socket| {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        let _ =
            socket.write_all(&[b"2710\r\n".to_vec(), vec![b'x'; 10_000], b"\r\n0\r\n\r\n".to_vec()].concat());
        Then::KeepOpen
    });
    let mut client = standard().connect();
    for _ in 0..2 {
        let head = client.send(get(&page.path).bytes()).head();
        assert_eq!(head.headers.get("Transfer-Encoding"), Some("chunked"));
        client.expect_body("one");
        client.expect_body(vec![b'x'; 10_000]);
        client.expect_body_end();
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_arrives_whole() {
    let page = Page::sending_raw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end");
    let mut client = standard().connect();
    for _ in 0..2 {
        assert_eq!(client.send(get(&page.path).bytes()).response().text(), "until the end");
    }
}

#[test]
fn an_answer_of_an_http_1_0_origin_arrives_whole() {
    let page = Page::sending_raw("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nfrom the past");
    let response = standard().fetch(&get(&page.path));
    assert_eq!((response.version.as_str(), response.text()), ("HTTP/1.1", "from the past"));
}

#[test]
fn a_chunked_answer_to_an_http_1_0_client_ends_with_the_connection() {
    let page = Page::saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n5\r\npedia\r\n0\r\n\r\n",
    );
    let mut client = standard().ask(&get(&page.path).http_1_0());
    let response = client.response();
    assert!(!response.headers.has("Transfer-Encoding"), "HTTP/1.0 knows no chunks");
    assert_eq!(response.text(), "wikipedia");
}

#[test]
fn an_answer_reaches_the_client_while_the_origin_is_still_writing_it() {
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let page = Page::handling(move |_, socket| {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n");
        let _ = released.lock().expect("the signal").recv_timeout(patience());
        let _ = socket.write_all(b"7\r\nsecond\n\r\n0\r\n\r\n");
        Then::KeepOpen
    });
    let mut client = standard().ask(&get(&page.path));
    assert_eq!(client.head().code, 200);
    client.expect_body("first\n");
    release.send(()).expect("the handler waits");
    client.expect_body("second\n");
    client.expect_body_end();
}

#[test]
fn a_100_continue_is_sent_before_the_body_and_the_expectation_not_forwarded() {
    let page = Page::answering(Answer::text("got it\n"));
    let mut client = standard().connect();
    client.send(format!(
        "POST {} HTTP/1.1\r\nHost: any.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        page.path
    ));
    let interim = client.head();
    assert_eq!((interim.code, interim.reason.as_str()), (100, "Continue"));
    assert!(page.request_so_far().is_none(), "the body has not been sent yet");
    assert_eq!(client.send("body").response().text(), "got it\n");
    let received = page.request();
    assert_eq!(received.body, b"body");
    assert!(!received.headers.has("Expect"));
}

#[test]
fn no_100_continue_is_sent_that_was_not_asked_for() {
    let page = Page::answering(Answer::text("got it\n"));
    assert_eq!(standard().fetch(&request("POST", &page.path).body("body")).code, 200);
}

#[test]
fn an_interim_answer_of_the_origin_is_not_mistaken_for_the_answer() {
    let page = Page::saying(
        "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal",
    );
    let mut client = standard().ask(&get(&page.path));
    let mut head = client.head();
    while head.code / 100 == 1 {
        head = client.head();
    }
    assert_eq!(head.code, 200);
    client.expect_body("final");
    client.expect_body_end();
}

#[test]
fn a_head_of_seven_kilobytes_is_accepted() {
    head_is_accepted(7_000);
}

#[test]
fn a_head_of_sixty_kilobytes_is_accepted() {
    pushpin_differs!("a request head must fit client_buffer_size, 8192 bytes");
    head_is_accepted(60_000);
}

fn head_is_accepted(bytes: usize) {
    let page = Page::answering(Answer::text("read it\n"));
    let value = "v".repeat(bytes);
    assert_eq!(standard().fetch(&get(&page.path).header("X-Long", &value)).text(), "read it\n");
    assert!(page.request().headers.get("X-Long") == Some(&value), "the value differs");
}
