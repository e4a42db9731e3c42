//! A server that a test controls: it accepts subscribers, greets them as Gripwire would, and sends the test's data.

use gripwire_loadgen::{Message, Transport, now_ns};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub struct Script {
    address: SocketAddrV4,
    accepted: Receiver<TcpStream>,
    clients: Vec<TcpStream>,
    transport: Transport,
}

impl Script {
    /// Listens. Each client is greeted by a separate thread.
    pub fn start(transport: Transport) -> Script {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else { unreachable!() };
        let (sender, accepted) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let mut greeted = stream.try_clone().unwrap();
                if transport != Transport::Poll {
                    read_request(&mut stream);
                }
                // Before the greeting: a subscriber that is open is known here. Sending fails only when the test is over.
                if sender.send(stream).is_err() {
                    return;
                }
                if transport != Transport::Poll {
                    greeted.write_all(&greeting(transport)).unwrap();
                }
            }
        });
        Script { address, accepted, clients: Vec::new(), transport }
    }

    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Waits for one more subscriber.
    pub fn accept(&mut self) {
        self.clients.push(self.accepted.recv_timeout(Duration::from_secs(20)).expect("a subscriber"));
    }

    /// Sends to all subscribers that have been greeted.
    pub fn send_to_all(&mut self, bytes: &[u8]) {
        self.clients.extend(self.accepted.try_iter());
        assert!(!self.clients.is_empty());
        self.clients.iter_mut().for_each(|client| client.write_all(bytes).unwrap());
    }

    /// Waits for the next request of subscriber `index`.
    pub fn await_request(&mut self, index: usize) {
        if self.clients.len() <= index {
            self.accept();
        }
        let request = read_request(&mut self.clients[index]);
        assert!(request.starts_with("GET /poll?channel=load-0 HTTP/1.1\r\n"), "{request}");
    }

    pub fn answer_poll(&mut self, text: &str) {
        assert_eq!(self.transport, Transport::Poll);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}\n", text.len() + 1);
        self.send_to_all(answer.as_bytes());
    }

    pub fn close_all(&mut self) {
        self.clients.extend(self.accepted.try_iter());
        self.clients.clear();
    }
}

/// A published message of 60 bytes, due now.
pub fn message(channel: u32, sequence: u32) -> String {
    let mut text = Vec::new();
    Message { channel, sequence, due_ns: now_ns() }.write(60, &mut text);
    String::from_utf8(text).unwrap()
}

/// `text` as a line of a stream, in a chunk.
pub fn line(text: &str) -> Vec<u8> {
    chunk(&format!("{text}\n"))
}

/// `text` as an event, in a chunk.
pub fn event(text: &str) -> Vec<u8> {
    chunk(&format!("data: {text}\n\n"))
}

/// `text` as a WebSocket's frame.
pub fn socket_frame(text: &str) -> Vec<u8> {
    assert!(text.len() <= 125);
    [&[0x81, text.len() as u8], text.as_bytes()].concat()
}

fn chunk(content: &str) -> Vec<u8> {
    format!("{:x}\r\n{content}\r\n", content.len()).into_bytes()
}

fn greeting(transport: Transport) -> Vec<u8> {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    match transport {
        Transport::Stream => [&head[..], &line("held")].concat(),
        Transport::Sse => [&head[..], &event("load-0")].concat(),
        Transport::Websocket => {
            [&b"HTTP/1.1 101 Switching Protocols\r\n\r\n"[..], &socket_frame("held")].concat()
        }
        Transport::Poll => Vec::new(),
    }
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).expect("a request"), 1, "the subscriber is gone");
        request.push(byte[0]);
    }
    String::from_utf8(request).unwrap()
}
