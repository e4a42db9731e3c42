//! Sockets of ZeroMQ, as Pushpin has them, on a thread of their own: libzmq has threads and queues itself, and would be a
//! guest that a core cannot schedule.
//!
//! `sockets` binds them; `thread` is the loop, which polls them and the bell that cores ring; `items` takes what PULL and
//! SUB sockets receive to the cores that are home to its channels, `commands` does what REQ sockets ask, `publisher` is the
//! stats socket; `parts` is one message. All of it is behind the feature `zeromq`; without it, a server that is told of
//! such sockets does not start.

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

/// A socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ZeroMqError {
    /// An address is taken or not of this machine.
    #[error(
        "cannot have the ZeroMQ socket {endpoint}: {reason}; another server may have it: give `{setting}` \
         another address"
    )]
    Endpoint {
        /// The setting that names it.
        setting: &'static str,
        /// Its address.
        endpoint: String,
        /// What libzmq said.
        reason: String,
    },
    /// libzmq or the system refused something that should never fail.
    #[error("ZeroMQ cannot be used: {0}")]
    Unusable(String),
    /// It is not part of this program.
    #[error(
        "`{0}` asks for ZeroMQ, and this program was built without it: build it with `--features zeromq`"
    )]
    NotBuiltIn(&'static str),
}

/// What ties the thread to the cores.
pub struct Ties {
    /// By which items come and interest goes.
    pub end: ThreadEnd,
    /// What the thread counts, and what all count, itself included.
    pub metrics: (Arc<Metrics>, Arc<[Arc<Metrics>]>),
    /// What the stats socket says.
    pub stats: Stats,
    /// What it is told by the cores.
    pub mailbox: Arc<Mailbox>,
}

/// The settings that name sockets.
const PULL: &str = "zeromq.pull";
const SUB: &str = "zeromq.sub";
const COMMAND: &str = "zeromq.command";
const STATS: &str = "stats.socket";
