//! Publishers by every way there is, each of which numbers its messages in the ledger.

use crate::Run;
use gripwire::proto::grip::{compact, publish};
use gripwire_harness::client::Client;
use gripwire_harness::random::Random;
use gripwire_harness::request::request;
use gripwire_harness::server::Server;
use gripwire_harness::socket;
use gripwire_harness::zeromq::{self, tnetstring};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};
use zmq::SocketType;

/// Channels that have a witness, and after them some that nobody listens to all the time.
pub const WITNESSED: usize = 8;
pub const CHANNELS: usize = 12;

/// The name of a channel.
pub fn name(channel: usize) -> String {
    format!("churn-{channel}")
}

pub struct Publisher {
    sender: usize,
    way: Way,
}

enum Way {
    Http(Client),
    UnixStream(UnixStream),
    Udp(UdpSocket),
    CompactUdp(UdpSocket),
    UnixDatagram(UnixDatagram),
    Push(zmq::Socket),
    Command(zmq::Socket),
}

/// One for each way, and two for that which applications mostly take.
pub fn all(server: &Server) -> Vec<Publisher> {
    let http = || Way::Http(Client::over(socket::connect(server.control)));
    let udp = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server.udp.unwrap()).unwrap();
        socket
    };
    let datagram = UnixDatagram::unbound().unwrap();
    datagram.connect(server.file("d")).unwrap();
    let stream = UnixStream::connect(server.file("s")).unwrap();
    stream.set_read_timeout(Some(gripwire_harness::deadline::patience())).unwrap();
    let zeromq = |name, kind| zeromq::connect(&format!("ipc://{}", server.file(name).display()), kind);
    let ways = vec![
        http(),
        http(),
        Way::UnixStream(stream),
        Way::Udp(udp()),
        Way::CompactUdp(udp()),
        Way::UnixDatagram(datagram),
        Way::Push(zeromq("pull", SocketType::PUSH)),
        Way::Command(zeromq("command", SocketType::REQ)),
    ];
    ways.into_iter().enumerate().map(|(sender, way)| Publisher { sender, way }).collect()
}

impl Publisher {
    /// Publishes until time is up.
    pub fn publish(mut self, run: &Run, mut random: Random) {
        while run.publishing_goes_on() {
            let count = 1 + random.below(self.most_items());
            let mut channels: Vec<usize> = (0..count).map(|_| random.below(CHANNELS)).collect();
            if !self.is_answered() {
                // Its witness tells when the last of them has arrived.
                channels.push(random.below(WITNESSED));
            }
            let numbers: Vec<u64> = channels
                .iter()
                .map(|channel| run.ledger.begin(*channel, self.sender, self.is_answered()))
                .collect();
            let items =
                channels.iter().zip(&numbers).map(|(channel, number)| item(*channel, *number)).collect();
            self.send(items);
            if self.is_answered() {
                numbers.iter().for_each(|number| run.ledger.ack(*number));
            } else {
                numbers.last().into_iter().for_each(|last| run.ledger.await_ack(run, *last));
            }
        }
    }

    fn is_answered(&self) -> bool {
        matches!(self.way, Way::Http(_) | Way::UnixStream(_) | Way::Command(_))
    }

    /// A message of a PUSH socket is one item.
    fn most_items(&self) -> usize {
        if matches!(self.way, Way::Push(_)) { 1 } else { 6 }
    }

    fn send(&mut self, items: Vec<Value>) {
        let call = json!({ "items": items });
        let text = call.to_string();
        let post = || request("POST", "/publish/").host("localhost").body(text.as_str()).bytes();
        match &mut self.way {
            Way::Http(client) => {
                let answer = client.send(post()).response();
                assert_eq!((answer.code, answer.text()), (200, "Published\n"), "{text}");
            }
            Way::UnixStream(stream) => {
                stream.write_all(&post()).unwrap();
                expect_published(stream);
            }
            Way::Udp(socket) => assert_eq!(socket.send(text.as_bytes()).unwrap(), text.len()),
            Way::CompactUdp(socket) => {
                let datagram = compact::encode(&publish::parse(text.as_bytes()).unwrap());
                assert_eq!(socket.send(&datagram).unwrap(), datagram.len());
            }
            Way::UnixDatagram(socket) => assert_eq!(socket.send(text.as_bytes()).unwrap(), text.len()),
            Way::Push(socket) => {
                items.iter().for_each(|item| socket.send(&format!("J{item}"), 0).unwrap());
            }
            Way::Command(socket) => {
                let call = json!({"id": "churn", "method": "publish", "args": {"items": items}});
                socket.send(tnetstring(&call), 0).unwrap();
                let answer = zeromq::value(&socket.recv_bytes(0).unwrap());
                assert_eq!(answer["success"], true, "{answer}");
            }
        }
    }
}

fn expect_published(stream: &mut UnixStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"Published\n") {
        let mut block = [0; 1024];
        let count = stream.read(&mut block).unwrap();
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&block[..count]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{:?}", String::from_utf8_lossy(&answer));
}

/// A message for every kind of subscriber, which says its number.
fn item(channel: usize, number: u64) -> Value {
    let formats = json!({
        "http-response": {"body": number.to_string()},
        "http-stream": {"content": format!("data: {number}\n\n")},
        "ws-message": {"content": number.to_string()},
    });
    json!({"channel": name(channel), "formats": formats})
}
