//! Clients' WebSockets, message by message. For what is in single frames see [`crate::frames`].

use crate::socket::{Steady, patient};
use std::net::TcpStream;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Response as Upgraded;
use tungstenite::{Message, WebSocket};

/// A client's WebSocket.
pub struct Socket {
    /// The WebSocket itself.
    pub socket: WebSocket<Steady>,
    /// The head of the 101.
    pub head: Upgraded,
}

impl Socket {
    /// Opens a WebSocket on `stream`, which nothing has been sent by yet.
    pub fn over(
        stream: TcpStream,
        host: &str,
        path: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Socket {
        let mut request = format!("ws://{host}{path}").into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        let (socket, head) =
            tungstenite::client(request, Steady(patient(stream))).expect("the WebSocket opens");
        Socket { socket, head }
    }

    /// Sends a message.
    pub fn send(&mut self, message: Message) {
        self.socket.send(message).expect("a message is sent");
    }

    /// Sends a message of text.
    pub fn text(&mut self, text: &str) {
        self.send(Message::text(text));
    }

    /// The next message, of whatever kind.
    pub fn next_message(&mut self) -> Message {
        loop {
            match self.socket.read().expect("a message") {
                Message::Text(text) if text.as_str() == PROBE => {}
                message => return message,
            }
        }
    }

    /// The next message is this text.
    pub fn expect_text(&mut self, text: &str) {
        assert_eq!(self.next_message(), Message::text(text));
    }

    /// The connection ends without a close.
    pub fn expect_cut(&mut self) {
        match self.socket.read() {
            Err(tungstenite::Error::Io(_) | tungstenite::Error::Protocol(_)) => {}
            other => panic!("not cut: {other:?}"),
        }
    }
}

/// What tests publish until a subscription shows, where nothing else shows it. Clients pass over it.
pub const PROBE: &str = "subscribed?";
