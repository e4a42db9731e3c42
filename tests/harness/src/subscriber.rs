//! Subscribers of one channel of the built-in application, which compare what comes with what should.

use crate::server::Server;
use crate::socket::read_head;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A subscriber whose subscription is in force, and of which every byte counts.
pub struct Subscriber {
    reader: BufReader<TcpStream>,
}

impl Subscriber {
    /// A held stream on `channel`.
    pub fn stream(server: &Server, channel: &str) -> Subscriber {
        Subscriber::open(server.connect(), &format!("/hold?channel={channel}"), b"5\r\nheld\n\r\n")
    }

    /// The same on a connection of one's own.
    pub fn stream_over(socket: TcpStream, channel: &str) -> Subscriber {
        Subscriber::open(socket, &format!("/hold?channel={channel}"), b"5\r\nheld\n\r\n")
    }

    /// Server-Sent Events on `channel`, whose first event has come.
    pub fn events(server: &Server, channel: &str) -> Subscriber {
        let text = format!("retry: 1000\nevent: held\ndata: {channel}\n\n");
        let opening = format!("{:x}\r\n{text}\r\n", text.len());
        Subscriber::open(server.connect(), &format!("/events?channel={channel}"), opening.as_bytes())
    }

    /// A WebSocket on `channel`.
    pub fn websocket(server: &Server, channel: &str) -> Subscriber {
        let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        Subscriber::open_with(
            server.connect(),
            &format!("/socket?channel={channel}"),
            upgrade,
            b"\x81\x04held",
        )
    }

    fn open(socket: TcpStream, target: &str, opening: &[u8]) -> Subscriber {
        Subscriber::open_with(socket, target, "", opening)
    }

    fn open_with(mut socket: TcpStream, target: &str, headers: &str, opening: &[u8]) -> Subscriber {
        write!(socket, "GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").expect("a request is sent");
        let mut reader = BufReader::new(socket);
        let head = read_head(&mut reader);
        assert!(head.ends_with("\r\n\r\n"), "the head of {target} is cut: {head:?}");
        let mut subscriber = Subscriber { reader };
        subscriber.expect(opening);
        subscriber
    }

    /// The next bytes are these.
    pub fn expect(&mut self, expected: &[u8]) {
        let mut came = vec![0; expected.len()];
        let read = self.reader.read_exact(&mut came);
        read.unwrap_or_else(|error| panic!("{error} instead of {:?}", String::from_utf8_lossy(expected)));
        assert_eq!(String::from_utf8_lossy(&came), String::from_utf8_lossy(expected));
    }

    /// The next chunk has this content.
    pub fn expect_chunk(&mut self, content: &str) {
        self.expect(format!("{:x}\r\n{content}\r\n", content.len()).as_bytes());
    }

    /// Collects chunks until `last` has come; their contents, which are lines.
    pub fn lines_until(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != last) {
            let size = self.line();
            let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("the chunk size {size:?}"));
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).expect("a chunk");
            let text = String::from_utf8(chunk).expect("a chunk of UTF-8");
            lines.push(text.trim_end().to_owned());
        }
        lines
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}
