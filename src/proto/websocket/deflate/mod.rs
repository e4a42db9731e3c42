//! Compression of messages (RFC 7692, permessage-deflate). `negotiate` reads a client's offers, `codec` compresses
//! and decompresses. Neither side keeps context between messages, so an idle connection needs no memory for
//! compression.

mod codec;
mod negotiate;

pub use codec::{InflateError, deflate, inflate};
pub use negotiate::Compression;
