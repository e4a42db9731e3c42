//! Clients of WebSockets, and applications that see them as HTTP requests.

use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Response as Upgraded;
use tungstenite::{Message, WebSocket};

use std::time::{Duration, Instant};

use super::headers::Headers;
use super::origin::{Answer, Page, Received, Then};
use super::proxy::Proxy;
use super::{PATIENCE, against_pushpin};
use std::io::Write;

/// A client's WebSocket.
pub struct Socket {
    pub socket: WebSocket<TcpStream>,
    /// The head of the 101.
    pub head: Upgraded,
}

impl Proxy {
    /// Opens a WebSocket to `path` of `host`.
    pub fn open(&self, host: &str, path: &str) -> Socket {
        self.open_with(host, path, &[])
    }

    /// The same with more headers in the handshake.
    pub fn open_with(&self, host: &str, path: &str, headers: &[(&'static str, &'static str)]) -> Socket {
        Socket::over(TcpStream::connect(self.http).expect("a connection"), host, path, headers)
    }

    /// Publishes to WebSockets on `channel` until `arrived` says that it has come.
    pub fn publish_until(&self, channel: &str, mut arrived: impl FnMut() -> bool) {
        let probe = serde_json::json!({"channel": channel, "formats": {"ws-message": {"content": PROBE}}});
        let deadline = Instant::now() + PATIENCE;
        self.publish(probe.clone());
        while !arrived() {
            assert!(Instant::now() < deadline, "published again and again, and still nothing");
            self.publish(probe.clone());
        }
    }
}

impl Socket {
    /// Opens a WebSocket on `stream`, which nothing has been sent by yet.
    pub fn over(
        stream: TcpStream,
        host: &str,
        path: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Socket {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut request = format!("ws://{host}{path}").into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        let (socket, head) = tungstenite::client(request, stream).expect("the WebSocket opens");
        Socket { socket, head }
    }

    pub fn send(&mut self, message: Message) {
        self.socket.send(message).expect("a message is sent");
    }

    pub fn text(&mut self, text: &str) {
        self.send(Message::text(text));
    }

    /// The next message, of whatever kind.
    pub fn next(&mut self) -> Message {
        loop {
            match self.socket.read().expect("a message") {
                Message::Text(text) if text.as_str() == PROBE => {}
                message => return message,
            }
        }
    }

    /// Waits until a subscription is in force. With Gripwire it is when what the application says after it has come;
    /// Pushpin subscribes at a time nobody can see, so there a message is published until it arrives.
    pub fn await_subscription(&mut self, proxy: &Proxy, channel: &str) {
        if !against_pushpin() {
            return;
        }
        let within = |socket: &Socket, patience| socket.socket.get_ref().set_read_timeout(Some(patience));
        within(self, Duration::from_millis(50)).expect("a timeout");
        proxy.publish_until(channel, || match self.socket.read() {
            Ok(message) => {
                assert_eq!(message, Message::text(PROBE));
                true
            }
            Err(_) => false,
        });
        within(self, PATIENCE).expect("a timeout");
    }

    pub fn expect_text(&mut self, text: &str) {
        assert_eq!(self.next(), Message::text(text));
    }

    /// The connection ends without a close.
    pub fn expect_cut(&mut self) {
        match self.socket.read() {
            Err(tungstenite::Error::Io(_) | tungstenite::Error::Protocol(_)) => {}
            other => panic!("not cut: {other:?}"),
        }
    }
}

/// What is published until a subscription shows.
pub const PROBE: &str = "subscribed?";

/// An application that answers the events of one request with others.
pub struct Application {
    pub page: Page,
    requests: Receiver<(Headers, String)>,
}

impl Application {
    /// `answer` makes the answer's events from those of a request.
    pub fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Application {
        Application::with(move |_, events| events_answer(answer(events)))
    }

    /// `answer` makes the whole answer.
    pub fn with(answer: impl Fn(&Received, &str) -> Answer + Send + Sync + 'static) -> Application {
        let (seen, requests) = channel();
        let page = Page::handling(move |request, socket| {
            let events = String::from_utf8_lossy(&request.body).into_owned();
            let bytes = answer(request, &events).bytes_for(&request.method);
            let _ = seen.send((request.headers.clone(), events));
            let _ = socket.write_all(&bytes);
            Then::KeepOpen
        });
        Application { page, requests }
    }

    /// The headers and events of the next request.
    pub fn request(&self) -> (Headers, String) {
        self.requests.recv_timeout(PATIENCE).expect("a request reaches the application")
    }

    /// The events of the next requests, up to and with `last`.
    pub fn events_until(&self, last: &str) -> String {
        let mut events = String::new();
        while !events.ends_with(last) {
            events += &self.request().1;
        }
        events
    }
}

/// An answer that speaks GRIP.
pub fn events_answer(events: impl Into<Vec<u8>>) -> Answer {
    Answer::new(200, "OK")
        .header("Content-Type", "application/websocket-events")
        .header("Sec-WebSocket-Extensions", "grip")
        .body(events)
}

/// A TEXT event.
pub fn text_event(text: &str) -> String {
    format!("TEXT {:X}\r\n{text}\r\n", text.len())
}

/// A TEXT event with a control message.
pub fn control_event(control: Value) -> String {
    text_event(&format!("c:{control}"))
}
