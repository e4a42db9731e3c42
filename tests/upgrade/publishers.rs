//! Publishers by every way, each of which publishes to the channels of its groups as long as the test lasts.

use crate::content::{CHANNELS, Channel, Group, Numbers};
use gripwire_harness::client::{Client, Response};
use gripwire_harness::request::request;
use gripwire_harness::server::Server;
use gripwire_harness::{deadline, socket, zeromq};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What all publishers share.
#[derive(Clone)]
pub struct Office {
    pub numbers: Arc<Numbers>,
    /// How many of the large items the slowest client has not read.
    pub behind: Arc<AtomicU64>,
    /// Whether the server may close connections between two calls, as at a drain.
    pub ends_allowed: Arc<AtomicBool>,
    /// The time between two items of a channel.
    pub interval: Duration,
}

/// Publishers at work. A failure of one of them shows in [`stop`](Publishers::stop).
pub struct Publishers {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Publishers {
    /// Starts them.
    pub fn start(server: &Server, office: Office) -> Publishers {
        let is_over = Arc::new(AtomicBool::new(false));
        let start = |group: Group| {
            let way = Way::open(group, server);
            let (office, is_over) = (office.clone(), is_over.clone());
            let name = format!("publisher of {group:?}");
            let run = move || publish(way, group, &office, &is_over);
            std::thread::Builder::new().name(name).spawn(run).expect("a thread")
        };
        let threads = Group::ALL.into_iter().map(start).collect();
        Publishers { is_over, threads }
    }

    /// Has them end, when all they have sent is taken.
    pub fn stop(mut self) {
        self.is_over.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    }
}

impl Drop for Publishers {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

fn publish(mut way: Way, group: Group, office: &Office, is_over: &AtomicBool) {
    let Office { numbers, behind, ends_allowed, interval } = office;
    // Calls have from one to three items, two on the average; those of a PUSH socket have one.
    let pause = match group {
        Group::Large => LARGE_PAUSE,
        Group::Push => *interval / CHANNELS as u32,
        _ => *interval * 2 / CHANNELS as u32,
    };
    let (mut turn, mut calls) = (0, 0);
    while !is_over.load(Ordering::Acquire) {
        let count = if group == Group::Push { 1 } else { calls % 3 + 1 };
        calls += 1;
        if group != Group::Large || behind.load(Ordering::Relaxed) < MOST_BEHIND {
            let channels = (turn..turn + count).map(|place| group.channel(place));
            let items = channels.map(|channel: Channel| channel.item(numbers.next(channel))).collect();
            turn += count;
            way.send(items, ends_allowed.load(Ordering::Acquire));
        }
        std::thread::sleep(pause); // Between calls: the pace at which applications publish.
    }
}

/// A way to publish.
enum Way {
    Http { address: SocketAddr, client: Option<Client> },
    UnixStream { path: PathBuf, stream: Option<UnixStream> },
    Udp(UdpSocket),
    UnixDatagram(UnixDatagram),
    Push(zmq::Socket),
}

impl Way {
    fn open(group: Group, server: &Server) -> Way {
        match group {
            Group::UnixStream => Way::UnixStream { path: server.file("s"), stream: None },
            Group::Udp => {
                let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
                socket.connect(server.udp.expect("a port for datagrams")).expect("an address");
                Way::Udp(socket)
            }
            Group::UnixDatagram => {
                let socket = UnixDatagram::unbound().expect("a socket");
                socket.connect(server.file("d")).expect("the server's socket");
                Way::UnixDatagram(socket)
            }
            Group::Push => {
                let address = format!("ipc://{}", server.file("pull").display());
                Way::Push(zeromq::connect(&address, zmq::SocketType::PUSH))
            }
            _ => Way::Http { address: server.control, client: None },
        }
    }

    /// Publishes `items`, on a connection of their own if the last may have been closed between two calls.
    fn send(&mut self, items: Vec<Value>, ends_allowed: bool) {
        let text = json!({ "items": items }).to_string();
        let post = || request("POST", "/publish/").host("localhost").body(text.as_str()).bytes();
        match self {
            Way::Http { address, client } => {
                client.take_if(|_| ends_allowed);
                let open = client.get_or_insert_with(|| Client::over(socket::connect(*address)));
                let answer = open.send(post()).response();
                expect_published(&answer);
                client.take_if(|_| closes(&answer));
            }
            Way::UnixStream { path, stream } => {
                stream.take_if(|_| ends_allowed);
                let open = stream.get_or_insert_with(|| {
                    let stream = UnixStream::connect(path).expect("the server's socket");
                    stream.set_read_timeout(Some(deadline::patience())).expect("a timeout");
                    stream
                });
                open.write_all(&post()).expect("a call is taken");
                let is_last = read_published(open);
                stream.take_if(|_| is_last);
            }
            Way::Udp(socket) => assert_eq!(socket.send(text.as_bytes()).expect("a datagram"), text.len()),
            Way::UnixDatagram(socket) => {
                assert_eq!(socket.send(text.as_bytes()).expect("a datagram"), text.len());
            }
            Way::Push(socket) => {
                items.iter().for_each(|item| socket.send(&format!("J{item}"), 0).expect("an item is taken"));
            }
        }
    }
}

fn expect_published(answer: &Response) {
    assert_eq!((answer.code, answer.text()), (200, "Published\n"));
}

/// Whether the server closes the connection after this answer.
fn closes(answer: &Response) -> bool {
    answer.headers.get("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

/// Reads the answer of a call on a Unix socket. Whether the server closes the connection after it.
fn read_published(stream: &mut UnixStream) -> bool {
    let mut answer = Vec::new();
    while !answer.ends_with(b"Published\n") {
        let mut block = [0; 1024];
        let count = stream.read(&mut block).expect("an answer");
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&block[..count]);
    }
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200 "), "{answer:?}");
    answer.contains("\r\nconnection: close\r\n")
}

/// The time between calls with large items: they fill the backlog of slow clients soon, and keep it full.
const LARGE_PAUSE: Duration = Duration::from_millis(30);
/// Large items that may wait for a slow client: about 400 kB, less than the server allows.
const MOST_BEHIND: u64 = 40;
