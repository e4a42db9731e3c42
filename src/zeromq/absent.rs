//! Replaces `sockets` and `thread` in a program that was built without ZeroMQ.

use super::{COMMAND, PULL, STATS, SUB, Ties, ZeroMqError};
use crate::config::Config;
use std::convert::Infallible;

/// Sockets, of which there are none.
pub struct Sockets(Infallible);

/// The thread, which never runs.
pub struct Running(Infallible);

impl Sockets {
    /// Returns `None`.
    ///
    /// # Errors
    /// The settings name a ZeroMQ socket.
    pub fn open(settings: &Config, _: bool) -> Result<Option<Sockets>, ZeroMqError> {
        let named = [
            (PULL, settings.zeromq.pull.is_some()),
            (SUB, !settings.zeromq.sub.is_empty()),
            (COMMAND, settings.zeromq.command.is_some()),
            (STATS, settings.stats.socket.is_some()),
        ];
        match named.iter().find(|(_, is_named)| *is_named) {
            Some((setting, _)) => Err(ZeroMqError::NotBuiltIn(setting)),
            None => Ok(None),
        }
    }

    /// Never called.
    pub fn listens(&self) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub fn watches(&self) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub fn run(self, _: Ties, _: impl FnOnce(ZeroMqError)) -> Result<Running, ZeroMqError> {
        match self.0 {}
    }
}

impl Running {
    /// Never called.
    pub fn release(&self) {
        match self.0 {}
    }

    /// Never called.
    pub fn serve(&self) {
        match self.0 {}
    }
}
