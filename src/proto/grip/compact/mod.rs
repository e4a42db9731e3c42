//! The compact form of a publish call, for datagrams: the same items as in the JSON form, in bytes that take a
//! seventh of the time to read. ARCHITECTURE.md has the table of its fields; `testdata/vectors.txt` has examples,
//! each with the equivalent call. `decode` reads the form for all datagram sockets; `encode` writes it for `gripwire
//! publish` and for publishers in Rust. Both know the order of the fields; `form` has the numbers.

mod decode;
mod encode;
mod form;

pub use decode::{CompactError, CompactProblem, decode};
pub use encode::encode;
pub use form::MAGIC;

#[cfg(test)]
mod tests;
