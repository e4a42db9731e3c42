//! TLS between clients and this server, without sockets. [`Session`] decrypts the bytes that a client sent, and
//! encrypts the data for the client. [`Certificates`] are read from a directory and chosen by the server name in the
//! client's hello. [`Offer`] is the TLS configuration of one port. The wire has one session for each client that
//! connected to such a port. `lean` seals and opens records with keys that take little memory. `stand` is a certificate for tests.

#![forbid(unsafe_code)]

mod certificates;
mod lean;
mod offer;
mod session;
#[cfg(test)]
pub(crate) mod stand;

pub use certificates::{CertificateProblem, Certificates};
pub use offer::{NoTls, Offer, offers};
pub use session::{Heard, Session, SessionError};
