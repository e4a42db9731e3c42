//! Compression of messages (RFC 7692, permessage-deflate). `negotiate` reads what a client offers, `codec` inflates and
//! deflates. Neither side keeps a context between messages, so a connection that is idle costs nothing for it.

mod codec;
mod negotiate;

pub use codec::{InflateError, deflate, inflate};
pub use negotiate::Compression;
