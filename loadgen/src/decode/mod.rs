//! What subscribers receive, decoded: protocols as plain values, without sockets or clocks.
//!
//! `body.rs` takes the framing off an HTTP answer's body in place, `events.rs` finds lines and Server-Sent Events in what
//! remains, `frames.rs` reads WebSocket frames and writes the client's, `head.rs` reads the head of an answer. Each says
//! how many bytes it used; the caller carries over the rest until more comes.

pub(crate) mod body;
pub(crate) mod events;
pub(crate) mod frames;
pub(crate) mod head;

/// What a server sent that its protocol does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The head of an answer cannot be parsed.
    #[error("an answer's head is not HTTP/1.1")]
    Head,
    /// A chunk's size or end is wrong.
    #[error("a chunk of an answer's body is malformed")]
    Chunk,
    /// A frame is masked, oversized, or of an unknown kind.
    #[error("a WebSocket frame is malformed")]
    Frame,
    /// A message is larger than a subscriber keeps.
    #[error("a message without end: more than {} bytes", CARRY_BYTES)]
    Endless,
}

/// The most that is carried over for one subscriber.
pub(crate) const CARRY_BYTES: usize = 8 << 20;
