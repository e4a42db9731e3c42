//! Applications that are down, do not answer, or vanish at any byte of an answer.

use gripwire_harness::origin::Origin;
use gripwire_harness::server::Server;
use gripwire_harness::socket::read_head;
use std::io::{BufReader, Write};
use std::net::TcpStream;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[test]
fn an_application_that_is_down_is_a_bad_gateway() {
    let origin = Origin::refusing();
    let answer = Server::start(&origin.route(), "").ask(GET);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nError while proxying to origin.\n"), "{answer}");
}

#[test]
fn an_application_that_accepts_nothing_is_a_bad_gateway_within_the_connect_timeout() {
    let origin = Origin::deaf();
    let answer = Server::start(&origin.route(), "connect_timeout_ms = 300").ask(GET);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[test]
fn an_answer_that_is_cut_at_any_byte_never_looks_whole() {
    let answers = [
        "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 11\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\nGrip-Channel: c\r\nContent-Length: 11\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\nContent-Type: application/grip-instruct\r\nContent-Length: 60\r\n\r\n\
         {\"hold\":{\"mode\":\"response\",\"channels\":[{\"name\":\"c\"}]}}      ",
    ];
    let cut = move |mut client: TcpStream| {
        let head = read_head(&mut BufReader::new(&client));
        let mut numbers = head.split(['/', ' ']).filter_map(|part| part.parse::<usize>().ok());
        let (answer, length) = (answers[numbers.next().unwrap()], numbers.next().unwrap());
        client.write_all(&answer.as_bytes()[..length]).unwrap();
    };
    let origin = Origin::raw(cut);
    let server = Server::start(&origin.route(), "");
    for (index, answer) in answers.iter().enumerate() {
        for length in 0..answer.len() {
            let request = format!("GET /{index}/{length} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let got = server.ask(request.as_bytes());
            let refused = got.starts_with("HTTP/1.1 502 ");
            assert!(refused || !looks_whole(&got), "cut at {length} of {answer:?}: {got:?}");
        }
    }
    server.await_empty();
}

/// Whether a client takes this for a complete answer.
fn looks_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("\r\n0\r\n\r\n");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.is_none_or(|length: usize| body.len() >= length)
}
