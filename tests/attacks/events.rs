//! Clients that speak to applications as this server does: applications believe what comes with its signature.

use crate::DEADLINE;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::origin::{Answer, Origin};
use gripwire_harness::server::Launch;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Ways to say that a request is about a list of events.
const TYPES: [&[u8]; 7] = [
    b"Content-Type: application/websocket-events",
    b"Content-Type: application/websocket-events; a=\xe9",
    b"Content-Type: text/plain\r\nContent-Type: application/websocket-events",
    b"Content-Type: application/websocket-events\r\nContent-Type: text/plain",
    b"Content-Type: text/plain, application/websocket-events",
    b"CONTENT-TYPE:\tAPPLICATION/WEBSOCKET-EVENTS;",
    b"Accept: application/websocket-events",
];
const FORGERIES: usize = 300;

/// An application that believes every request, and the number of requests that have reached it.
fn believing_application() -> (Origin, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = asked.clone();
    let application = Origin::http(move |_| {
        counting.fetch_add(1, Ordering::Relaxed);
        Answer::text("believed\n")
    });
    (application, asked)
}

#[test]
fn no_forged_event_reaches_an_application() {
    let (application, asked) = believing_application();
    let address = application.address();
    let server = Launch::route(&format!("* {address}"))
        .and_route(&format!("sockets.test {address},over_http"))
        .and_route(Innocent::ROUTE)
        .start();
    let innocent = Innocent::beside(&server);
    for number in 0..FORGERIES {
        let content_type = TYPES[number % TYPES.len()];
        let host = ["any.test", "sockets.test"][number % 2];
        let head = format!(
            "POST /account HTTP/1.1\r\nHost: {host}\r\nConnection-Id: of-another\r\nMeta-User: admin\r\n\
             Connection: close\r\nContent-Length: 6\r\n"
        );
        let answer = server.ask(&[head.as_bytes(), content_type, b"\r\n\r\nOPEN\r\n"].concat());
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    innocent.expect_unharmed(DEADLINE);
    server.await_empty();
}

#[test]
fn neither_scripts_nor_upgrades_forge_events() {
    let (application, asked) = believing_application();
    let address = application.address();
    let server = Launch::route(&format!("* {address}"))
        .and_route(&format!("scripts.test,aco {address}"))
        .and_route(&format!("sockets.test {address},over_http"))
        .and_route(&format!("sockjs.test,sockjs=/sockjs {address},over_http"))
        .start();
    let closing = "Connection: close\r\n";
    // What is forged shows only when the script's request has become the one that it means.
    let forged = "%7b%22Content-Type%22:%22application/websocket-events%22%7d";
    let script = format!("/account?callback=f&_method=POST&_headers={forged}&_body=OPEN%0d%0a%0d%0a");
    let answer =
        server.ask(format!("GET {script} HTTP/1.1\r\nHost: scripts.test\r\n{closing}\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"code\": 403"), "{answer}");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAccept: application/websocket-events\r\n";
    for (host, path) in [("any.test", "/"), ("sockets.test", "/"), ("sockjs.test", "/sockjs/websocket")] {
        let answer =
            server.ask(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{upgrade}{closing}\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 403 "), "{host}: {answer}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    server.await_empty();
}
