//! Pushpin's ZeroMQ sockets, on a separate thread: libzmq has its own threads and queues, which a core could not schedule.
//!
//! `sockets` opens the sockets. `thread` is the loop, which polls the sockets and the bell that cores ring. `items` takes
//! items from PULL and SUB sockets to their homes' cores, `commands` answers REQ sockets, `publisher` is the stats socket,
//! and `parts` is one message. All of these need the feature `zeromq`; without it, a server whose settings name a ZeroMQ
//! socket does not start.

#![forbid(unsafe_code)]

#[cfg(feature = "zeromq")]
mod commands;
#[cfg(feature = "zeromq")]
mod items;
#[cfg(feature = "zeromq")]
mod parts;
#[cfg(feature = "zeromq")]
mod publisher;
#[cfg(feature = "zeromq")]
mod sockets;
#[cfg(feature = "zeromq")]
mod thread;

#[cfg(not(feature = "zeromq"))]
mod absent;
#[cfg(not(feature = "zeromq"))]
pub use absent::{Running, Sockets};
#[cfg(feature = "zeromq")]
pub use {sockets::Sockets, thread::Running};

use crate::backplane::ThreadEnd;
use crate::monitor::{Mailbox, Stats};
use crate::observe::Metrics;
use std::sync::Arc;

/// Why ZeroMQ sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ZeroMqError {
    /// An address is in use, or this machine does not have it.
    #[error(
        "cannot open the ZeroMQ socket {endpoint}: {reason}; if another server uses it, give `{setting}` another \
         address"
    )]
    Endpoint {
        /// The setting that names the address.
        setting: &'static str,
        /// The address.
        endpoint: String,
        /// The error of libzmq or the system.
        reason: String,
    },
    /// libzmq or the system failed unexpectedly.
    #[error("ZeroMQ cannot be used: {0}")]
    Unusable(String),
    /// The program was built without ZeroMQ.
    #[error("`{0}` needs ZeroMQ, but this program was built without it: build it with `--features zeromq`")]
    NotBuiltIn(&'static str),
}

/// The connections of the thread with the cores.
pub struct Ties {
    /// The thread's end of the backplane.
    pub end: ThreadEnd,
    /// The metrics of the thread, and the metrics of all cores and the thread.
    pub metrics: (Arc<Metrics>, Arc<[Arc<Metrics>]>),
    /// Makes the messages of the stats socket.
    pub stats: Stats,
    /// Carries the cores' events for the stats socket.
    pub mailbox: Arc<Mailbox>,
}

/// The settings that name sockets.
const PULL: &str = "zeromq.pull";
const SUB: &str = "zeromq.sub";
const COMMAND: &str = "zeromq.command";
const STATS: &str = "stats.socket";
