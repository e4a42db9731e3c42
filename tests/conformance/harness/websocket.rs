//! Clients of WebSockets, and applications that see them as HTTP requests.

use std::io::Write;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use gripwire_harness::frames::Peer;
pub use gripwire_harness::origin::{control_event, text_event};
use gripwire_harness::socket;
use gripwire_harness::websocket::PROBE;
pub use gripwire_harness::websocket::Socket;
use tungstenite::Message;

use super::headers::Headers;
use super::origin::{Answer, Page, Received, Then};
use super::proxy::Proxy;
use super::{against_pushpin, patience};

impl Proxy {
    /// Opens a WebSocket to `path` of `host`.
    pub fn open(&self, host: &str, path: &str) -> Socket {
        self.open_with(host, path, &[])
    }

    /// The same with more headers in the handshake.
    pub fn open_with(&self, host: &str, path: &str, headers: &[(&'static str, &'static str)]) -> Socket {
        Socket::over(socket::connect(self.http), host, path, headers)
    }

    /// Publishes to WebSockets on `channel` until `arrived` says that it has come.
    pub fn publish_until(&self, channel: &str, mut arrived: impl FnMut() -> bool) {
        let probe = serde_json::json!({"channel": channel, "formats": {"ws-message": {"content": PROBE}}});
        let deadline = Instant::now() + patience();
        self.publish(probe.clone());
        while !arrived() {
            assert!(Instant::now() < deadline, "published again and again, and still nothing");
            self.publish(probe.clone());
        }
    }
}

/// Clients that wait until a subscription is in force. With Gripwire it is when what the application says after it has
/// come; Pushpin subscribes at a time nobody can see, so there a message is published until it arrives.
pub trait AwaitSubscription {
    /// Waits for a subscription to `channel`.
    fn await_subscription(&mut self, proxy: &Proxy, channel: &str);
}

impl AwaitSubscription for Socket {
    fn await_subscription(&mut self, proxy: &Proxy, channel: &str) {
        if !against_pushpin() {
            return;
        }
        let within = |socket: &Socket, time| socket.socket.get_ref().set_read_timeout(Some(time));
        within(self, Duration::from_millis(50)).expect("a timeout");
        proxy.publish_until(channel, || match self.socket.read() {
            Ok(message) => {
                assert_eq!(message, Message::text(PROBE));
                true
            }
            Err(_) => false,
        });
        within(self, patience()).expect("a timeout");
    }
}

impl AwaitSubscription for Peer {
    fn await_subscription(&mut self, proxy: &Proxy, channel: &str) {
        if against_pushpin() {
            proxy.publish_until(channel, || self.hears_within(Duration::from_millis(50)));
        }
    }
}

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
        self.requests.recv_timeout(patience()).expect("a request reaches the application")
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
    Answer::events(events)
}
