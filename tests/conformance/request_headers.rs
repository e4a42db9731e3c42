//! Which headers of a client's request reach the origin, and which are added: Host, hop-by-hop fields, forged
//! Grip-* fields, X-Forwarded-*.

use crate::harness::headers::Headers;
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::{Proxy, appending_forwarded_for, standard};
use crate::harness::pushpin_differs;
use crate::harness::request::{Request, get};

/// The headers the origin gets, for a GET that `dress` adds to.
fn forwarded(proxy: &Proxy, dress: impl FnOnce(Request) -> Request) -> Headers {
    let page = Page::answering(Answer::text("x"));
    assert_eq!(proxy.fetch(&dress(get(&page.path))).code, 200);
    page.request().headers
}

#[test]
fn the_host_is_kept() {
    let headers = forwarded(standard(), |request| request.host("some.where.test"));
    assert_eq!(headers.get("Host"), Some("some.where.test"));
}

#[test]
fn the_hosts_port_is_kept() {
    let headers = forwarded(standard(), |request| request.host("some.where.test:8123"));
    assert_eq!(headers.get("Host"), Some("some.where.test:8123"));
}

#[test]
fn end_to_end_headers_are_kept() {
    let headers = forwarded(standard(), |request| {
        request
            .header("Accept", "text/html;q=0.9, */*")
            .header("Authorization", "Basic YTpi")
            .header("Cookie", "a=1; b=2")
            .header("User-Agent", "tests/1")
            .header("Last-Event-ID", "7")
            .header("X-Unusual.Name", "odd \"value\", with; punctuation")
    });
    assert_eq!(headers.get("Accept"), Some("text/html;q=0.9, */*"));
    assert_eq!(headers.get("Authorization"), Some("Basic YTpi"));
    assert_eq!(headers.get("Cookie"), Some("a=1; b=2"));
    assert_eq!(headers.get("User-Agent"), Some("tests/1"));
    assert_eq!(headers.get("Last-Event-ID"), Some("7"));
    assert_eq!(headers.get("X-Unusual.Name"), Some("odd \"value\", with; punctuation"));
}

#[test]
fn nothing_is_added_that_a_client_did_not_send() {
    let headers = forwarded(standard(), |request| request);
    for name in ["User-Agent", "X-Forwarded-For", "X-Forwarded-Proto", "Via", "Content-Type", "Expect"] {
        assert!(!headers.has(name), "{name} in {headers:?}");
    }
}

#[test]
fn no_accept_is_added() {
    pushpin_differs!("zurl adds Accept: */* and an Accept-Encoding of its own");
    let headers = forwarded(standard(), |request| request);
    assert!(!headers.has("Accept"), "{headers:?}");
    let headers = forwarded(standard(), |request| request.host("unsigned.test"));
    assert!(!headers.has("Accept-Encoding"), "{headers:?}");
}

#[test]
fn white_space_around_a_value_is_not_part_of_it() {
    let page = Page::answering(Answer::text("x"));
    let mut client = standard().connect();
    client.send(format!(
        "GET {} HTTP/1.1\r\nHost: any.test\r\nX-Padded: \t padded value \t\r\n\r\n",
        page.path
    ));
    assert_eq!(client.response().code, 200);
    assert_eq!(page.request().headers.get("X-Padded"), Some("padded value"));
}

#[test]
fn connection_and_keep_alive_are_not_forwarded() {
    let headers = forwarded(standard(), |request| {
        request.header("Connection", "keep-alive, x-private").header("Keep-Alive", "timeout=77")
    });
    assert!(!headers.lists("Connection", "x-private"));
    assert!(!headers.has("Keep-Alive"));
}

#[test]
fn the_clients_accept_encoding_is_not_forwarded() {
    let headers = forwarded(standard(), |request| request.header("Accept-Encoding", "x-rare, x-odd"));
    assert!(!headers.lists("Accept-Encoding", "x-rare"), "{headers:?}");
}

#[test]
fn the_content_encoding_of_a_body_goes_with_it() {
    pushpin_differs!("it forwards the body as it is encoded, but not the header that says how");
    let headers = forwarded(standard(), |request| request.header("Content-Encoding", "x-rare").body("body"));
    assert_eq!(headers.get("Content-Encoding"), Some("x-rare"));
}

#[test]
fn a_clients_grip_headers_are_removed() {
    let headers = forwarded(standard(), |request| {
        request
            .header("Grip-Last", "secret; last-id=1")
            .header("Grip-Hold", "stream")
            .header("Grip-Made-Up", "x")
            .header("GRIP-SHOUTED", "x")
    });
    for name in ["Grip-Last", "Grip-Hold", "Grip-Made-Up", "Grip-Shouted"] {
        assert!(!headers.has(name), "{name} in {headers:?}");
    }
}

#[test]
fn a_client_does_not_speak_as_a_grip_proxy() {
    pushpin_differs!("it lets a client's Connection-Id and variables through to the application");
    let forged = [
        "Connection-Id",
        "Meta-User",
        "Sub-Meta",
        "Sub-Meta-User",
        "Pub-Meta",
        "Content-Bytes-Accepted",
        "Content-Bytes-Replayed",
        "Keep-Alive-Interval",
    ];
    let with_all = |request: Request| forged.iter().fold(request, |request, name| request.header(name, "x"));
    let headers = forwarded(standard(), with_all);
    for name in forged {
        assert!(!headers.has(name), "{name} in {headers:?}");
    }
    let page = Page::answering(Answer::text("x"));
    standard().fetch(&with_all(get(&page.path).host("unsigned.test")));
    let headers = page.request().headers;
    assert!(forged.iter().all(|name| headers.has(name)), "a route without GRIP: {headers:?}");
}

#[test]
fn headers_that_cgi_cannot_tell_from_reserved_ones_do_not_pass() {
    pushpin_differs!("it lets them through");
    let twins =
        ["Grip_Sig", "Connection_Id", "Meta_User", "Content_Length", "Transfer_Encoding", "X_Forwarded_For"];
    let headers = forwarded(standard(), |request| {
        twins.iter().fold(request, |request, name| request.header(name, "1")).header("X_Own", "1")
    });
    for name in twins {
        assert!(!headers.has(name), "{name} in {headers:?}");
    }
    assert!(headers.has("X_Own"), "{headers:?}");
}

#[test]
fn a_clients_forged_signature_and_features_are_replaced() {
    let headers = forwarded(standard(), |request| {
        request.header("Grip-Sig", "forged").header("grip-sig", "forged").header("Grip-Feature", "forged")
    });
    assert_eq!(headers.all("Grip-Sig").len(), 1);
    assert_ne!(headers.get("Grip-Sig"), Some("forged"));
    assert!(!headers.lists("Grip-Feature", "forged"));
}

#[test]
fn the_features_of_grip_are_announced() {
    let headers = forwarded(standard(), |request| request);
    // Only what is served may be announced: an origin relies on it.
    assert!(headers.lists("Grip-Feature", "status"), "{:?}", headers.get("Grip-Feature"));
}

#[test]
fn marks_of_original_headers_cannot_be_forged() {
    let headers = forwarded(standard(), |request| request.header("eb9bf0f5-Host", "forged"));
    assert!(headers.starting_with("eb9bf0f5-").is_empty(), "{headers:?}");
}

#[test]
fn a_clients_x_forwarded_for_passes_unchanged_by_default() {
    let headers = forwarded(standard(), |request| request.header("X-Forwarded-For", "192.0.2.1, 192.0.2.2"));
    assert_eq!(headers.get("X-Forwarded-For"), Some("192.0.2.1, 192.0.2.2"));
}

#[test]
fn append_adds_the_clients_address_to_x_forwarded_for() {
    let headers =
        forwarded(appending_forwarded_for(), |request| request.header("X-Forwarded-For", "192.0.2.1"));
    assert_eq!(forwarded_for(&headers), ["192.0.2.1", "127.0.0.1"]);
}

#[test]
fn append_joins_repeated_x_forwarded_for() {
    let headers = forwarded(appending_forwarded_for(), |request| {
        request.header("X-Forwarded-For", "192.0.2.1, 192.0.2.2").header("X-Forwarded-For", "192.0.2.3")
    });
    assert_eq!(forwarded_for(&headers), ["192.0.2.1", "192.0.2.2", "192.0.2.3", "127.0.0.1"]);
}

#[test]
fn append_makes_an_x_forwarded_for_where_there_is_none() {
    let headers = forwarded(appending_forwarded_for(), |request| request);
    assert_eq!(forwarded_for(&headers), ["127.0.0.1"]);
}

fn forwarded_for(headers: &Headers) -> Vec<&str> {
    headers.get("X-Forwarded-For").expect("one X-Forwarded-For").split(',').map(str::trim).collect()
}

#[test]
fn a_plain_request_cannot_claim_to_have_come_by_https() {
    let headers = forwarded(standard(), |request| {
        request.header("X-Forwarded-Proto", "https").header("X-Forwarded-Protocol", "https")
    });
    assert!(!headers.has("X-Forwarded-Proto") && !headers.has("X-Forwarded-Protocol"), "{headers:?}");
}

#[test]
fn pushpin_route_is_an_ordinary_header_unless_accepted() {
    let headers = forwarded(standard(), |request| request.header("Pushpin-Route", "a-name"));
    assert_eq!(headers.get("X-Route"), Some("any"), "it chose no route");
}
