//! A server between others: behind another GRIP proxy, whose requests it knows by their signature, behind a CDN, or
//! behind something that ends TLS or names routes.

use std::time::{SystemTime, UNIX_EPOCH};

use tungstenite::Message;

use crate::harness::headers::Headers;
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::{SIG_KEY, UPSTREAM_KEY, between, standard};
use crate::harness::pushpin_differs;
use crate::harness::request::{Request, get};
use crate::harness::signature::{sign, verify};
use crate::harness::websocket::{Application, events_answer, text_event};
use crate::harness::websocket_origin::{Sockets, acceptance};

/// The headers the origin gets, for a GET of `host` that `dress` adds to.
fn forwarded(host: &str, dress: impl FnOnce(Request) -> Request) -> Headers {
    let page = Page::answering(Answer::text("x"));
    assert_eq!(between().fetch(&dress(get(&page.path).host(host))).code, 200);
    page.request().headers
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
}

fn upstream_token() -> String {
    sign(UPSTREAM_KEY.as_bytes(), now() + 600)
}

#[test]
fn what_another_proxy_says_of_grip_passes_and_nothing_is_added() {
    let token = upstream_token();
    let headers = forwarded("any.test", |request| {
        request
            .header("Grip-Sig", &token)
            .header("Grip-Last", "c; last-id=1")
            .header("Grip-Feature", "theirs")
    });
    assert_eq!(headers.all("Grip-Sig"), [token.as_str()]);
    assert_eq!(headers.all("Grip-Last"), ["c; last-id=1"]);
    assert_eq!(headers.all("Grip-Feature"), ["theirs"]);
}

#[test]
fn instructions_for_another_proxy_pass_to_it() {
    let answer = Answer::text("theirs\n").header("Grip-Hold", "response").header("Grip-Channel", "c");
    let page = Page::answering(answer);
    let response = between().fetch(&get(&page.path).header("Grip-Sig", &upstream_token()));
    assert_eq!((response.code, response.text()), (200, "theirs\n"));
    assert_eq!(response.headers.get("Grip-Hold"), Some("response"));
    assert_eq!(response.headers.get("Grip-Channel"), Some("c"));
}

#[test]
fn a_signature_that_is_not_the_other_proxys_or_has_expired_is_replaced() {
    let tokens = [
        sign(b"nobody's", now() + 600),
        sign(SIG_KEY.as_bytes(), now() + 600),
        sign(UPSTREAM_KEY.as_bytes(), now() - 10),
        "forged".to_owned(),
    ];
    for token in tokens {
        let headers = forwarded("any.test", |request| {
            request.header("Grip-Sig", &token).header("Grip-Last", "c; last-id=1")
        });
        assert!(!headers.has("Grip-Last"), "{token}");
        let own = headers.all("Grip-Sig");
        assert!(own.len() == 1 && verify(own[0], SIG_KEY.as_bytes()).is_ok(), "{own:?}");
    }
}

#[test]
fn another_proxys_x_forwarded_for_has_a_rule_of_its_own() {
    let sent = "192.0.2.1, 192.0.2.2";
    let headers = forwarded("any.test", |request| {
        request.header("Grip-Sig", &upstream_token()).header("X-Forwarded-For", sent)
    });
    assert_eq!(headers.get("X-Forwarded-For"), Some("192.0.2.2"));
    let headers = forwarded("any.test", |request| request.header("X-Forwarded-For", sent));
    assert_eq!(headers.get("X-Forwarded-For"), Some("192.0.2.1, 192.0.2.2, 127.0.0.1"));
}

#[test]
fn a_websocket_of_another_proxy_keeps_its_extension() {
    let page = Page::answering(Answer::new(404, "Not Found").body("no socket\n"));
    let token = upstream_token();
    let request = get(&page.path)
        .host("pass.test")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Extensions", "grip")
        .header("Grip-Sig", &token);
    assert_eq!(between().fetch(&request).code, 404);
    let headers = page.request().headers;
    assert_eq!(headers.get("Sec-WebSocket-Extensions"), Some("grip"));
    assert_eq!(headers.get("Grip-Sig"), Some(token.as_str()));
}

#[test]
fn a_websocket_over_http_of_another_proxy_is_not_signed_anew() {
    let application = Application::with(|_, _| events_answer("OPEN\r\n"));
    let token: &'static str = upstream_token().leak();
    let _socket = between().open_with("sockets.test", &application.page.path, &[("Grip-Sig", token)]);
    assert_eq!(application.request().0.all("Grip-Sig"), [token]);
}

#[test]
fn a_request_may_name_its_route_where_that_is_accepted() {
    let headers = forwarded("any.test", |request| request.header("Pushpin-Route", "a-name"));
    assert_eq!(headers.get("X-Route"), Some("named"));
    assert!(!headers.has("Pushpin-Route"));
}

#[test]
fn a_request_that_names_no_route_takes_the_one_of_its_host() {
    let headers = forwarded("exact.test", |request| request.header("Pushpin-Route", ""));
    assert_eq!(headers.get("X-Route"), Some("exact"));
    assert!(!headers.has("Pushpin-Route"));
}

#[test]
fn a_request_that_names_an_unknown_route_has_none() {
    let request = get("/").host("exact.test").header("Pushpin-Route", "unheard-of");
    assert_eq!(between().fetch(&request).code, 502);
}

#[test]
fn a_named_route_has_to_be_for_the_path() {
    pushpin_differs!("1.36 takes a named route for whatever path");
    let named = |path| get(path).host("exact.test").header("Pushpin-Route", "chosen");
    assert_eq!(between().fetch(&named("/elsewhere")).code, 502);
    let page = Page::answering(Answer::text("x"));
    assert_eq!(between().fetch(&named(&format!("/by-id{}", page.path))).code, 200);
    assert_eq!(page.request().headers.get("X-Route"), Some("chosen"));
}

#[test]
fn the_cdns_loop_is_gone_round_once_more() {
    pushpin_differs!("1.36 has no cdn_loop");
    assert_eq!(forwarded("any.test", |request| request).get("CDN-Loop"), Some("us"));
    let headers =
        forwarded("any.test", |request| request.header("CDN-Loop", "a; x=1").header("CDN-Loop", "b"));
    assert_eq!(headers.all("CDN-Loop"), ["a; x=1, b, us"]);
}

#[test]
fn a_header_that_came_marked_is_its_own_original() {
    let headers = forwarded("marked.test", |request| {
        request.header("X-Mine", "edited").header("X-Other", "other").header("eb9bf0f5-X-Front", "original")
    });
    assert_eq!(headers.all("eb9bf0f5-X-Front"), ["original"]);
    assert_eq!(headers.all("eb9bf0f5-X-Mine"), ["edited"]);
    assert_eq!(headers.get("X-Other"), Some("other"));
}

#[test]
fn a_header_that_needs_its_mark_is_not_said_twice_without() {
    let headers = forwarded("marked.test", |request| request.header("X-Need", "unmarked"));
    assert_eq!(headers.get("X-Need"), Some("unmarked"));
    assert!(!headers.has("eb9bf0f5-X-Need"), "{headers:?}");
    let headers = forwarded("marked.test", |request| request.header("eb9bf0f5-X-Need", "marked"));
    assert_eq!(headers.all("eb9bf0f5-X-Need"), ["marked"]);
}

#[test]
fn a_request_that_came_by_tls_says_so_and_takes_a_route_for_it() {
    for (name, scheme) in
        [("X-Forwarded-Proto", "https"), ("X-Forwarded-Protocol", "https"), ("X-Forwarded-Proto", "wss")]
    {
        let headers = forwarded("tls.test", |request| request.header(name, scheme));
        assert_eq!(headers.get("X-Route"), Some("tls"));
        assert_eq!(headers.all("X-Forwarded-Proto"), ["https"]);
        assert!(!headers.has("X-Forwarded-Protocol"));
    }
    assert_eq!(forwarded("tls.test", |request| request).get("X-Route"), Some("whichever"));
}

#[test]
fn a_websocket_that_came_by_tls_says_so() {
    let application = Application::with(|_, _| events_answer("OPEN\r\n"));
    let by_tls = [("X-Forwarded-Proto", "https")];
    let _socket = between().open_with("sockets.test", &application.page.path, &by_tls);
    assert_eq!(application.request().0.all("X-Forwarded-Proto"), ["wss"]);
}

#[test]
fn a_target_that_takes_one_event_gets_one_in_a_request() {
    pushpin_differs!("1.36 puts messages without content together with others");
    let application =
        Application::answering(|events| if events == "OPEN\r\n" { events.into() } else { String::new() });
    let mut socket = standard().open("one-event.test", &application.page.path);
    assert_eq!(application.request().1, "OPEN\r\n");
    for _ in 0..3 {
        socket.send(Message::text(""));
    }
    for _ in 0..3 {
        assert_eq!(application.request().1, "TEXT 0\r\n\r\n");
    }
}

#[test]
fn a_target_that_is_not_trusted_must_not_be_in_a_private_network() {
    pushpin_differs!("in 1.36 the policy is zurl's, which is told to allow everything here");
    let response = standard().fetch(&get("/").host("private.test"));
    assert_eq!((response.code, response.text()), (502, "Error: Origin host/IP blocked.\n"));
}

/// How long the frame waits after the head is tested in a simulation, whose clock no pause of the machine moves.
#[test]
fn the_first_frame_of_a_websocket_follows_its_head_where_requests_may_name_their_route() {
    let welcome = format!("OPEN\r\n{}", text_event("m:welcome"));
    let over_http = Application::answering(move |_| welcome.clone());
    let through = Sockets::with(|request| [&acceptance(request, &[])[..], b"\x81\x07welcome"].concat());
    for (host, path) in [("sockets.test", &over_http.page.path), ("pass.test", &through.page.path)] {
        between().open(host, path).expect_text("welcome");
    }
}
