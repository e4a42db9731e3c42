//! The kinds of clients: which channel each has, what it asks, and what it is answered.

use crate::client::Client;
use crate::content::{Channel, Group};

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Server-Sent Events.
    Events,
    /// A stream in chunks.
    Stream,
    /// A stream of HTTP/1.0, which has no framing.
    OldStream,
    /// A stream that follows the ids of its items.
    Follower,
    /// A stream with filters and a variable.
    Filtered,
    /// A stream with large items that reads slowly.
    Slow,
    /// A long poll, again and again, which follows the ids of its items.
    Poll,
    /// A WebSocket over HTTP, which also speaks.
    Talk,
    /// A WebSocket that passes through, which also speaks.
    Passing,
    /// A connection that is mostly idle, with the half of a request's head.
    Idle,
    /// Uploads, one after the other, in small pieces.
    Upload,
    /// Requests that come each on a connection of its own.
    Visitor,
    /// Streams that are opened and given up again.
    Passer,
}

impl Kind {
    /// The channel of the client with this number.
    pub fn channel(self, number: usize) -> Channel {
        let group = match self {
            Kind::Follower | Kind::Poll => Group::Ids,
            Kind::Filtered => Group::Filtered,
            Kind::Slow => Group::Large,
            _ => MASS[number % MASS.len()],
        };
        group.channel(number / MASS.len())
    }

    pub fn is_websocket(self) -> bool {
        matches!(self, Kind::Talk | Kind::Passing)
    }

    pub fn is_stream(self) -> bool {
        !self.is_websocket() && !self.is_asking() && self != Kind::Poll
    }

    /// Whether it gets answers of the application, and nothing that is published.
    pub fn is_asking(self) -> bool {
        matches!(self, Kind::Idle | Kind::Upload | Kind::Visitor)
    }

    /// Whether it gets the items of its channel as long as it lives.
    pub fn is_subscribed(self) -> bool {
        !self.is_asking() && self != Kind::Passer
    }

    /// Whether the application tells it the item with which it begins.
    pub fn follows_ids(self) -> bool {
        matches!(self, Kind::Follower | Kind::Poll)
    }

    /// The request that begins its connection, or its next poll.
    pub fn request(self, client: &Client) -> Vec<u8> {
        let (channel, has) = (client.channel.0, client.next.map_or(0, |next| next - 1));
        let (target, version, fields) = match self {
            Kind::Events => (format!("/events/{channel}"), "1.1", "Accept: text/event-stream\r\n"),
            Kind::Stream | Kind::Slow | Kind::Passer => (format!("/stream/{channel}"), "1.1", ""),
            Kind::OldStream => (format!("/stream/{channel}"), "1.0", ""),
            Kind::Follower => (format!("/follow/{channel}/{has}"), "1.1", ""),
            Kind::Filtered => (format!("/filtered/{channel}/{}", client.user()), "1.1", ""),
            Kind::Poll => (format!("/poll/{channel}/{has}"), "1.1", ""),
            Kind::Talk | Kind::Passing => (format!("/talk/{channel}"), "1.1", WEBSOCKET_FIELDS),
            Kind::Visitor => (format!("/plain/{}", client.answered + 1), "1.1", "Connection: close\r\n"),
            Kind::Idle => (format!("/plain/{}", client.answered + 1), "1.1", ""),
            Kind::Upload => (format!("/upload/{}", client.answered + 1), "1.1", UPLOAD_FIELDS),
        };
        let method = if self == Kind::Upload { "POST" } else { "GET" };
        let host = if self == Kind::Passing { PASSING_HOST } else { "http.test" };
        format!("{method} {target} HTTP/{version}\r\nHost: {host}\r\n{fields}\r\n").into_bytes()
    }

    /// The answer to the request of a client that asks.
    pub fn answer(self, client: &Client) -> String {
        let number = client.answered + 1;
        match self {
            Kind::Upload => {
                format!("uploaded {number} {UPLOAD_BYTES} {}", UPLOAD_BYTES as u64 * u64::from(UPLOAD_BYTE))
            }
            _ => format!("plain {number}"),
        }
    }

    /// The words of a WebSocket's client, the `number`th.
    pub fn saying(self, client: &Client, number: u64) -> String {
        let length = (client.number * 7 + number as usize * 131) % 900;
        format!("{number} {}", "w".repeat(length))
    }
}

/// The groups of channels of clients that only see what is published. Few follow the publisher with the weaker promise.
const MASS: [Group; 9] = [
    Group::Http,
    Group::UnixStream,
    Group::Udp,
    Group::UnixDatagram,
    Group::Http,
    Group::UnixStream,
    Group::Udp,
    Group::UnixDatagram,
    Group::Push,
];
/// The host of the route without `over_http`.
pub const PASSING_HOST: &str = "pass.test";
/// The content of an upload.
pub const UPLOAD_BYTES: usize = 20_000;
pub const UPLOAD_BYTE: u8 = b'u';
const UPLOAD_FIELDS: &str = "Content-Length: 20000\r\n";
const WEBSOCKET_FIELDS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
