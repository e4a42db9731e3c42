//! Clients that speak TLS get what others get; applications and routes know of it.

use std::io::{Read, Write};
use std::time::Instant;

use rustls::{ClientConfig, HandshakeKind};
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page, Then};
use crate::harness::proxy::{Proxy, secure, standard};
use crate::harness::publisher::response_item;
use crate::harness::request::{get, request};
use crate::harness::tls::{self, BELOW, EXACT, OTHER, Secure, handshake, handshake_with, issue};
use crate::harness::websocket::{Application, AwaitSubscription, Socket, control_event, text_event};
use crate::harness::websocket_origin::{BINARY, CONTINUE, Peer, Sockets, TEXT, subscribe};
use crate::harness::{patience, pushpin_differs, unique};
use gripwire_harness::tunnel::tunnel;

/// What `request` is answered by TLS.
fn ask(request: &crate::harness::request::Request) -> Client {
    let mut client = standard().connect_tls(EXACT);
    client.send(request.bytes());
    client
}

fn holding(hold: &str, channel: &str) -> Page {
    Page::answering(Answer::text("[opened]\n").header("Grip-Hold", hold).header("Grip-Channel", channel))
}

/// Bytes of which no two neighbouring blocks are alike.
fn bytes(count: usize) -> Vec<u8> {
    (0..count as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

#[test]
fn an_application_is_told_that_its_client_came_by_tls() {
    let page = Page::answering(Answer::text("ok"));
    assert_eq!(ask(&get(&page.path)).response().text(), "ok");
    let headers = page.request().headers;
    assert_eq!(headers.get("X-Forwarded-Proto"), Some("https"));
    assert!(!headers.has("X-Forwarded-Protocol"));
    assert_eq!(standard().fetch(&get(&page.path)).text(), "ok");
    assert!(!page.request().headers.has("X-Forwarded-Proto"));
}

#[test]
fn routes_tell_clients_by_tls_from_others() {
    let page = Page::answering(Answer::text("ok"));
    for (host, route) in [("tls.test", "tls"), ("any.test", "any")] {
        assert_eq!(ask(&get(&page.path).host(host)).response().code, 200);
        assert_eq!(page.request().headers.get("X-Route"), Some(route));
    }
    assert_eq!(ask(&get(&page.path).host("plain.test")).response().code, 502);
    assert_eq!(standard().fetch(&get(&page.path).host("tls.test")).code, 200);
    assert_eq!(page.request().headers.get("X-Route"), Some("whichever"));
}

#[test]
fn a_long_poll_and_a_stream_get_what_is_published() {
    let channel = unique("ch");
    let mut stream = ask(&get(&holding("stream", &channel).path));
    stream.head();
    stream.expect_body("[opened]\n");
    for number in 0..50 {
        standard().publish_stream(&channel, &format!("data: {number}\n\n"));
    }
    for number in 0..50 {
        stream.expect_body(format!("data: {number}\n\n"));
    }
    standard().publish(json!({"channel": channel, "formats": {"http-stream": {"action": "close"}}}));
    stream.expect_body_end();
    let mut poll = ask(&get(&holding("response", &channel).path));
    standard().publish_until_answered(&mut poll, response_item(&channel, "answer"));
    assert_eq!(poll.response().text(), "answer");
}

#[test]
fn what_is_published_reaches_clients_with_and_without_tls_alike() {
    let channel = unique("ch");
    let page = holding("stream", &channel);
    let mut clients: Vec<Client> = (0..40)
        .map(|number| if number % 2 == 0 { ask(&get(&page.path)) } else { standard().ask(&get(&page.path)) })
        .collect();
    for client in &mut clients {
        client.head();
        client.expect_body("[opened]\n");
    }
    for number in 0..20 {
        standard().publish_stream(&channel, &format!("{number}\n"));
    }
    for client in &mut clients {
        (0..20).for_each(|number| client.expect_body(format!("{number}\n")));
    }
}

#[test]
fn a_connection_takes_one_request_after_the_other_and_several_at_once() {
    let page = Page::answering(Answer::text("ok"));
    let mut client = standard().connect_tls(EXACT);
    for _ in 0..3 {
        client.send(get(&page.path).bytes());
        assert_eq!(client.response().text(), "ok");
    }
    client.send(get(&page.path).bytes().repeat(3));
    for _ in 0..3 {
        assert_eq!(client.response().text(), "ok");
    }
    client.send(get(&page.path).header("Connection", "close").bytes());
    assert_eq!(client.response().text(), "ok");
    client.expect_closed();
}

#[test]
fn large_bodies_pass_both_ways_byte_for_byte() {
    let body = bytes(16 << 20);
    let echo = Page::handling(|request, socket| {
        let _ = socket.write_all(&Answer::new(200, "OK").body(request.body.clone()).bytes_for("POST"));
        Then::KeepOpen
    });
    let mut client = ask(&request("POST", &echo.path).body(body.clone()));
    let response = client.response();
    assert_eq!(response.code, 200);
    assert!(response.body == body, "the bodies differ; {} bytes came back", response.body.len());
}

#[test]
fn a_websocket_over_http_goes_by_tls() {
    let channel = unique("ch");
    let subscribe = control_event(json!({"type": "subscribe", "channel": channel}));
    let welcome = text_event("m:welcome");
    let application = Application::answering(move |events| match events {
        "OPEN\r\n" => format!("OPEN\r\n{subscribe}{welcome}"),
        _ => text_event("m:heard"),
    });
    let stream = tunnel(standard().https, EXACT);
    let mut socket = Socket::over(stream, "sockets.test", &application.page.path, &[]);
    assert_eq!(application.request().0.get("X-Forwarded-Proto"), Some("wss"));
    socket.expect_text("welcome");
    socket.await_subscription(standard(), &channel);
    socket.text("hello");
    socket.expect_text("heard");
    assert_eq!(application.request().0.get("X-Forwarded-Proto"), Some("wss"), "later requests say it too");
    standard().publish(json!({"channel": channel, "formats": {"ws-message": {"content": "news"}}}));
    socket.expect_text("news");
}

#[test]
fn a_websocket_passes_through_by_tls() {
    let application = Sockets::accepting(&[]);
    let stream = tunnel(standard().https, EXACT);
    let socket = Socket::over(stream, "pass.test", &application.page.path, &[]);
    let (mut client, mut server) = (Peer::client(&socket), application.peer());
    for payload in [&b"\x00\xff"[..], &bytes(100_000)] {
        client.send(BINARY, payload);
        server.expect(BINARY, payload);
        server.send(BINARY, payload);
        client.expect(BINARY, payload);
    }
}

#[test]
fn what_is_published_meanwhile_comes_behind_a_message_that_passes_by_tls() {
    pushpin_differs!("what is published within a message of the application is lost");
    let (application, channel) = (Sockets::speaking_grip(), unique("ch"));
    let socket = Socket::over(tunnel(standard().https, EXACT), "pass.test", &application.page.path, &[]);
    let (mut client, mut server) = (Peer::client(&socket), application.peer());
    subscribe(&mut client, &mut server, &channel);
    let mut witness = ask(&get(&holding("stream", &channel).path));
    witness.head();
    witness.expect_body("[opened]\n");
    server.part(TEXT, "m:begun ");
    client.expect_frame(TEXT, false, "begun ");
    for content in ["one", "two"] {
        let formats = json!({"ws-message": {"content": content}, "http-stream": {"content": content}});
        standard().publish(json!({"channel": channel, "formats": formats}));
        witness.expect_body(content);
    }
    server.send(CONTINUE, "and done");
    client.expect_frame(CONTINUE, true, "and done");
    client.expect_text("one");
    client.expect_text("two");
}

#[test]
fn what_is_published_waits_for_a_client_that_reads_late() {
    let channel = unique("ch");
    let page = holding("stream", &channel);
    let mut secure = handshake(standard().https, EXACT).expect("a handshake");
    // So that little is with the kernel.
    socket2::SockRef::from(&secure.sock).set_recv_buffer_size(64 * 1024).expect("SO_RCVBUF");
    secure.write_all(&get(&page.path).http_1_0().bytes()).expect("a request");
    let mut seen = Vec::new();
    while !seen.ends_with(b"[opened]\n") {
        let mut byte = [0];
        secure.read_exact(&mut byte).expect("the beginning of a stream");
        seen.push(byte[0]);
    }
    let messages: Vec<String> = (0..90).map(|number| format!("{number} {}\n", "x".repeat(10_000))).collect();
    messages.iter().for_each(|message| standard().publish_stream(&channel, message));
    for message in &messages {
        let mut came = vec![0; message.len()];
        secure.read_exact(&mut came).expect("a message");
        assert!(came == message.as_bytes(), "not {}", &message[..8]);
    }
}

/// The certificate that a client is shown.
fn shown(secure: &Secure) -> Vec<u8> {
    secure.conn.peer_certificates().expect("a certificate")[0].to_vec()
}

#[test]
fn a_host_is_shown_its_certificate_or_its_parents_or_the_ports() {
    for name in [EXACT, BELOW, OTHER] {
        handshake(standard().https, name).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let error = handshake(standard().https, "no.such.test").expect_err("a certificate for anything");
    assert!(error.to_string().contains("certificate not valid for name"), "{error}");
}

#[test]
fn who_names_no_host_is_shown_the_ports_certificate() {
    let mut config = tls::config();
    config.enable_sni = false;
    handshake_with(standard().https, OTHER, config).expect("a handshake");
}

/// How the handshake of a client with these wishes went, which then has an answer.
fn kind_of_handshake(config: ClientConfig, page: &Page) -> Option<HandshakeKind> {
    let mut secure = handshake_with(standard().https, EXACT, config).expect("a handshake");
    secure.write_all(&get(&page.path).header("Connection", "close").bytes()).expect("a request");
    let mut answer = Vec::new();
    let _ = secure.read_to_end(&mut answer);
    assert!(answer.ends_with(b"ok"), "{:?}", String::from_utf8_lossy(&answer));
    secure.conn.handshake_kind()
}

#[test]
fn each_version_is_spoken_and_sessions_go_on_whichever_core_the_next_connection_comes_to() {
    pushpin_differs!("1.36 speaks TLS 1.2 alone, and begins each session anew");
    let page = Page::answering(Answer::text("ok"));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = tls::config_of(&[version]);
        kind_of_handshake(config.clone(), &page);
        for _ in 0..8 {
            assert_eq!(kind_of_handshake(config.clone(), &page), Some(HandshakeKind::Resumed), "{version:?}");
        }
    }
}

#[test]
fn http_1_1_is_agreed_on() {
    pushpin_differs!("Pushpin agrees on no protocol by name");
    let mut config = tls::config();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let secure = handshake_with(standard().https, EXACT, config).expect("a handshake");
    assert_eq!(secure.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
}

/// Waits until a client is shown `certificate`.
fn await_shown(proxy: &Proxy, name: &str, certificate: &[u8]) {
    let deadline = Instant::now() + patience();
    while shown(&handshake(proxy.https, name).expect("a handshake")) != certificate {
        assert!(Instant::now() < deadline, "the new certificate of {name} is not shown");
    }
}

#[test]
fn a_new_certificate_is_shown_soon_and_nobody_is_dropped() {
    let (proxy, channel) = (secure(), unique("ch"));
    let mut stream = proxy.connect_tls(EXACT);
    stream.send(get(&holding("stream", &channel).path).bytes());
    stream.head();
    stream.expect_body("[opened]\n");
    let renewed = issue(&proxy.certificates(), EXACT, EXACT);
    await_shown(proxy, EXACT, &renewed);
    proxy.publish_stream(&channel, "still here\n");
    stream.expect_body("still here\n");
    // One of a host that had none, and one that cannot be used, which leaves the other in its place.
    let added = issue(&proxy.certificates(), OTHER, OTHER);
    await_shown(proxy, OTHER, &added);
    std::fs::write(proxy.certificates().join(format!("{EXACT}.crt")), "nothing").expect("a file");
    let added = issue(&proxy.certificates(), OTHER, OTHER);
    await_shown(proxy, OTHER, &added);
    await_shown(proxy, EXACT, &renewed);
}

#[test]
fn the_end_of_an_answer_is_told_from_its_being_cut() {
    pushpin_differs!("Pushpin says goodbye by TLS in either case");
    let whole = Page::answering(Answer::text("all of it"));
    let part = "x".repeat(300_000);
    let partial = Page::sending_raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n{part}"));
    for (page, is_whole) in [(&whole, true), (&partial, false)] {
        let mut secure = handshake(standard().https, EXACT).expect("a handshake");
        secure.write_all(&get(&page.path).header("Connection", "close").bytes()).expect("a request");
        let mut answer = Vec::new();
        let ended = secure.read_to_end(&mut answer);
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert_eq!(ended.is_ok(), is_whole, "{ended:?} after {} bytes", answer.len());
    }
}
