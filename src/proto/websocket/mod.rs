//! WebSockets (RFC 6455), sans-IO: bytes in, messages or frames out, no socket and no clock.
//!
//! `handshake` reads the upgrade and computes the answer's key. `header` reads and writes frame headers, `mask`
//! unmasks payloads, `utf8` and `close` check them. `decoder` combines these for clients' frames; `encode` makes the
//! frames for clients. `deflate` compresses messages. `frames` only follows where frames begin and end, and `relay`
//! passes an application's own frames to its client.

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
