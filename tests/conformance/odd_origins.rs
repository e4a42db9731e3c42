//! Applications that are odd but real: they answer before they have read, say more than they announced, spell names in
//! their own way, or compress what they were asked not to.

use std::io::Write;
use std::net::Shutdown;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::harness::origin::{Answer, Page, Received, Then};
use crate::harness::proxy::{debugging, standard};
use crate::harness::request::{get, request};
use crate::harness::{patience, pushpin_differs};

/// What no request has asked for.
const STRAY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstray\n";

/// Why Pushpin gives it to someone.
const TAKEN_FOR_AN_ANSWER: &str =
    "what comes on a kept connection is the answer to the next request, whoever made that";

/// Held by who has the connections of `apart.test` for itself: whatever comes on one after a request was sent on it is
/// the answer to that, so others' requests must wait until it has come.
static APART: Mutex<()> = Mutex::new(());

/// Requests that are each answered by `answer`, after which the application says something more: each client gets its
/// own.
fn each_client_gets_its_own(method: &str, answer: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) {
    let _apart = APART.lock();
    let (said, has_said) = channel();
    let said = Mutex::new(said);
    let page = Page::handling(move |request, socket| {
        let _ = socket.write_all(&answer(request));
        let _ = socket.write_all(STRAY);
        let _ = said.lock().expect("no panic").send(());
        Then::KeepOpen
    });
    let own = Page::handling(|request, socket| {
        let _ = socket.write_all(&Answer::text(&request.target).bytes_for("GET"));
        Then::KeepOpen
    });
    for turn in 0..30 {
        let first = standard().fetch(&request(method, &page.path).host("apart.test"));
        assert!(!first.text().contains("stray"));
        has_said.recv_timeout(patience()).expect("something more");
        let target = format!("{}?turn={turn}", own.path);
        assert_eq!(standard().fetch(&get(&target).host("apart.test")).text(), target);
    }
}

#[test]
fn what_follows_an_answer_with_a_length_is_nobodys_answer() {
    pushpin_differs!(TAKEN_FOR_AN_ANSWER);
    each_client_gets_its_own("GET", |_| Answer::text("ok\n").bytes_for("GET"));
}

#[test]
fn what_follows_the_last_chunk_is_nobodys_answer() {
    pushpin_differs!(TAKEN_FOR_AN_ANSWER);
    each_client_gets_its_own("GET", |_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n0\r\n\r\n".to_vec()
    });
}

#[test]
fn what_follows_an_answer_without_a_body_is_nobodys_answer() {
    pushpin_differs!(TAKEN_FOR_AN_ANSWER);
    each_client_gets_its_own("GET", |_| Answer::new(204, "No Content").bytes_for("GET"));
    each_client_gets_its_own("GET", |_| Answer::new(304, "Not Modified").bytes_for("GET"));
}

#[test]
fn a_body_after_the_answer_to_head_is_nobodys_answer() {
    pushpin_differs!(TAKEN_FOR_AN_ANSWER);
    each_client_gets_its_own("HEAD", |_| Answer::text("ok\n").bytes_for("GET"));
}

#[test]
fn an_application_that_answers_an_upload_early_is_heard() {
    pushpin_differs!("the answer to a large upload is lost");
    for bytes in [20_000, 1_000_000, 5_000_000] {
        for path in ["/closes", "/ends"] {
            let upload = request("POST", path).host("hasty.test").body(vec![b'x'; bytes]);
            let response = standard().fetch(&upload);
            assert_eq!((response.code, response.text()), (413, "too much\n"), "{bytes} bytes");
        }
    }
}

#[test]
fn an_answer_may_have_hundreds_of_fields() {
    pushpin_differs!("its client gets no answer");
    let page = Page::handling(|_, socket| {
        let fields: String = (0..300).map(|number| format!("X-Field-{number}: {number}\r\n")).collect();
        let _ = write!(socket, "HTTP/1.1 200 OK\r\n{fields}Content-Length: 3\r\n\r\nok\n");
        Then::KeepOpen
    });
    let response = standard().fetch(&get(&page.path));
    assert_eq!(response.text(), "ok\n");
    assert_eq!(response.headers.starting_with("X-Field-").len(), 300);
    assert_eq!(response.headers.get("X-Field-299"), Some("299"));
}

#[test]
fn white_space_before_a_colon_in_an_answer_is_removed() {
    pushpin_differs!("it passes it on; RFC 9112 section 5.1");
    let page = Page::handling(|_, socket| {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nX-Spaced : value\r\nContent-Length : 3\r\n\r\nok\n");
        Then::KeepOpen
    });
    let response = standard().fetch(&get(&page.path));
    assert_eq!((response.text(), response.headers.get("X-Spaced")), ("ok\n", Some("value")));
}

fn names(headers: &[(String, String)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn names_are_spelled_as_who_wrote_them_did() {
    let answer = Answer::text("ok\n").header("x-lower", "1").header("X-SHOUT", "2").header("x-MiXed_Up", "3");
    let page = Page::answering(answer);
    let asked = get(&page.path).header("x-mine", "1").header("X-YOURS", "2").header("x-Ours_Too", "3");
    let response = standard().fetch(&asked);
    for name in ["x-lower", "X-SHOUT", "x-MiXed_Up"] {
        assert!(names(&response.headers.0).contains(&name), "{name} in {:?}", response.headers);
    }
    let received = page.request();
    for name in ["x-mine", "X-YOURS", "x-Ours_Too"] {
        assert!(names(&received.headers.0).contains(&name), "{name} in {:?}", received.headers);
    }
}

#[test]
fn names_of_a_held_answer_are_spelled_as_who_wrote_them_did() {
    let instruct = r#"{"response": {"headers": {"x-lower": "1", "X-SHOUT": "2"}, "body": "ok\n"}}"#;
    let answer = Answer::new(200, "OK").header("Content-Type", "application/grip-instruct").body(instruct);
    let response = standard().fetch(&get(&Page::answering(answer).path));
    for name in ["x-lower", "X-SHOUT"] {
        assert!(names(&response.headers.0).contains(&name), "{name} in {:?}", response.headers);
    }
}

#[test]
fn applications_are_asked_not_to_compress_where_grip_is_spoken() {
    pushpin_differs!("it asks for every coding that curl knows, and decodes every answer");
    let page = Page::answering(Answer::text("ok\n"));
    standard().fetch(&get(&page.path).header("Accept-Encoding", "gzip"));
    assert_eq!(page.request().headers.get("Accept-Encoding"), Some("identity"));
    standard().fetch(&get(&page.path).host("unsigned.test").header("Accept-Encoding", "gzip"));
    assert_eq!(page.request().headers.get("Accept-Encoding"), Some("gzip"));
}

/// `plain\n` in each content coding: gzip and deflate by Python's zlib, br by Node's, zstd by zstd.
const CODED: [(&str, &[u8]); 5] = [
    ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\xc8\x49\xcc\xcc\xe3\x02\x00\xd0\xf9\x15\x39\x06\x00\x00\x00"),
    ("deflate", b"\x78\x9c\x2b\xc8\x49\xcc\xcc\xe3\x02\x00\x08\x67\x02\x1f"),
    ("deflate", b"\x2b\xc8\x49\xcc\xcc\xe3\x02\x00"),
    ("br", b"\x8b\x02\x80\x70\x6c\x61\x69\x6e\x0a\x03"),
    ("zstd", b"\x28\xb5\x2f\xfd\x04\x58\x31\x00\x00\x70\x6c\x61\x69\x6e\x0a\x4e\xa4\x4c\xcd"),
];

#[test]
fn an_instruction_that_is_compressed_all_the_same_is_followed() {
    for (coding, body) in CODED {
        let answer = Answer::new(200, "OK")
            .header("Content-Type", "text/plain")
            .header("Grip-Status", "202 Taken")
            .header("Content-Encoding", coding)
            .body(body);
        let response = standard().fetch(&get(&Page::answering(answer).path));
        assert_eq!((response.code, response.text()), (202, "plain\n"), "{coding}");
        assert_eq!(response.headers.get("Content-Encoding"), None);
    }
}

#[test]
fn an_answer_without_an_instruction_stays_compressed() {
    pushpin_differs!("it decodes every answer, and its clients get more bytes than they asked for");
    for (coding, body) in CODED {
        let answer = Answer::new(200, "OK").header("Content-Encoding", coding).body(body);
        let response = standard().fetch(&get(&Page::answering(answer).path));
        assert_eq!((&response.body[..], response.headers.get("Content-Encoding")), (body, Some(coding)));
    }
}

#[test]
fn an_instruction_that_cannot_be_decoded_says_why() {
    pushpin_differs!("it does not say why");
    let cases = [("gzip", "its body is not gzip"), ("compress", "its Content-Encoding is \"compress\"")];
    for (coding, reason) in cases {
        let answer = Answer::text("plain\n").header("Grip-Status", "202").header("Content-Encoding", coding);
        let page = Page::answering(answer);
        let response = debugging().fetch(&get(&page.path));
        assert_eq!(response.code, 502);
        assert!(response.text().contains(reason), "{}", response.text());
        assert_eq!(standard().fetch(&get(&page.path)).text(), "Error while proxying to origin.\n");
    }
}

#[test]
fn a_connection_that_ends_between_requests_loses_no_request() {
    let _apart = APART.lock();
    let (ended, has_ended) = channel();
    let ended = Mutex::new(ended);
    let page = Page::handling(move |request, socket| {
        let _ = socket.write_all(&Answer::text("ok\n").bytes_for(&request.method));
        let _ = socket.shutdown(Shutdown::Both);
        let _ = ended.lock().expect("no panic").send(());
        Then::Close
    });
    for _ in 0..30 {
        let response = standard().fetch(&request("POST", &page.path).host("apart.test").body("x"));
        assert_eq!((response.code, response.text()), (200, "ok\n"));
        has_ended.recv_timeout(patience()).expect("the end");
    }
}
