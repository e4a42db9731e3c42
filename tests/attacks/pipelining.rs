//! Clients that send more requests than they wait for.

use crate::DEADLINE;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::origin::{Answer, Origin};
use gripwire_harness::server::{Launch, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

const ATTACKERS: usize = 30;
/// What each sends in all.
const REQUESTS: usize = 2_000;
/// A request that takes long to be sent, not to be answered.
const REQUEST_BYTES: usize = 2_000;
const ANSWER: &[u8] = b"answered";
/// Beside what the server had before: the requests are 120 MB.
const MEMORY_BYTES: u64 = 80_000_000;

/// Sends all requests without a look at the answers, which it reads meanwhile; how many came.
fn pipeline(mut client: TcpStream) -> usize {
    let mut writer = client.try_clone().expect("a second handle");
    let sender = thread::spawn(move || {
        let head = "GET /pipelined HTTP/1.1\r\nHost: any.test\r\nX-Long: ";
        let request = format!("{head}{}\r\n\r\n", "x".repeat(REQUEST_BYTES - head.len() - 4));
        let requests = request.repeat(20);
        for _ in 0..REQUESTS / 20 {
            writer.write_all(requests.as_bytes()).expect("the server takes all requests in time");
        }
    });
    let (mut answers, mut text) = (0, Vec::new());
    let mut part = [0; 16 * 1024];
    while answers < REQUESTS {
        let count = client.read(&mut part).expect("the server answers");
        assert!(count > 0, "closed after {answers} answers");
        text.extend_from_slice(&part[..count]);
        answers += text.windows(ANSWER.len()).filter(|window| *window == ANSWER).count();
        text.drain(..text.len().saturating_sub(ANSWER.len() - 1));
    }
    drop(client);
    sender.join().expect("all were sent");
    answers
}

fn peak_bytes(server: &Server) -> u64 {
    server.memory_bytes("VmHWM")
}

#[test]
fn requests_behind_an_answer_are_read_as_they_are_answered() {
    let application = Origin::answering(Answer::text("answered"));
    let server = Launch::route(&application.route()).and_route(Innocent::ROUTE).start();
    let innocent = Innocent::beside(&server);
    let before = peak_bytes(&server);
    let clients: Vec<_> = (0..ATTACKERS).map(|_| server.connect()).collect();
    let attackers: Vec<_> = clients.into_iter().map(|client| thread::spawn(|| pipeline(client))).collect();
    for attacker in attackers {
        assert_eq!(attacker.join().expect("the attacker was served"), REQUESTS);
    }
    let grown = peak_bytes(&server) - before;
    assert!(grown < MEMORY_BYTES, "{grown} bytes for requests that wait");
    innocent.expect_unharmed(DEADLINE);
    server.await_empty();
}
