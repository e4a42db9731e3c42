//! Commands of operators that come through a backplane's sockets, and their outcomes. One core executes a command, and
//! queries the other cores if necessary.

use crate::proto::grip::Publication;

/// A command of an operator.
#[derive(Debug)]
pub enum OperatorCommand {
    /// Publish these items.
    Publish(Vec<Publication>),
    /// Start refetches for all held clients that may have missed items.
    Recover,
    /// Check which of these connections exist.
    ConnCheck(Vec<Box<str>>),
    /// Refresh this connection from its application.
    Refresh(Box<str>),
}

/// The outcome of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    /// The command was executed.
    Done,
    /// There is no room for the command's items, or a core does not answer.
    Busy,
    /// The named connection does not exist.
    NotFound,
    /// The named connections that exist.
    Connections(Vec<Box<str>>),
}
