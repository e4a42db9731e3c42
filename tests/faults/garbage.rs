//! Clients that speak no HTTP, and one that speaks all of it at once.

use gripwire_harness::innocent::Innocent;
use gripwire_harness::random::Random;
use gripwire_harness::server::Server;
use gripwire_harness::socket::connect;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

#[test]
fn garbage_on_either_port_costs_nobody_anything() {
    let server = Server::start("* demo", "");
    let innocent = Innocent::beside(&server);
    let mut random = Random::new(7);
    for round in 0..2_000 {
        let port = if round % 2 == 0 { server.clients } else { server.control };
        let mut client = connect(port);
        let length = random.below(3_000);
        let mut garbage = random.bytes(length);
        if random.one_in(2) {
            garbage.splice(..0, b"POST /publish/ HTTP/1.1\r\nHost: localhost\r\n".iter().copied());
        }
        // The server may have closed before all is sent.
        let _ = client.write_all(&garbage);
        let _ = client.shutdown(Shutdown::Write);
        let _ = client.read_to_end(&mut Vec::new());
    }
    let answer = server.ask(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    innocent.expect_unharmed(Duration::from_secs(5));
    server.await_empty();
}

#[test]
fn thousands_of_requests_in_one_write_are_all_answered_in_order() {
    let server = Server::start("* demo", "");
    let mut client = server.connect();
    let requests: String = (0..5_000)
        .map(|number| match number % 2 {
            0 => "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
            _ => "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        })
        .collect();
    let mut writer = client.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(requests.as_bytes()).unwrap());
    let mut lines = BufReader::new(&mut client).lines().map(Result::unwrap);
    for number in 0..5_000 {
        let status = lines.find(|line| line.starts_with("HTTP/1.1 ")).unwrap();
        let expected = if number % 2 == 0 { "HTTP/1.1 200 OK" } else { "HTTP/1.1 404 Not Found" };
        assert_eq!(status, expected, "answer {number}");
    }
    writing.join().unwrap();
}
