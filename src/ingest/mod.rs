//! The ways to publish other than HTTP over TCP: datagrams of UDP and of this machine.
//!
//! `datagram` reads one datagram into publications, in whichever form it is; `pace` decides when a socket is read, so that
//! a flow costs one wakeup for many datagrams and a single one is taken at once; `permits` says which users of this
//! machine may publish. The room `publish` owns the sockets and sends what arrives to its homes.

#![forbid(unsafe_code)]

mod datagram;
mod pace;
mod permits;

pub use datagram::{DatagramError, read};
pub use pace::{GATHER_US, Pace};
pub use permits::Permits;
