//! Reads datagrams, of UDP and of Unix sockets, and decides who may publish without HTTP over TCP.
//!
//! `datagram` reads one datagram, in either of its forms, into publications. `pace` decides when a socket is read, so
//! that a flow of datagrams costs one wakeup for many and a single datagram is read at once. `permits` decides which
//! Unix users may publish, and to which channels UDP may. The room `publish` owns the sockets and sends the items to
//! their homes.

#![forbid(unsafe_code)]

mod datagram;
mod pace;
mod permits;

pub use datagram::{DatagramError, read};
pub use pace::{GATHER_US, Pace};
pub use permits::Permits;
