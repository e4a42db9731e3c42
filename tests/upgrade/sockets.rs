//! The application of WebSockets that pass through: one thread that serves all of them.
//!
//! It subscribes each WebSocket to the channel of its path by a message of GRIP, and repeats what its client says. Of every
//! third answer it sends the second half only a moment later, so that at any time some frames are half way to their
//! clients, and published items wait behind them.

use gripwire_harness::frames::masked_frame;
use gripwire_loadgen::{Epoll, Event, Interest};
use serde_json::json;
use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tungstenite::handshake::derive_accept_key;

use crate::content::Channel;

/// The running application. Dropped, it ends with all its connections.
pub struct Sockets {
    address: SocketAddr,
    has_ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sockets {
    pub fn start() -> Sockets {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the application");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = listener.local_addr().expect("its address");
        let has_ended = Arc::new(AtomicBool::new(false));
        let ended = has_ended.clone();
        let thread = std::thread::spawn(move || serve(&listener, &ended));
        Sockets { address, has_ended, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Release);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// The application's end of a WebSocket.
struct Link {
    socket: TcpStream,
    input: Vec<u8>,
    /// The frames of a message so far.
    message: Vec<u8>,
    is_open: bool,
    answers: u64,
}

fn serve(listener: &TcpListener, has_ended: &AtomicBool) {
    let mut epoll = Epoll::new().expect("an epoll");
    epoll.add(listener.as_fd(), LISTENER, Interest::Read).expect("a listener");
    let (mut links, mut next) = (HashMap::new(), 0);
    let mut halves: VecDeque<(Instant, u64, Vec<u8>)> = VecDeque::new();
    let mut events: Vec<Event> = Vec::new();
    while !has_ended.load(Ordering::Acquire) {
        epoll.wait(Some(20), &mut events).expect("events");
        for event in events.drain(..) {
            if event.token == LISTENER {
                accept(listener, &epoll, &mut links, &mut next);
            } else if let Some(link) = links.get_mut(&event.token) {
                match link.read() {
                    Some(late) => {
                        halves.extend(late.map(|half| (Instant::now() + HALF_TIME, event.token, half)));
                    }
                    None => drop(links.remove(&event.token)),
                }
            }
        }
        while halves.front().is_some_and(|(due, ..)| *due <= Instant::now()) {
            let (_, token, half) = halves.pop_front().expect("the first");
            links.get_mut(&token).into_iter().for_each(|link| link.send(&half));
        }
    }
}

fn accept(listener: &TcpListener, epoll: &Epoll, links: &mut HashMap<u64, Link>, next: &mut u64) {
    while let Ok((socket, _)) = listener.accept() {
        socket.set_nonblocking(true).expect("a socket that does not block");
        let _ = socket.set_nodelay(true);
        epoll.add(socket.as_fd(), *next, Interest::Read).expect("a connection");
        links.insert(
            *next,
            Link { socket, input: Vec::new(), message: Vec::new(), is_open: false, answers: 0 },
        );
        *next += 1;
    }
}

impl Link {
    /// Reads what has come. Gives the half of a frame that is to be sent later, if there is one, and `None` at the end of
    /// the connection.
    fn read(&mut self) -> Option<Option<Vec<u8>>> {
        let mut block = [0; 16 << 10];
        let mut late = None;
        loop {
            match self.socket.read(&mut block) {
                Ok(0) => return None,
                Ok(count) => self.input.extend_from_slice(&block[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(late),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
            if !self.is_open {
                self.open();
            }
            while let Some((frame, used)) = self.is_open.then(|| masked_frame(&self.input)).flatten() {
                self.input.drain(..used);
                self.message.extend(frame.payload);
                if frame.last {
                    let message = std::mem::take(&mut self.message);
                    late = message.strip_prefix(b"say ").and_then(|said| self.answer(said)).or(late);
                }
            }
        }
    }

    /// Answers the request for the WebSocket, once it is whole.
    fn open(&mut self) {
        let Some(end) = self.input.windows(4).position(|window| window == b"\r\n\r\n") else { return };
        let head: Vec<u8> = self.input.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("a head of UTF-8");
        let field = |name: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
            line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned())
        };
        let accept = derive_accept_key(field("sec-websocket-key:").expect("a key").as_bytes());
        let target = head.split(' ').nth(1).expect("a target");
        let channel =
            Channel(target.rsplit('/').next().and_then(|word| word.parse().ok()).expect("a channel"));
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Extensions: grip\r\n\r\n"
        );
        self.send(answer.as_bytes());
        let subscribe = json!({"type": "subscribe", "channel": channel.name()});
        self.send(&frame(format!("c:{subscribe}").as_bytes()));
        self.send(&frame(b"m:joined"));
        self.is_open = true;
    }

    /// Repeats what the client said: whole, or the first half of the frame now, which gives the second.
    fn answer(&mut self, said: &[u8]) -> Option<Vec<u8>> {
        let mut first = frame(&[b"m:said ", said].concat());
        self.answers += 1;
        let late = self.answers.is_multiple_of(3).then(|| first.split_off(first.len() / 2));
        self.send(&first);
        late
    }

    /// The frames are small and answer small ones, so they always fit into the socket's buffer.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }
}

/// A frame of text as servers send it.
fn frame(text: &[u8]) -> Vec<u8> {
    let length = text.len();
    let head = match length {
        0..126 => vec![0x81, length as u8],
        _ => [&[0x81, 126][..], &(length as u16).to_be_bytes()].concat(),
    };
    [&head, text].concat()
}

const LISTENER: u64 = u64::MAX;
/// The time between the halves of a frame.
const HALF_TIME: Duration = Duration::from_millis(300);
