//! What stands for ZeroMQ in a program that was built without it.

use super::{COMMAND, PULL, STATS, SUB, Ties, ZeroMqError};
use crate::config::Config;
use std::convert::Infallible;

/// No sockets.
pub struct Sockets(Infallible);

/// A thread that does not run.
pub struct Running(Infallible);

impl Sockets {
    /// `None` if no sockets are named.
    pub fn open(settings: &Config) -> Result<Option<Sockets>, ZeroMqError> {
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
