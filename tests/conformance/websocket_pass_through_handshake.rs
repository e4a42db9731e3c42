//! How a WebSocket is opened to an application that speaks WebSocket itself.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::harness::origin::{Answer, Page, Then};
use crate::harness::proxy::{SIG_KEY, standard};
use crate::harness::pushpin_differs;
use crate::harness::request::{Request, get, request};
use crate::harness::signature;
use crate::harness::source::End;
use crate::harness::websocket_origin::{Sockets, TEXT, acceptance};

const HOST: &str = "pass.test";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A handshake without the headers of RFC 6455.
fn bare(path: &str) -> Request {
    get(path).host(HOST).header("Connection", "Upgrade").header("Upgrade", "websocket")
}

fn upgrade(path: &str) -> Request {
    bare(path).header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", KEY)
}

fn accepting() -> Sockets {
    Sockets::accepting(&[])
}

/// The handshake is answered with an error, or not at all, and the application does not hear of it.
fn expect_refused(page: &Page, handshake: &Request) {
    match standard().ask(handshake).try_head() {
        Ok(head) => assert!((400..500).contains(&head.code), "{head:?}"),
        Err(end) => assert_eq!(end, End::Closed),
    }
    assert!(page.request_so_far().is_none());
}

fn expect_bad_gateway(page: &Page) {
    let response = standard().fetch(&upgrade(&page.path));
    assert_eq!((response.code, response.text()), (502, "Error while proxying to origin.\n"));
}

#[test]
fn the_application_gets_a_handshake() {
    let application = accepting();
    let path = format!("{}/sub?room=1%202", application.page.path);
    standard().open(HOST, &path);
    let request = application.page.request();
    assert_eq!((request.method.as_str(), request.version.as_str()), ("GET", "HTTP/1.1"));
    assert_eq!(request.target, path);
    assert_eq!(request.headers.get("Host"), Some(HOST));
    assert!(request.headers.lists("Connection", "upgrade") && request.headers.lists("Upgrade", "websocket"));
    assert_eq!(request.headers.get("Sec-WebSocket-Version"), Some("13"));
    let key = request.headers.get("Sec-WebSocket-Key").map(|key| BASE64_STANDARD.decode(key));
    assert_eq!(key.and_then(Result::ok).map(|key| key.len()), Some(16), "{request:?}");
    assert_eq!(request.body, b"");
}

#[test]
fn headers_of_the_client_reach_the_application() {
    let application = accepting();
    let sent = [("X-Mine", "1"), ("Origin", "https://example.com"), ("Cookie", "a=b; c=d")];
    standard().open_with(HOST, &application.page.path, &sent);
    let request = application.page.request();
    for (name, value) in sent {
        assert_eq!(request.headers.get(name), Some(value));
    }
}

#[test]
fn the_application_is_offered_grip_and_nothing_that_the_client_offers() {
    let application = accepting();
    let sent = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")];
    let socket = standard().open_with(HOST, &application.page.path, &sent);
    assert_eq!(application.page.request().headers.get("Sec-WebSocket-Extensions"), Some("grip"));
    assert!(!socket.head.headers().contains_key("sec-websocket-extensions"));
}

#[test]
fn the_handshake_is_signed() {
    let application = accepting();
    standard().open_with(HOST, &application.page.path, &[("Grip-Sig", "forged")]);
    let request = application.page.request();
    let token = request.headers.get("Grip-Sig").expect("a signature");
    let (_, claims) = signature::verify(token, SIG_KEY.as_bytes()).expect("a good signature");
    assert_eq!(claims["iss"], "pushpin");
}

#[test]
fn grip_headers_of_the_client_are_kept_from_the_application() {
    let application = accepting();
    standard().open_with(HOST, &application.page.path, &[("Grip-Last", "ch; last-id=1")]);
    assert!(!application.page.request().headers.has("Grip-Last"));
}

#[test]
fn a_subprotocol_is_offered_and_chosen() {
    let application = Sockets::accepting(&[("Sec-WebSocket-Protocol", "chat")]);
    let sent = [("Sec-WebSocket-Protocol", "superchat, chat")];
    let socket = standard().open_with(HOST, &application.page.path, &sent);
    assert!(application.page.request().headers.lists("Sec-WebSocket-Protocol", "chat"));
    assert_eq!(socket.head.headers()["sec-websocket-protocol"], "chat");
}

#[test]
fn headers_of_the_acceptance_reach_the_client() {
    let application =
        Sockets::accepting(&[("X-Theirs", "2"), ("Set-Cookie", "a=b; Path=/"), ("Set-Cookie", "c=d")]);
    let socket = standard().open(HOST, &application.page.path);
    let headers = socket.head.headers();
    assert_eq!(headers["x-theirs"], "2");
    let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=b; Path=/", "c=d"]);
}

#[test]
fn the_acceptance_answers_the_key_of_the_client() {
    let application = accepting();
    let head = standard().ask(&upgrade(&application.page.path)).head();
    assert_eq!(head.code, 101);
    // The example of RFC 6455 section 1.3.
    assert_eq!(head.headers.get("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(head.headers.lists("Connection", "upgrade") && head.headers.lists("Upgrade", "websocket"));
    assert!(!head.headers.has("Content-Length") && !head.headers.has("Transfer-Encoding"));
}

#[test]
fn the_grip_extension_is_not_said_to_the_client() {
    let application = Sockets::accepting(&[("Sec-WebSocket-Extensions", "grip")]);
    let socket = standard().open(HOST, &application.page.path);
    assert!(!socket.head.headers().contains_key("sec-websocket-extensions"));
}

#[test]
fn what_follows_the_acceptance_at_once_reaches_the_client() {
    // An unmasked text frame with two bytes.
    let application = Sockets::with(|request| [&acceptance(request, &[])[..], b"\x81\x02hi"].concat());
    standard().open(HOST, &application.page.path).expect_text("hi");
}

#[test]
fn names_of_tokens_in_a_handshake_may_be_in_any_case() {
    let application = accepting();
    let handshake = get(&application.page.path)
        .host(HOST)
        .header("connection", "keep-alive, upgrade")
        .header("upgrade", "WebSocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY);
    assert_eq!(standard().ask(&handshake).head().code, 101);
}

#[test]
fn a_rejection_reaches_the_client() {
    let page = Page::answering(Answer::new(403, "Forbidden").body("not you\n"));
    let response = standard().fetch(&upgrade(&page.path));
    assert_eq!((response.code, response.text()), (403, "not you\n"));
}

#[test]
fn a_rejection_without_a_body_reaches_the_client() {
    let page = Page::answering(Answer::new(401, "Unauthorized"));
    let response = standard().fetch(&upgrade(&page.path));
    assert_eq!((response.code, response.text()), (401, ""));
}

#[test]
fn headers_of_a_rejection_reach_the_client() {
    pushpin_differs!("a rejection loses its headers");
    let page = Page::answering(Answer::new(401, "Unauthorized").header("WWW-Authenticate", "Basic"));
    let response = standard().fetch(&upgrade(&page.path));
    assert_eq!((response.code, response.headers.get("WWW-Authenticate")), (401, Some("Basic")));
}

#[test]
fn a_redirect_is_left_to_the_client() {
    pushpin_differs!("a redirect loses its Location");
    let page = Page::answering(Answer::new(302, "Found").header("Location", "/elsewhere"));
    let response = standard().fetch(&upgrade(&page.path));
    assert_eq!((response.code, response.headers.get("Location")), (302, Some("/elsewhere")));
}

#[test]
fn an_ordinary_answer_is_no_acceptance() {
    let page = Page::answering(Answer::text("hello\n"));
    let response = standard().fetch(&upgrade(&page.path));
    assert_eq!((response.code, response.text()), (200, "hello\n"));
}

#[test]
fn a_long_rejection_reaches_the_client_whole() {
    pushpin_differs!("a rejection of more than 8192 bytes is cut");
    let body = "why not\n".repeat(5000);
    let page = Page::answering(Answer::new(403, "Forbidden").body(body.clone()));
    let response = standard().fetch(&upgrade(&page.path));
    assert_eq!(response.code, 403);
    assert!(response.text() == body, "{} bytes", response.body.len());
}

#[test]
fn an_application_that_cannot_be_reached_is_a_bad_gateway() {
    let response = standard().fetch(&upgrade("/").host("down.test"));
    assert_eq!((response.code, response.text()), (502, "Error while proxying to origin.\n"));
}

#[test]
fn the_next_target_is_asked_when_one_cannot_be_reached() {
    let application = accepting();
    let (mut client, mut server) = application.open(standard(), "failover.test");
    server.text("hi");
    client.expect_text("hi");
}

#[test]
fn an_application_that_closes_without_an_answer_is_a_bad_gateway() {
    expect_bad_gateway(&Page::handling(|_, _| Then::Close));
}

#[test]
fn an_answer_that_is_not_http_is_a_bad_gateway() {
    expect_bad_gateway(&Page::sending_raw("hello\r\n\r\n"));
}

#[test]
fn an_acceptance_of_another_key_is_a_bad_gateway() {
    pushpin_differs!("Sec-WebSocket-Accept is not verified");
    expect_bad_gateway(&Page::sending_raw(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n\r\n",
    ));
}

#[test]
fn an_acceptance_of_no_key_is_a_bad_gateway() {
    pushpin_differs!("Sec-WebSocket-Accept is not verified");
    expect_bad_gateway(&Page::sending_raw(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ));
}

#[test]
fn a_handshake_of_another_version_is_refused() {
    let page = accepting().page;
    let handshake = bare(&page.path).header("Sec-WebSocket-Version", "8").header("Sec-WebSocket-Key", KEY);
    expect_refused(&page, &handshake);
}

#[test]
fn a_handshake_without_a_key_is_refused() {
    let page = accepting().page;
    expect_refused(&page, &bare(&page.path).header("Sec-WebSocket-Version", "13"));
}

#[test]
fn a_handshake_with_a_key_that_is_none_is_refused() {
    pushpin_differs!("a key may be anything");
    let page = accepting().page;
    let handshake =
        bare(&page.path).header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", "short");
    expect_refused(&page, &handshake);
}

#[test]
fn a_handshake_with_another_method_is_refused() {
    let page = accepting().page;
    let handshake = request("PUT", &page.path)
        .host(HOST)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", KEY);
    expect_refused(&page, &handshake);
}

#[test]
fn a_route_edits_the_path_the_host_and_headers() {
    let application = accepting();
    standard().open("pass-edited.test", &format!("/old{}?a=/old", application.page.path));
    let request = application.page.request();
    assert_eq!(request.target, format!("/new{}?a=/old", application.page.path));
    assert_eq!(request.headers.get("Host"), Some("target.test"));
    assert_eq!(request.headers.get("X-Set"), Some("by-route"));
}

#[test]
fn a_route_may_be_for_websockets_only() {
    let application = accepting();
    standard().open("http.test", &application.page.path);
    assert_eq!(application.page.request().headers.get("X-Route"), Some("ws"));
}

#[test]
fn a_route_without_grip_offers_and_signs_nothing() {
    let application = accepting();
    let (mut client, mut server) = application.open(standard(), "unsigned.test");
    let request = application.page.request();
    assert_eq!(request.headers.get("Grip-Sig"), None);
    assert!(!request.headers.lists("Sec-WebSocket-Extensions", "grip"));
    client.text("hi");
    server.expect_frame(TEXT, true, "hi");
}
