//! Tests the origin's GRIP answers over real connections: several requests at once, and requests in pieces.

use gripwire_loadgen::Origin;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

fn origin(threads: usize) -> Origin {
    Origin::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), threads).unwrap()
}

fn connect(origin: &Origin) -> TcpStream {
    let stream = TcpStream::connect(origin.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).expect("an answer");
        assert!(length > 0, "the origin closed: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..length]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn requests_that_come_together_are_answered_in_order() {
    let origin = origin(2);
    let mut stream = connect(&origin);
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let all = ["/hold?channel=a", "/poll?channel=b", "/events?channel=c"].map(request).concat();
    stream.write_all(all.as_bytes()).unwrap();
    let answers = read_until(&mut stream, "data: c\n\n");
    let channels: Vec<&str> =
        answers.split("Grip-Channel: ").skip(1).map(|rest| rest.split("\r\n").next().unwrap()).collect();
    assert_eq!(channels, ["a", "b", "c"]);
    assert_eq!(answers.matches("Grip-Hold: response").count(), 1);
}

#[test]
fn a_websocket_that_comes_in_pieces_is_subscribed() {
    let origin = origin(1);
    let mut stream = connect(&origin);
    let request = "POST /socket?channel=a HTTP/1.1\r\nContent-Type: application/websocket-events\r\n\
                   Content-Length: 6\r\n\r\nOPEN\r\n";
    for piece in request.as_bytes().chunks(7) {
        stream.write_all(piece).unwrap();
    }
    let answer = read_until(&mut stream, "m:held\r\n");
    assert!(answer.contains("\r\nContent-Type: application/websocket-events\r\n"), "{answer}");
    assert!(answer.contains("\r\nSec-WebSocket-Extensions: grip\r\n"), "{answer}");
    assert!(answer.contains(r#"c:{"type":"subscribe","channel":"a"}"#), "{answer}");
}

#[test]
fn many_answers_that_are_taken_late_all_arrive() {
    let origin = origin(1);
    let mut stream = connect(&origin);
    let count = 20_000;
    let writer = {
        let mut stream = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            let request = "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
            (0..count / 100).for_each(|_| stream.write_all(request.as_bytes()).unwrap());
        })
    };
    let (mut answers, mut part, mut ends) = (0, vec![0; 256 << 10], [0u8; 4]);
    while answers < count {
        let length = stream.read(&mut part).expect("an answer");
        assert!(length > 0);
        for &byte in &part[..length] {
            ends.rotate_left(1);
            ends[3] = byte;
            answers += usize::from(&ends == b"eld\n");
        }
    }
    writer.join().unwrap();
}

#[test]
fn nonsense_ends_the_connection_and_not_the_origin() {
    let origin = origin(1);
    let mut stream = connect(&origin);
    stream.write_all(b"nonsense\r\n\r\n").unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
    let mut stream = connect(&origin);
    stream.write_all(b"GET /hold HTTP/1.1\r\n\r\n").unwrap();
    assert!(read_until(&mut stream, "held\n").contains("Grip-Channel: demo"));
}
