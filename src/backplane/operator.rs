//! What operators ask of the server through a backplane's sockets, and what becomes of it. A core follows such a command,
//! and asks the other cores what it must.

use crate::proto::grip::Publication;

/// What an operator asks.
#[derive(Debug)]
pub enum OperatorCommand {
    /// Publish these.
    Publish(Vec<Publication>),
    /// Have everyone ask who may have missed something.
    Recover,
    /// Find out which of these connections are there.
    ConnCheck(Vec<Box<str>>),
    /// Ask the application of this connection for what it has.
    Refresh(Box<str>),
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    /// It was followed.
    Done,
    /// There is no room for what it publishes, or a core does not answer.
    Busy,
    /// What it names is not there.
    NotFound,
    /// These of the connections that it names are there.
    Connections(Vec<Box<str>>),
}
