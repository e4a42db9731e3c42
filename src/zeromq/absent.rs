//! What stands for ZeroMQ in a program that was built without it.

use super::{Ties, ZeroMqError};
use crate::config::ZeroMq;
use std::convert::Infallible;

/// No sockets.
pub struct Sockets(Infallible);

/// A thread that does not run.
pub struct Running(Infallible);

impl Sockets {
    /// `None` if no sockets are named.
    pub fn open(settings: &ZeroMq, _message_bytes: usize) -> Result<Option<Sockets>, ZeroMqError> {
        let named = [
            ("pull", settings.pull.is_some()),
            ("sub", !settings.sub.is_empty()),
            ("command", settings.command.is_some()),
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
    pub fn run(self, _ties: Ties) -> Result<Running, ZeroMqError> {
        match self.0 {}
    }
}
