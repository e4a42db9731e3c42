//! Requests whose framing two servers could read differently are refused: 400, and the connection closed.
//!
//! Each case sends such a request with a second one behind it. The answer must be a single 400, nothing may follow
//! it, and the origin must see neither request. All are demands on Gripwire alone: condure, Pushpin's HTTP server,
//! reads on where RFC 9112 says to refuse, and where it refuses it closes without any answer.

use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::pushpin_differs;
use crate::harness::request::get;

/// Sends a POST with these header lines and this body, and expects it to be refused.
fn refused(lines: &str, body: &str) {
    refused_head(|path| format!("POST {path} HTTP/1.1\r\nHost: any.test\r\n{lines}\r\n{body}"));
}

/// Sends what `head` makes for a path, with a good request behind it, and expects it to be refused.
fn refused_head(head: impl FnOnce(&str) -> String) {
    refused_with(400, head);
}

fn refused_with(code: u16, head: impl FnOnce(&str) -> String) {
    let page = Page::answering(Answer::text("taken\n"));
    let mut client = standard().connect();
    let mut bytes = head(&page.path).into_bytes();
    bytes.extend(get(format!("{}/smuggled", page.path)).bytes());
    client.send(bytes);
    assert_eq!(client.response().code, code);
    client.expect_closed();
    assert!(page.request_so_far().is_none(), "the origin got a request");
}

/// What Pushpin makes of a request with both framings: the origin then waits for a body that never comes.
const BOTH: &str =
    "condure reads the body as chunked, and the origin is sent the Content-Length all the same";

/// What condure 1.9 does instead of answering 400 to what it cannot parse.
const CLOSES: &str = "condure closes the connection without an answer";

#[test]
fn a_content_length_beside_chunked_is_refused() {
    pushpin_differs!(BOTH);
    refused("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
}

#[test]
fn chunked_before_a_content_length_is_refused() {
    pushpin_differs!(BOTH);
    refused("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n");
}

#[test]
fn two_differing_content_lengths_are_refused() {
    pushpin_differs!("condure takes one of the lengths");
    refused("Content-Length: 4\r\nContent-Length: 5\r\n", "body");
}

#[test]
fn a_repeated_content_length_is_refused() {
    pushpin_differs!("condure takes one of the lengths");
    refused("Content-Length: 4\r\nContent-Length: 4\r\n", "body");
}

#[test]
fn a_list_of_content_lengths_is_refused() {
    pushpin_differs!(CLOSES);
    refused("Content-Length: 4, 4\r\n", "body");
}

#[test]
fn a_signed_content_length_is_refused() {
    pushpin_differs!("condure reads +4 as 4");
    refused("Content-Length: +4\r\n", "body");
}

#[test]
fn a_negative_content_length_is_refused() {
    pushpin_differs!(CLOSES);
    refused("Content-Length: -4\r\n", "body");
}

#[test]
fn a_content_length_that_is_no_number_is_refused() {
    pushpin_differs!(CLOSES);
    refused("Content-Length: 0x4\r\n", "body");
}

#[test]
fn an_empty_content_length_is_refused() {
    pushpin_differs!(CLOSES);
    refused("Content-Length:\r\n", "");
}

#[test]
fn a_content_length_beyond_64_bits_is_refused() {
    pushpin_differs!(CLOSES);
    refused("Content-Length: 18446744073709551616\r\n", "body");
}

#[test]
fn an_unknown_transfer_coding_is_refused() {
    pushpin_differs!(CLOSES);
    refused("Transfer-Encoding: gzip\r\n", "body");
}

#[test]
fn a_transfer_coding_that_only_looks_like_chunked_is_refused() {
    pushpin_differs!(CLOSES);
    refused("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n");
}

#[test]
fn chunked_that_is_not_the_last_coding_is_refused() {
    pushpin_differs!(CLOSES);
    refused("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n");
}

#[test]
fn chunked_twice_is_refused() {
    pushpin_differs!("condure takes one of the fields");
    refused("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
}

#[test]
fn chunked_in_an_http_1_0_request_is_refused() {
    pushpin_differs!("condure reads the chunks; RFC 9112 section 6.1 calls the framing faulty");
    refused_head(|path| {
        format!("POST {path} HTTP/1.0\r\nHost: any.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    });
}

#[test]
fn a_folded_header_is_refused() {
    pushpin_differs!(CLOSES);
    refused("X-Folded: one\r\n two\r\nContent-Length: 0\r\n", "");
}

#[test]
fn white_space_before_a_colon_is_refused() {
    pushpin_differs!(CLOSES);
    refused("Content-Length : 4\r\n", "body");
}

#[test]
fn white_space_before_the_first_header_is_refused() {
    pushpin_differs!(CLOSES);
    refused_head(|path| format!("GET {path} HTTP/1.1\r\n Host: any.test\r\n\r\n"));
}

#[test]
fn a_header_without_a_colon_is_refused() {
    pushpin_differs!(CLOSES);
    refused("No-Colon\r\n", "");
}

#[test]
fn a_header_without_a_name_is_refused() {
    pushpin_differs!(CLOSES);
    refused(": value\r\n", "");
}

#[test]
fn a_header_name_with_a_space_is_refused() {
    pushpin_differs!(CLOSES);
    refused("Two Words: value\r\n", "");
}

#[test]
fn a_null_in_a_header_value_is_refused() {
    pushpin_differs!(CLOSES);
    refused("X-Null: a\0b\r\n", "");
}

#[test]
fn a_bare_carriage_return_in_a_header_value_is_refused() {
    pushpin_differs!(CLOSES);
    refused("X-Return: a\rContent-Length: 5\r\n", "");
}

#[test]
fn a_request_line_that_is_none_is_refused() {
    pushpin_differs!(CLOSES);
    refused_head(|_| "nonsense\r\n\r\n".to_owned());
}

#[test]
fn a_line_feed_alone_does_not_end_a_line() {
    pushpin_differs!("condure takes a bare line feed as a line's end");
    refused_head(|path| format!("GET {path} HTTP/1.1\r\nHost: any.test\nX-After: x\r\n\r\n"));
}

#[test]
fn another_version_of_http_is_answered_505() {
    pushpin_differs!(CLOSES);
    refused_with(505, |path| format!("GET {path} HTTP/2.0\r\nHost: any.test\r\n\r\n"));
}

#[test]
fn a_target_with_a_space_is_refused() {
    pushpin_differs!(CLOSES);
    refused_head(|path| format!("GET {path} x HTTP/1.1\r\nHost: any.test\r\n\r\n"));
}

#[test]
fn an_http_1_1_request_without_a_host_is_refused() {
    pushpin_differs!("the host localhost is assumed; RFC 9112 section 3.2 says 400");
    refused_head(|path| format!("GET {path} HTTP/1.1\r\n\r\n"));
}

#[test]
fn a_request_with_two_hosts_is_refused() {
    pushpin_differs!("one of the hosts is taken; RFC 9112 section 3.2 says 400");
    refused_head(|path| format!("GET {path} HTTP/1.1\r\nHost: any.test\r\nHost: exact.test\r\n\r\n"));
}

#[test]
fn a_head_beyond_64_kilobytes_is_answered_431() {
    pushpin_differs!("a head beyond its buffer of 8192 bytes gets no answer");
    let line = format!("X-Long: {}\r\n", "v".repeat(70_000));
    refused_with(431, |path| format!("GET {path} HTTP/1.1\r\nHost: any.test\r\n{line}\r\n"));
}

#[test]
fn a_chunk_size_that_is_no_number_is_refused() {
    pushpin_differs!(CLOSES);
    refused_body("xyz\r\nabc\r\n0\r\n\r\n");
}

#[test]
fn an_empty_chunk_size_is_refused() {
    pushpin_differs!(CLOSES);
    refused_body("\r\nabc\r\n0\r\n\r\n");
}

#[test]
fn a_negative_chunk_size_is_refused() {
    pushpin_differs!(CLOSES);
    refused_body("-3\r\nabc\r\n0\r\n\r\n");
}

#[test]
fn a_chunk_size_beyond_64_bits_is_refused() {
    pushpin_differs!(CLOSES);
    refused_body("10000000000000003\r\nabc\r\n0\r\n\r\n");
}

#[test]
fn a_chunk_longer_than_its_size_is_refused() {
    pushpin_differs!(CLOSES);
    refused_body("3\r\nabcdef\r\n0\r\n\r\n");
}

#[test]
fn a_chunk_size_line_that_ends_with_a_bare_line_feed_is_refused() {
    pushpin_differs!(CLOSES);
    refused_body("3\nabc\r\n0\r\n\r\n");
}

/// Sends a bad chunked body: 400 and the end. What came before the fault may have reached the origin, but what
/// stands behind it must not become a request.
fn refused_body(body: &str) {
    let page = Page::answering(Answer::text("taken\n"));
    let mut client = standard().connect();
    client
        .send(format!("POST {} HTTP/1.1\r\nHost: any.test\r\nTransfer-Encoding: chunked\r\n\r\n", page.path));
    client.send(body).send(get(format!("{}/smuggled", page.path)).bytes());
    assert_eq!(client.response().code, 400);
    client.expect_closed();
    assert!(page.request_so_far().is_none(), "the origin got a whole request");
}

#[test]
fn an_empty_host_is_refused() {
    pushpin_differs!("condure takes it");
    refused_head(|path| format!("GET {path} HTTP/1.1\r\nHost:\r\n\r\n"));
    refused_head(|path| format!("GET http://any.test{path} HTTP/1.1\r\nHost: \r\n\r\n"));
}

#[test]
fn chunk_extensions_outside_their_grammar_are_refused() {
    pushpin_differs!("condure looks over what follows a size");
    for extension in [";", ";=x", ";a=", ";a=\"b", ";a b", ";a=b c", ";;a"] {
        refused("Transfer-Encoding: chunked\r\n", &format!("1{extension}\r\na\r\n0\r\n\r\n"));
    }
}

#[test]
fn trailers_that_are_no_fields_are_refused() {
    pushpin_differs!("condure looks over trailers");
    for trailer in ["GET /smuggled HTTP/1.1", " folded: x", "no colon"] {
        refused("Transfer-Encoding: chunked\r\n", &format!("1\r\na\r\n0\r\n{trailer}\r\n\r\n"));
    }
}
