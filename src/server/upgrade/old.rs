//! The sequence of the old process, on a thread of its own. Nothing is given away until the new process has taken the
//! token: whenever something fails before that, the cores go on as if nothing had happened.
//!
//! The new process first prepares itself while this one serves as ever. Then the cores of this process finish what is
//! under way, become quiet, and send their clients. If the formats of the clients' state differ, the new process gets the
//! sockets only, and this process drains its clients.

use super::super::sockets::SocketCopy;
use super::child_pid::ChildPid;
use super::error::UpgradeError;
use super::launch::Launch;
use super::message::{Control, Hello, Message, Prepared};
use super::steps::{Cores, MOMENT};
use super::token::Token;
use crate::control::NewProcess;
use crate::core::{CoreCommand, CoreCommands, HAND_OVER_FORMAT, HandOver};
use crate::ids::id_key;
use crate::wire::{self, PacketSocket};
use crate::zeromq;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time for the new process to read its files, check the kernel and open missing ports.
const PREPARING: Duration = Duration::from_secs(30);
/// Time for the cores to finish what is under way. They take half a second at most by themselves.
const SETTLING: Duration = Duration::from_secs(2);
/// Time for the cores to become quiet. They give up by themselves after two seconds.
const QUIETING: Duration = Duration::from_secs(3);
/// Time for the cores to send all clients, and for the new process to take them. A million clients take seconds.
const SENDING: Duration = Duration::from_secs(10);
/// Time for the new process to take the token after that, and to say so.
const DECIDING: Duration = Duration::from_secs(2);
/// Time for a new process that has taken the token to say so, or to end. It serves clients, so nothing is undone before.
const SERVING: Duration = Duration::from_secs(60);

/// What the old process hands over, and what it needs for that.
pub(in crate::server) struct Belongings {
    pub launch: Launch,
    /// The queues of commands to the cores.
    pub commands: Vec<CoreCommands>,
    /// All sockets that the cores listen on or receive datagrams by.
    pub sockets: Vec<SocketCopy>,
    /// The files of Unix sockets that this process removes at its end.
    pub files: Vec<PathBuf>,
    /// The thread of ZeroMQ, which closes its sockets so that the new process can open them.
    pub zeromq: Option<Arc<zeromq::Running>>,
}

/// Replaces this process by a new one. `token` is the token of this upgrade.
///
/// # Errors
/// Why this process goes on.
pub(super) fn replace(
    belongings: &Belongings,
    token: &Token,
    child_pid: &ChildPid,
) -> Result<NewProcess, UpgradeError> {
    let (ours, theirs) = PacketSocket::pair().map_err(UpgradeError::Descriptors)?;
    let child = belongings.launch.start(&theirs)?;
    child_pid.set(child.id());
    drop(theirs);
    let control = Control::new(ours);
    let phases = Phases { begun: Instant::now(), ended: Vec::new() };
    let mut replacing = Replacing {
        belongings,
        token,
        control,
        child,
        has_clients: false,
        has_released_zeromq: false,
        phases,
    };
    match replacing.hand_over() {
        Ok(()) => {}
        Err(error) => replacing.decide(error)?,
    }
    Ok(replacing.let_go())
}

/// An upgrade that is under way.
struct Replacing<'b> {
    belongings: &'b Belongings,
    token: &'b Token,
    control: Control,
    child: Child,
    /// Whether the clients go to the new process.
    has_clients: bool,
    /// The ZeroMQ sockets were closed.
    has_released_zeromq: bool,
    phases: Phases,
}

/// The times of the phases, for the log.
struct Phases {
    begun: Instant,
    ended: Vec<(&'static str, Instant)>,
}

impl Phases {
    fn end(&mut self, phase: &'static str) {
        self.ended.push((phase, Instant::now()));
    }

    /// Logs how long each phase took, ms.
    fn log(&self) {
        let begins = std::iter::once(self.begun).chain(self.ended.iter().map(|(_, end)| *end));
        let lasted = self.ended.iter().zip(begins).map(|((phase, end), begin)| {
            format!("{phase} {:.1}", end.duration_since(begin).as_secs_f64() * 1e3)
        });
        let phases_ms = lasted.collect::<Vec<_>>().join(", ");
        tracing::info!(phases_ms, "the clients were handed over");
    }
}

impl Replacing<'_> {
    /// Does everything until the new process says that it serves.
    fn hand_over(&mut self) -> Result<(), UpgradeError> {
        self.greet()?;
        let Prepared { format, cores } = self.await_prepared()?;
        self.phases.end("prepare");
        let own = own_format();
        self.has_clients = format == own;
        if own == NO_CLIENTS {
            tracing::warn!(
                "this kernel cannot hand connections over (Linux 6.8 can): the clients are drained"
            );
        } else if !self.has_clients {
            tracing::warn!(
                own,
                new = format,
                "the new process has another format of the clients' state: it gets the ports, and the clients are drained"
            );
        }
        let channels = self.open_channels(usize::from(cores).max(1))?;
        self.quiesce()?;
        self.export(channels)?;
        self.phases.end("send");
        match self.control.receive(DECIDING, "deciding")?.0 {
            Message::Serving => {
                self.phases.end("decide");
                self.phases.log();
                Ok(())
            }
            Message::Failed { reason } => Err(UpgradeError::Refused(reason)),
            _ => Err(UpgradeError::Unknown),
        }
    }

    fn greet(&self) -> Result<(), UpgradeError> {
        let Belongings { commands, sockets, files, .. } = self.belongings;
        let hello = Hello {
            format: own_format(),
            keys: id_key().to_vec(),
            cores: commands.len() as u16,
            files: files.clone(),
            are_managed: sockets.iter().map(|copy| copy.is_managed).collect(),
        };
        let descriptors: Vec<BorrowedFd<'_>> = std::iter::once(self.token.as_fd())
            .chain(sockets.iter().map(|copy| copy.socket.as_fd()))
            .collect();
        self.control.send(&Message::Hello(hello), &descriptors, "starting")
    }

    fn await_prepared(&self) -> Result<Prepared, UpgradeError> {
        match self.control.receive(PREPARING, "preparing")?.0 {
            Message::Prepared(prepared) => Ok(prepared),
            Message::Failed { reason } => Err(UpgradeError::Refused(reason)),
            _ => Err(UpgradeError::Unknown),
        }
    }

    /// Sends the new process its ends of the channels between the cores, and returns the other ends for each core of this
    /// process.
    fn open_channels(&self, new_cores: usize) -> Result<Vec<Vec<OwnedFd>>, UpgradeError> {
        let old_cores = self.belongings.commands.len();
        let pairs = (0..old_cores.max(new_cores)).map(|_| PacketSocket::pair());
        let pairs: Vec<_> = pairs.collect::<Result<_, _>>().map_err(UpgradeError::Descriptors)?;
        let (ours, theirs): (Vec<PacketSocket>, Vec<PacketSocket>) = pairs.into_iter().unzip();
        let descriptors: Vec<BorrowedFd<'_>> = theirs.iter().map(AsFd::as_fd).collect();
        self.control.send(&Message::Channels, &descriptors, "passing channels")?;
        Ok(deal(ours.into_iter().map(OwnedFd::from), old_cores))
    }

    /// Has the cores finish what is under way and become quiet.
    fn quiesce(&mut self) -> Result<(), UpgradeError> {
        let cores = Cores(&self.belongings.commands);
        cores.carry_out("settle", SETTLING, |_| CoreCommand::HandOver(HandOver::Settle))?;
        self.phases.end("settle");
        if let Some(zeromq) = &self.belongings.zeromq {
            self.has_released_zeromq = true;
            zeromq.release();
        }
        cores.carry_out("become quiet", QUIETING, |_| CoreCommand::HandOver(HandOver::Quiet))?;
        self.phases.end("become quiet");
        if self.has_clients {
            cores.await_stillness()?;
            self.phases.end("become idle");
        }
        Ok(())
    }

    fn export(&self, mut channels: Vec<Vec<OwnedFd>>) -> Result<(), UpgradeError> {
        let exports_clients = self.has_clients;
        self.cores().carry_out("send its clients", SENDING, |core| {
            let channels = channels.get_mut(core).map(std::mem::take).unwrap_or_default();
            CoreCommand::HandOver(HandOver::Export { channels, exports_clients })
        })
    }

    /// Gives the upgrade up because of `error`, unless the new process has taken the token.
    fn decide(&mut self, error: UpgradeError) -> Result<(), UpgradeError> {
        if self.token.take() {
            self.give_up();
            return Err(error);
        }
        // The new process serves, or the main thread of this one has given the upgrade up.
        match self.control.receive(SERVING, "beginning to serve") {
            Err(UpgradeError::Gone(_)) => {
                self.give_up();
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Goes on as if nothing had happened.
    fn give_up(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let resumed = self.cores().carry_out("go on", MOMENT, |_| CoreCommand::HandOver(HandOver::Resume));
        if let Err(error) = resumed {
            tracing::error!("after an upgrade that was given up, {error}");
        }
        if let Some(zeromq) = self.belongings.zeromq.as_ref().filter(|_| self.has_released_zeromq) {
            zeromq.serve();
        }
    }

    /// Leaves the sockets, and the clients that the new process has, to the new process.
    fn let_go(&self) -> NewProcess {
        let let_go = self.cores().carry_out("let go", MOMENT, |_| CoreCommand::HandOver(HandOver::LetGo));
        if let Err(error) = let_go {
            tracing::error!("the new process serves, but {error}");
        }
        NewProcess { pid: self.child.id(), has_clients: self.has_clients }
    }

    fn cores(&self) -> Cores<'_> {
        Cores(&self.belongings.commands)
    }
}

/// The format in which this process sends its clients.
fn own_format() -> u32 {
    if wire::can_install() { HAND_OVER_FORMAT } else { NO_CLIENTS }
}

/// The format of a process that cannot send its clients.
const NO_CLIENTS: u32 = 0;

/// Deals `all` to `count` cores in turn.
pub(super) fn deal<T>(all: impl IntoIterator<Item = T>, count: usize) -> Vec<Vec<T>> {
    let mut dealt: Vec<Vec<T>> = (0..count.max(1)).map(|_| Vec::new()).collect();
    for (index, one) in all.into_iter().enumerate() {
        if let Some(of_core) = dealt.get_mut(index % count.max(1)) {
            of_core.push(one);
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_core_of_either_process_has_a_channel() {
        assert_eq!(deal(0..3, 3), [vec![0], vec![1], vec![2]]);
        assert_eq!(deal(0..3, 2), [vec![0, 2], vec![1]]);
        assert_eq!(deal(0..2, 3), [vec![0], vec![1], vec![]]);
        assert_eq!(deal(0..2, 0), [vec![0, 1]]);
    }
}
