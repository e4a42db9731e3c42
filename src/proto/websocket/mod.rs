//! WebSockets (RFC 6455), sans-IO: bytes in, messages or frames out, no socket and no clock.
//!
//! `handshake` reads the upgrade and makes the answer's key. `header` reads and writes what stands before a payload,
//! `mask` takes the mask off it, `utf8` and `close` say what a payload may hold. `decoder` puts these together for
//! what clients send; `encode` makes what they are sent. `frames` only tells where frames begin and end, and `relay` is
//! what an application's own frames go through on their way to its client.

mod close;
mod decoder;
mod deflate;
mod encode;
mod frames;
mod handshake;
mod header;
mod mask;
mod relay;
mod utf8;

pub use close::{Close, CloseError};
pub use decoder::{Decoded, Decoder, FrameEvent, Kind, ProtocolError};
pub use deflate::{Compression, InflateError, deflate, inflate};
pub use encode::{close_frame, compressed_frame, encode_frame, frame, mask_frame};
pub use frames::{Frames, Piece, Seen};
pub use handshake::{Handshake, HandshakeError, is_upgrade};
pub use header::{FrameHeader, Opcode};
pub use mask::unmask;
pub use relay::{Relay, Relayed};
pub use utf8::{NotUtf8, Utf8};
