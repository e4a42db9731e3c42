//! Clients that die at any byte.

use gripwire_harness::deadline::patience;
use gripwire_harness::random::Random;
use gripwire_harness::server::Server;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// A ping, a message and a close, masked with zeros.
const FRAMES: &[u8] = b"\x89\x80\0\0\0\0\x81\x93\0\0\0\0{\"message\":\"hello\"}\x88\x82\0\0\0\0\x03\xe8";
const WARM_UP: usize = 20_000;
const DEATHS: usize = 100_000;
const THREADS: usize = 8;
/// What the allocator may keep. A leak of a row, a buffer or a head in every tenth connection would be more.
const SLACK_BYTES: u64 = 6 * 1024 * 1024;

#[test]
fn a_hundred_thousand_clients_that_die_at_any_byte_leave_nothing_behind() {
    let server = Server::start("* demo,over_http", "");
    die(&server, WARM_UP, 1);
    server.await_empty();
    let (memory, files) = (server.memory_bytes("VmRSS"), server.files());
    die(&server, DEATHS, 1_000);
    let stats = server.await_empty();
    assert!(stats["connections_total"] >= (WARM_UP + DEATHS) as u64, "{stats:?}");
    assert!(stats["holds_total"] > 1_000 && stats["publications_total"] > 1_000, "{stats:?}");
    assert_eq!(server.files(), files);
    let grown = server.memory_bytes("VmRSS").saturating_sub(memory);
    assert!(grown < SLACK_BYTES, "{grown} bytes more");
}

fn die(server: &Server, count: usize, seed: u64) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            scope.spawn(move || {
                let mut random = Random::new(seed + thread);
                (0..count / THREADS).for_each(|_| one_death(server, &mut random));
            });
        }
    });
}

/// Connects, sends a part or all of a request, perhaps reads a part of the answer, and leaves in one of two ways.
fn one_death(server: &Server, random: &mut Random) {
    let (to, request) = request(server, random);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = SocketAddr::from(([127, 0, 4, 1 + random.below(200) as u8], 0));
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_read_timeout(Some(patience())).unwrap();
    let whole = random.one_in(2);
    let sent = if whole { request.len() } else { random.below(request.len()) };
    let mut socket = socket;
    socket.write_all(&request[..sent]).unwrap();
    if whole && random.one_in(2) {
        let mut answer = vec![0; 1 + random.below(300)];
        // A poll has no answer yet.
        if !request.starts_with(b"GET /poll") {
            let _ = socket.read(&mut answer);
        }
    }
    if random.one_in(2) {
        // A reset instead of an orderly end.
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

fn request(server: &Server, random: &mut Random) -> (SocketAddr, Vec<u8>) {
    let channel = random.below(50);
    let request = match random.below(10) {
        0 => "GET /events HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        1 | 2 => format!("GET /hold?channel=c{channel} HTTP/1.1\r\nHost: x\r\n\r\n"),
        3 => "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        4 => "POST /send HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nmessage=a".into(),
        5 => {
            "POST /send HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nmessage=b\r\n0\r\n\r\n"
                .into()
        }
        8 | 9 => {
            let head = format!(
                "GET /socket?channel=c{channel} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            return (server.clients, [head.as_bytes(), FRAMES].concat());
        }
        6 => "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1 + random.below(5)),
        _ => {
            let content = "m".repeat(1 + random.below(2_000));
            let body = format!(
                r#"{{"items":[{{"channel":"c{channel}","formats":{{"http-stream":{{"content":"{content}"}}}}}}]}}"#
            );
            let length = body.len();
            let head =
                format!("POST /publish/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
            return (server.control, (head + &body).into_bytes());
        }
    };
    (server.clients, request.into_bytes())
}
