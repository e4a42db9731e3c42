//! Replaces the running process by a new one without losing clients. The old process starts the new one and hands over its
//! sockets; the cores of both pass the clients on to each other; one of the two decides that the new process serves.
//!
//! `launch` knows how this process was started, and starts the new one in the same way. The main threads of both talk in
//! `message`s over a control socket. `old` is the sequence of the old process, which runs on a thread of its own while the
//! main thread goes on; `steps` are its commands to the cores, `child_pid` is the id of the new process, and `desk` starts the
//! sequence and remembers who asked for it. `new` is the sequence of the new process, a part of the server's start. The
//! `token` belongs to the process that decides: only one of the two gets it. `rehearsal` has the new process fail where a
//! test wants it to.

mod child_pid;
mod desk;
mod error;
mod launch;
mod message;
mod new;
mod old;
mod rehearsal;
mod steps;
mod token;

pub(super) use desk::{UpgradeDesk, UpgradeReply};
pub use error::UpgradeError;
pub use launch::Launch;
pub(super) use new::{Inheritance, NewCores};
pub(super) use old::Belongings;
