//! Applications that speak WebSocket themselves: a case holds both ends.
//!
//! It opens the client's with [`Sockets::open`], which also gives it the application's, and from then on whatever one
//! end sends, the other expects.

use std::io::Write;
use std::sync::mpsc::{Receiver, channel};

pub use gripwire_harness::frames::{BINARY, CLOSE, CONTINUE, OpCode, PING, PONG, Peer, TEXT};
use serde_json::json;
use tungstenite::handshake::derive_accept_key;

use super::origin::{Page, Received, Then};
use super::patience;
use super::proxy::{Proxy, standard};
use super::websocket::AwaitSubscription;

/// An application that accepts every WebSocket.
pub struct Sockets {
    pub page: Page,
    accepted: Receiver<Peer>,
}

impl Sockets {
    /// The 101 has `headers` beside those of the upgrade.
    pub fn accepting(headers: &'static [(&'static str, &'static str)]) -> Sockets {
        Sockets::with(move |request| acceptance(request, headers))
    }

    /// The application speaks GRIP, with the usual prefix.
    pub fn speaking_grip() -> Sockets {
        Sockets::accepting(&[("Sec-WebSocket-Extensions", "grip")])
    }

    /// `answer` makes the bytes of the 101, and of what follows it at once.
    pub fn with(answer: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Sockets {
        let (report, accepted) = channel();
        let page = Page::handling(move |request, socket| {
            let _ = socket.write_all(&answer(request));
            let _ = report.send(Peer::server(socket.try_clone().expect("a second handle")));
            // The connection stays open: the case has it now.
            Then::Close
        });
        Sockets { page, accepted }
    }

    /// Opens a WebSocket to this application by way of `proxy`; both its ends, the client's first.
    pub fn open(&self, proxy: &Proxy, host: &str) -> (Peer, Peer) {
        let client = Peer::client(&proxy.open(host, &self.page.path));
        (client, self.peer())
    }

    /// The application's end of the next WebSocket.
    pub fn peer(&self) -> Peer {
        self.accepted.recv_timeout(patience()).expect("a WebSocket reaches the application")
    }
}

/// A 101 for `request`.
pub fn acceptance(request: &Received, headers: &[(&str, &str)]) -> Vec<u8> {
    let key = request.headers.get("Sec-WebSocket-Key").expect("a key");
    let accept = derive_accept_key(key.as_bytes());
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    (head + "\r\n").into_bytes()
}

/// Subscribes the client by a control message of the application, and waits until that is in force.
pub fn subscribe(client: &mut Peer, server: &mut Peer, channel: &str) {
    server.control(json!({"type": "subscribe", "channel": channel}));
    expect_relayed(client, server, "welcome");
    client.await_subscription(standard(), channel);
}

/// Sends a text with GRIP's prefix, which the client gets without, and nothing before it.
pub fn expect_relayed(client: &mut Peer, server: &mut Peer, text: &str) {
    server.text(&format!("m:{text}"));
    client.expect_text(text);
}
