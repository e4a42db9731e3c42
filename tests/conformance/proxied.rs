//! Behind proxies that the operator has named: whom they relay is believed, by the PROXY protocol and by
//! X-Forwarded-For, and nobody else.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use gripwire_harness::tunnel::tunnel_over;
use socket2::{Domain, Socket, Type};

use crate::harness::client::Client;
use crate::harness::headers::Headers;
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::{proxied, standard};
use crate::harness::pushpin_differs;
use crate::harness::request::{Request, get};
use crate::harness::tls::OTHER;

const WHY: &str = "it does not speak the PROXY protocol";

/// What the application gets from a client whose connection begins with `header`.
fn forwarded(header: &[u8], dress: impl FnOnce(Request) -> Request) -> Headers {
    let page = Page::answering(Answer::text("x"));
    let mut client = Client::connect(proxied().http);
    client.send([header, &dress(get(&page.path)).bytes()].concat());
    assert_eq!(client.response().code, 200);
    page.request().headers
}

/// A header of version 2 for a TCP connection of `source`.
fn version_2(source: Ipv4Addr) -> Vec<u8> {
    let addresses =
        [&source.octets()[..], &[10, 0, 0, 1], &4711u16.to_be_bytes(), &80u16.to_be_bytes()].concat();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &addresses[..]].concat()
}

const CLIENT: &[u8] = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

#[test]
fn the_application_learns_whom_the_proxy_relays() {
    pushpin_differs!(WHY);
    let of_v6 = b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n";
    let cases: [(&[u8], Option<&str>); 5] = [
        (CLIENT, Some("192.0.2.1")),
        (of_v6, Some("2001:db8::1")),
        (&version_2(Ipv4Addr::new(192, 0, 2, 2)), Some("192.0.2.2")),
        (b"PROXY UNKNOWN\r\n", None),
        (LOCAL, Some("127.0.0.1")),
    ];
    for (header, client) in cases {
        let headers = forwarded(header, |request| request);
        assert_eq!(headers.get("X-Forwarded-For"), client, "{header:?}");
    }
}

#[test]
fn a_header_may_come_in_pieces_and_requests_follow_it_as_ever() {
    pushpin_differs!(WHY);
    let page = Page::answering(Answer::text("x"));
    let mut client = Client::connect(proxied().http);
    for byte in version_2(Ipv4Addr::new(192, 0, 2, 3)) {
        client.send([byte]);
    }
    for _ in 0..2 {
        client.send(get(&page.path).bytes());
        assert_eq!(client.response().code, 200);
        assert_eq!(page.request().headers.get("X-Forwarded-For"), Some("192.0.2.3"));
    }
}

#[test]
fn tls_begins_behind_the_header() {
    pushpin_differs!(WHY);
    let page = Page::answering(Answer::text("x"));
    let mut socket = TcpStream::connect(proxied().https).expect("a connection");
    std::io::Write::write_all(&mut socket, CLIENT).expect("a header");
    let mut client = Client::over(tunnel_over(socket, OTHER));
    client.send(get(&page.path).bytes());
    assert_eq!(client.response().code, 200);
    let headers = page.request().headers;
    let forwarded = ["X-Forwarded-For", "X-Forwarded-Proto"].map(|name| headers.get(name));
    assert_eq!(forwarded, [Some("192.0.2.1"), Some("https")]);
}

#[test]
fn a_connection_that_begins_otherwise_is_closed_without_an_answer() {
    pushpin_differs!(WHY);
    let page = Page::answering(Answer::text("x"));
    let request = get(&page.path).bytes();
    let begun: [&[u8]; 4] = [
        b"",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4711\r\n",
        b"PROXY TCP9 192.0.2.1 10.0.0.1 4711 80\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
    ];
    for begun in begun {
        let mut client = Client::connect(proxied().http);
        client.send([begun, &request].concat());
        client.expect_closed();
    }
    assert!(page.request_so_far().is_none(), "the application was asked");
}

#[test]
fn only_proxies_that_are_named_say_whom_they_relay() {
    pushpin_differs!(WHY);
    let page = Page::answering(Answer::text("x"));
    let request = [CLIENT, &get(&page.path).bytes()].concat();
    let from = |host: u8| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).expect("an address");
        socket.connect(&proxied().http.into()).expect("a connection");
        let mut client = Client::over(socket.into());
        client.send(&request);
        client
    };
    assert_eq!(from(1).response().code, 200);
    page.request();
    from(3).expect_closed();
    assert!(page.request_so_far().is_none(), "the application was asked");
}

#[test]
fn a_port_without_the_protocol_takes_it_for_a_bad_request() {
    pushpin_differs!("condure closes the connection without an answer");
    let mut client = standard().connect();
    client.send([CLIENT, &get("/").bytes()].concat());
    assert_eq!(client.response().code, 400);
}

/// What says by which way a request came.
fn with_forged(request: Request) -> Request {
    request
        .header("X-Forwarded-For", "6.6.6.6, 203.0.113.9")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "elsewhere.test")
        .header("X-Real-IP", "203.0.113.9")
        .header("Forwarded", "for=203.0.113.9")
}

#[test]
fn what_is_said_of_a_requests_way_is_kept_from_proxies_alone() {
    pushpin_differs!("it passes what every client says");
    let kept = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded"];
    let of_proxy = forwarded(&version_2(Ipv4Addr::new(10, 1, 2, 3)), with_forged);
    assert_eq!(of_proxy.get("X-Forwarded-For"), Some("6.6.6.6, 203.0.113.9, 10.1.2.3"));
    assert_eq!(of_proxy.get("X-Forwarded-Proto"), Some("https"));
    assert!(kept.iter().all(|name| of_proxy.has(name)), "{of_proxy:?}");
    for (header, client) in [(CLIENT, Some("192.0.2.1")), (b"PROXY UNKNOWN\r\n", None)] {
        let of_client = forwarded(header, with_forged);
        assert_eq!(of_client.get("X-Forwarded-For"), client);
        assert!(!kept[1..].iter().any(|name| of_client.has(name)), "{of_client:?}");
    }
}

#[test]
fn a_script_does_not_speak_for_the_proxy_that_brings_its_request() {
    pushpin_differs!(WHY);
    let page = Page::answering(Answer::text("x"));
    let forged = "_headers=%7b%22X-Forwarded-For%22:%226.6.6.6%22,%22X-Real-IP%22:%226.6.6.6%22,%22X-Own%22:%221%22%7d";
    let request = get(format!("{}?callback=f&{forged}", page.path)).host("cross.test");
    let mut client = Client::connect(proxied().http);
    let header = version_2(Ipv4Addr::new(10, 1, 2, 3));
    client.send([header, request.header("X-Forwarded-For", "203.0.113.9").bytes()].concat());
    assert_eq!(client.response().code, 200);
    let headers = page.request().headers;
    assert_eq!(headers.get("X-Forwarded-For"), Some("203.0.113.9, 10.1.2.3"));
    assert!(headers.has("X-Own") && !headers.has("X-Real-IP"), "{headers:?}");
}

#[test]
fn routes_by_tls_go_by_what_proxies_say_of_it() {
    pushpin_differs!("it believes every client or nobody");
    let taken = |header: &[u8]| {
        forwarded(header, |request| with_forged(request.host("tls.test"))).get("X-Route").map(str::to_owned)
    };
    assert_eq!(taken(&version_2(Ipv4Addr::new(10, 1, 2, 3))).as_deref(), Some("tls"));
    assert_eq!(taken(CLIENT).as_deref(), Some("whichever"));
}
