//! Clients that send or take next to nothing, for as long as they are let, and honest ones that are merely slow.

use crate::DEADLINE;
use gripwire_harness::deadline::{await_some, patience};
use gripwire_harness::innocent::Innocent;
use gripwire_harness::origin::{Answer, Origin};
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::socket::{patient, read_head};
use gripwire_harness::tls::{EXACT, config, handshake_over};
use gripwire_harness::unique;
use serde_json::json;
use socket2::{Domain, Socket, Type};
use std::io::{self, BufReader, Read, Write, copy, sink};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const ATTACKERS: usize = 1_010;
/// High enough that they are found out within seconds: who is innocent is not slow at all.
const HIGH_RATES: &str = "[http]\nmin_request_bytes_per_s = 20000\nmin_answer_bytes_per_s = 20000\nrate_grace_ms = 1000\n[limits]\nmemory_bytes = 0";
/// The log says so.
const WARNINGS: [&str; 2] = ["--log", "warn"];
/// Bodies of so many attackers are passed on as they come.
const STREAMED: usize = 50;
/// Attackers that ask for a large answer of an application; of the others one in ten has a WebSocket, and nine hold streams.
const RELAYED: usize = 300;
/// Attackers beside these that ask by TLS.
const SECURE: usize = 10;
/// Far more than the kernel keeps for a client that does not read.
const LARGE_BYTES: usize = 2_000_000;
/// The same for what is published, of which the server keeps less than its bound for each.
const PUBLISHED_BYTES: usize = 500_000;
/// Steady clients move bytes so often.
const STEP: Duration = Duration::from_millis(100);

/// A connection from another address than the innocent's, whose kernel takes little of what it is sent.
fn connect(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).expect("another address");
    socket.connect(&address.into()).expect("a connection");
    patient(socket.into())
}

fn ask(server: &Server, request: &str) -> TcpStream {
    let mut client = connect(server.clients);
    client.write_all(request.as_bytes()).expect("a request is sent");
    client
}

fn large_application() -> Origin {
    Origin::answering(Answer::text(&"x".repeat(LARGE_BYTES)))
}

/// A request for a WebSocket on `channel`.
fn upgrade(channel: &str, host: &str) -> String {
    format!(
        "GET /socket?channel={channel} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Reads what the built-in application says when a subscription is in force.
fn await_held(mut client: &TcpStream) {
    let (mut came, mut part) = (Vec::new(), [0; 512]);
    while !came.windows(4).any(|window| window == b"held") {
        let count = client.read(&mut part).expect("it is held");
        assert!(count > 0, "{:?}", String::from_utf8_lossy(&came));
        came.extend_from_slice(&part[..count]);
    }
}

/// Takes `bytes` at each step until the connection has given `most`, or ends; how many came.
fn read_steadily(client: &mut impl Read, bytes: usize, most: usize) -> usize {
    let (mut part, mut came) = (vec![0; bytes], 0);
    let mut next = Instant::now();
    while came < most {
        let wanted = bytes.min(most - came);
        let count = client.read(&mut part[..wanted]).unwrap_or(0);
        if count == 0 {
            break;
        }
        came += count;
        // It is slow: that is what is tested.
        next += STEP * count as u32 / bytes as u32;
        sleep(next.saturating_duration_since(Instant::now()));
    }
    came
}

#[test]
fn bodies_that_come_by_drops_are_refused_and_applications_are_not_kept_waiting() {
    let (gave_up, given_up) = channel();
    let application = Origin::raw(move |mut server| {
        let _ = copy(&mut server, &mut sink());
        let _ = gave_up.send(());
    });
    let server = Launch::route(&application.route())
        .and_route(Innocent::ROUTE)
        .settings(HIGH_RATES)
        .options(&WARNINGS)
        .start();
    let innocent = Innocent::beside(&server);
    let begin = |number| {
        // Up to 10,000 bytes are read before the application is asked.
        let begun = "x".repeat(if number < STREAMED { 12_000 } else { 1 });
        let head = "POST /slow HTTP/1.1\r\nHost: any.test\r\nContent-Length: 100000\r\n\r\n";
        let client = ask(&server, &format!("{head}{begun}"));
        client.set_nonblocking(true).expect("a socket that does not block");
        (client, String::new())
    };
    let mut attackers: Vec<(TcpStream, String)> = (0..ATTACKERS).map(begin).collect();
    await_some("all are answered", || {
        for (client, answer) in attackers.iter_mut().filter(|(_, answer)| answer.is_empty()) {
            let mut part = [0; 1024];
            match client.read(&mut part) {
                Ok(count) => answer.push_str(&String::from_utf8_lossy(&part[..count])),
                Err(_) => drop(client.write(b"x")),
            }
        }
        attackers.iter().all(|(_, answer)| !answer.is_empty()).then_some(())
    });
    for (_, answer) in &attackers {
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("Connection: close"), "{answer}");
    }
    for number in 0..STREAMED {
        given_up.recv_timeout(patience()).unwrap_or_else(|_| panic!("{number} of {STREAMED} are given up"));
    }
    assert_eq!(server.stats()["slow_bodies_total"], ATTACKERS as u64);
    server.log().await_next("their bodies came too slowly");
    innocent.expect_unharmed(DEADLINE);
    drop(attackers);
    server.await_empty();
}

#[test]
fn readers_that_take_next_to_nothing_are_reset_whatever_they_are_sent() {
    let application = large_application();
    let server = Launch::route(&application.route())
        .and_route("held.test demo,over_http")
        .and_route(Innocent::ROUTE)
        .tls()
        .settings(HIGH_RATES)
        .options(&WARNINGS)
        .start();
    let innocent = Innocent::beside(&server);
    let stream = unique("slow");
    let hold = format!("GET /hold?channel={stream} HTTP/1.1\r\nHost: held.test\r\n\r\n");
    let socket = upgrade(&stream, "held.test");
    let large = "GET /large HTTP/1.1\r\nHost: any.test\r\n\r\n";
    let request = |number| match number {
        _ if number < RELAYED => large,
        _ if number % 10 == 9 => &socket,
        _ => &hold,
    };
    let mut attackers: Vec<TcpStream> = (0..ATTACKERS).map(|number| ask(&server, request(number))).collect();
    for client in &attackers[RELAYED..] {
        await_held(client);
    }
    let secure_port = server.tls.expect("a port for TLS");
    let secure: Vec<_> = (0..SECURE)
        .map(|_| {
            let mut client = handshake_over(connect(secure_port), EXACT, config()).expect("a handshake");
            client.write_all(large.as_bytes()).expect("a request is sent");
            client
        })
        .collect();
    let much = "x".repeat(PUBLISHED_BYTES);
    server.publish(&stream, &much);
    server.publish_format(&stream, "ws-message", json!({ "content": much }));
    for client in &attackers {
        client.set_nonblocking(true).expect("a socket that does not block");
    }
    await_some("all are found out", || {
        for client in attackers.iter_mut().step_by(2) {
            let _ = client.read(&mut [0]);
        }
        (server.stats()["slow_readers_total"] == (ATTACKERS + SECURE) as u64).then_some(())
    });
    attackers.extend(secure.into_iter().map(|client| client.sock));
    for client in &mut attackers {
        client.set_nonblocking(false).expect("a socket that blocks");
        let ended = copy(client, &mut sink()).map_err(|error| error.kind());
        assert_eq!(ended, Err(io::ErrorKind::ConnectionReset));
    }
    server.log().await_next("too slowly (http.min_answer_bytes_per_s)");
    innocent.expect_unharmed(DEADLINE);
    server.await_empty();
}

#[test]
fn who_moves_20_kilobytes_a_second_is_never_cut_by_the_usual_rates() {
    let application = large_application();
    // Windows that a pause of this machine does not fill, and a transfer of more than two.
    let server = Server::start(&application.route(), "[http]\nrate_grace_ms = 2000");
    let mut reader = ask(&server, "GET /large HTTP/1.1\r\nHost: any.test\r\nConnection: close\r\n\r\n");
    let mut writer = ask(&server, "POST / HTTP/1.1\r\nHost: any.test\r\nContent-Length: 100000\r\n\r\n");
    let reads = thread::spawn(move || {
        let came = read_steadily(&mut reader, 2_000, 100_000);
        came as u64 + copy(&mut reader, &mut sink()).expect("the rest comes at once")
    });
    for _ in 0..50 {
        writer.write_all(&[b'x'; 2_000]).expect("the server takes the body");
        sleep(STEP); // It is slow: that is what is tested.
    }
    assert!(read_head(&mut BufReader::new(writer)).starts_with("HTTP/1.1 200 "));
    let came = reads.join().expect("the reader ends");
    assert!(came > LARGE_BYTES as u64, "{came} bytes");
    let stats = server.stats();
    assert_eq!((stats["slow_bodies_total"], stats["slow_readers_total"]), (0, 0));
}

#[test]
fn an_answer_that_is_taken_steadily_puts_off_every_timeout() {
    let settings =
        "[http]\nidle_timeout_ms = 2500\n[websocket]\nping_interval_ms = 2000\npong_timeout_ms = 2500";
    let server = Launch::demo().settings(settings).start();
    let name = unique("steady");
    let poll = |more| format!("GET /poll?channel={name} HTTP/1.1\r\nHost: any.test\r\n{more}\r\n");
    // The end of the connection follows, another request may, and there is no end.
    let requests = [poll("Connection: close\r\n"), poll(""), upgrade(&name, "any.test")];
    let clients = requests.map(|request| ask(&server, &request));
    server.await_stats(|stats| stats["holds_total"] == 3);
    let body = "x".repeat(LARGE_BYTES / 4);
    server.publish_format(&name, "http-response", json!({ "body": body }));
    server.publish_format(&name, "ws-message", json!({ "content": body }));
    // For five seconds, of which the kernel has everything in the last one or two.
    let readers = clients.map(|client| {
        thread::spawn(move || {
            let mut reader = BufReader::new(client);
            read_head(&mut reader);
            read_steadily(&mut reader, LARGE_BYTES / 4 / 50, LARGE_BYTES / 4)
        })
    });
    for reader in readers {
        assert_eq!(reader.join().expect("the reader ends"), LARGE_BYTES / 4);
    }
}

#[test]
fn bytes_behind_a_request_do_not_put_off_the_timeout_of_its_answer() {
    let application = large_application();
    let settings = "[http]\nidle_timeout_ms = 1000\nmin_request_bytes_per_s = 0\nmin_answer_bytes_per_s = 0";
    let server = Server::start(&application.route(), settings);
    let mut client = ask(&server, "GET /large HTTP/1.1\r\nHost: any.test\r\n\r\n");
    await_some("the connection ends", || client.write_all(b"G").is_err().then_some(()));
    assert_eq!(server.stats()["slow_readers_total"], 0, "it is the timeout that ends it");
}
