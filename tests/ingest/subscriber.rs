//! Subscribers of one channel on bare sockets, which compare what comes with what should.

use crate::server::Server;
use std::io::{Read, Write};
use std::net::TcpStream;

pub struct Subscriber {
    socket: TcpStream,
}

impl Subscriber {
    /// A held stream on `channel` of the demo application.
    pub fn stream(server: &Server, channel: &str) -> Subscriber {
        let request = format!("GET /hold?channel={channel} HTTP/1.1\r\nHost: x\r\n\r\n");
        Subscriber::open(server, &request, b"\r\n5\r\nheld\n\r\n")
    }

    /// A WebSocket on `channel` of the demo application.
    pub fn websocket(server: &Server, channel: &str) -> Subscriber {
        let request = format!(
            "GET /socket?channel={channel} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        Subscriber::open(server, &request, b"\x81\x04held")
    }

    fn open(server: &Server, request: &str, opened: &[u8]) -> Subscriber {
        let mut socket = server.connect();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(opened) {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap_or_else(|error| {
                panic!("{error} after {:?}", String::from_utf8_lossy(&answer));
            });
            answer.push(byte[0]);
        }
        Subscriber { socket }
    }

    /// The next bytes are these.
    pub fn expect(&mut self, expected: &[u8]) {
        let mut came = vec![0; expected.len()];
        self.socket.read_exact(&mut came).unwrap();
        assert_eq!(String::from_utf8_lossy(&came), String::from_utf8_lossy(expected));
    }

    /// The next chunk has this content.
    pub fn expect_chunk(&mut self, content: &str) {
        self.expect(format!("{:x}\r\n{content}\r\n", content.len()).as_bytes());
    }

    /// Collects chunks until `last` has come; their contents, which are lines.
    pub fn lines_until(&mut self, last: &str) -> Vec<String> {
        let mut came = Vec::new();
        let wanted = format!("{last}\n\r\n");
        while !came.ends_with(wanted.as_bytes()) {
            let mut part = [0; 4096];
            let length = self.socket.read(&mut part).unwrap();
            assert!(length > 0, "the stream ended");
            came.extend_from_slice(&part[..length]);
        }
        let text = String::from_utf8(came).unwrap();
        text.split("\r\n").skip(1).step_by(2).map(|line| line.trim_end().to_owned()).collect()
    }
}
