//! TLS towards clients, without sockets: [`Session`] turns what a client sent into what it said, and what it is told
//! into what it is sent; [`Certificates`] are read from a directory and chosen by the name that a client asks for;
//! `event_batch` is what a port agrees to. The wire has a session for each client that came by such a port. `stand` is a
//! certificate for tests.

#![forbid(unsafe_code)]

mod certificates;
mod offer;
mod session;
#[cfg(test)]
pub(crate) mod stand;

pub use certificates::{CertificateProblem, Certificates};
pub use offer::{NoTls, Offer, offers};
pub use session::{Heard, Session, SessionError};
