//! Bodies far larger than the server's memory may grow.

use gripwire_harness::deadline::patience;
use gripwire_harness::origin::Origin;
use gripwire_harness::server::Server;
use gripwire_harness::socket::read_head;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::time::Duration;

const GIBIBYTE: u64 = 1 << 30;
const PIECE: usize = 64 * 1024;
/// What the server may grow by while such a body passes.
const GROWTH_BYTES: u64 = 24 * 1024 * 1024;

#[test]
fn a_gibibyte_goes_up_in_constant_memory() {
    let origin = discarding_origin();
    let server = Server::start(&origin.route(), "");
    small_upload(&server);
    let before = server.memory_bytes("VmHWM");
    let mut client = server.connect();
    write!(client, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {GIBIBYTE}\r\n\r\n")
        .unwrap();
    write_bytes(&mut client, GIBIBYTE);
    assert_eq!(answer_body(client), GIBIBYTE.to_string());
    assert_bounded(&server, before);
}

#[test]
fn a_chunked_upload_goes_up_in_constant_memory() {
    let origin = discarding_origin();
    let server = Server::start(&origin.route(), "");
    small_upload(&server);
    let before = server.memory_bytes("VmHWM");
    let mut client = server.connect();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = [format!("{PIECE:x}\r\n").as_bytes(), &[b'u'; PIECE], b"\r\n"].concat();
    let count = GIBIBYTE / 4 / PIECE as u64;
    (0..count).for_each(|_| client.write_all(&chunk).unwrap());
    client.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(answer_body(client), (GIBIBYTE / 4).to_string());
    assert_bounded(&server, before);
}

#[test]
fn a_gibibyte_comes_down_in_constant_memory() {
    for framing in [format!("Content-Length: {GIBIBYTE}\r\n"), String::new()] {
        let origin = Origin::raw(move |mut client| {
            read_head(&mut BufReader::new(&client));
            write!(client, "HTTP/1.1 200 OK\r\n{framing}Connection: close\r\n\r\n").unwrap();
            write_bytes(&mut client, GIBIBYTE);
        });
        let server = Server::start(&origin.route(), "");
        let before = server.memory_bytes("VmHWM");
        let mut client = server.connect();
        // To a client of HTTP/1.0 a body of unknown length is not chunked, so that its bytes can be counted.
        client.write_all(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
        let mut reader = BufReader::with_capacity(PIECE, client);
        assert!(read_head(&mut reader).contains(" 200 OK\r\n"));
        assert_eq!(std::io::copy(&mut reader, &mut std::io::sink()).unwrap(), GIBIBYTE);
        assert_bounded(&server, before);
    }
}

#[test]
fn a_client_that_stops_reading_stops_the_application() {
    let (stalled, stalls) = channel();
    let origin = Origin::raw(move |mut client| {
        client.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
        read_head(&mut BufReader::new(&client));
        client.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").unwrap();
        let (piece, mut written) = ([b'd'; PIECE], 0);
        loop {
            match client.write(&piece) {
                Ok(count) => written += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
            assert!(written < GIBIBYTE, "nothing holds the application back");
        }
        stalled.send(written).unwrap();
    });
    let server = Server::start(&origin.route(), "");
    let before = server.memory_bytes("RssAnon");
    let mut client = server.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let written = stalls.recv_timeout(patience()).expect("the application was held back");
    let kept = server.memory_bytes("RssAnon").saturating_sub(before);
    assert!(kept < GROWTH_BYTES / 8, "{kept} bytes kept of {written}");
    drop(client);
    server.await_empty();
}

fn assert_bounded(server: &Server, before: u64) {
    let grown = server.memory_bytes("VmHWM") - before;
    assert!(grown < GROWTH_BYTES, "{grown} bytes more");
}

/// What a first request allocates for good is no growth.
fn small_upload(server: &Server) {
    let answer =
        server.ask(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc");
    assert!(answer.ends_with("\r\n\r\n3"), "{answer}");
}

fn write_bytes(socket: &mut TcpStream, count: u64) {
    let piece = [b'b'; PIECE];
    let mut left = count;
    while left > 0 {
        let now = left.min(PIECE as u64) as usize;
        socket.write_all(&piece[..now]).unwrap();
        left -= now as u64;
    }
}

fn answer_body(mut client: TcpStream) -> String {
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Answers each request with the length of its body.
pub fn discarding_origin() -> Origin {
    Origin::raw(|client| {
        let mut reader = BufReader::with_capacity(PIECE, &client);
        let head = read_head(&mut reader).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let received = match length {
            Some(length) => {
                let mut body = reader.take(length.parse().unwrap());
                std::io::copy(&mut body, &mut std::io::sink()).unwrap()
            }
            None => discard_chunks(&mut reader),
        };
        let received = received.to_string();
        let length = received.len();
        write!(&client, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{received}")
            .unwrap();
    })
}

fn discard_chunks(reader: &mut impl std::io::BufRead) -> u64 {
    let mut received = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let size = u64::from_str_radix(line.trim(), 16).unwrap();
        std::io::copy(&mut reader.take(size + 2), &mut std::io::sink()).unwrap();
        received += size;
        if size == 0 {
            return received;
        }
    }
}
