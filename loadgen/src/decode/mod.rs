//! Decodes the input of subscribers: protocols as plain values, without sockets or clocks.
//!
//! `head.rs` reads the head of an answer, `body.rs` removes the framing of an answer's body in place, `events.rs` finds lines
//! and Server-Sent Events in the body, and `frames.rs` reads WebSocket frames and writes pongs. Each returns the number of
//! bytes that it used; the caller carries over the rest until more input arrives.

pub mod body;
pub mod events;
pub mod frames;
pub mod head;

/// Input that violates its protocol.
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
    #[error("a message is longer than {} bytes", CARRY_BYTES)]
    Endless,
}

/// Most bytes that are carried over for one subscriber.
pub(crate) const CARRY_BYTES: usize = 8 << 20;
