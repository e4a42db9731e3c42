//! The compact form of a publish call, for datagrams: the same items as the JSON form, in bytes that take a seventh of
//! the time to read. ARCHITECTURE.md has the table of its fields; `testdata/vectors.txt` has examples beside the calls
//! they stand for. `decode` reads it for every ingest that takes datagrams, `encode` writes it for `gripwire publish` and
//! for whoever publishes from Rust. Both know the fields' order; `form` has the numbers.

mod decode;
mod encode;
mod form;

pub use decode::{CompactError, CompactProblem, decode};
pub use encode::encode;
pub use form::MAGIC;

#[cfg(test)]
mod tests;
