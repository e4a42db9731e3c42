//! The sequence of the new process, a part of the server's start. Everything that can fail is done before the token is
//! taken: until then the old process can go on, and this process just ends.

use super::error::UpgradeError;
use super::message::{Control, Hello, Message, Prepared};
use super::old::deal;
use super::rehearsal;
use super::steps::{Cores, MOMENT};
use super::token::Token;
use crate::core::{CoreCommand, CoreCommands, HAND_OVER_FORMAT, TakeOver};
use crate::ids::adopt_id_key;
use crate::wire::{self, PacketSocket};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Time for the old process to greet.
const GREETING: Duration = Duration::from_secs(10);
/// Time for the old process to answer that this one is prepared.
const CHANNELS: Duration = Duration::from_secs(10);
/// Time for the cores to start. The old process gives up earlier.
const STARTING: Duration = Duration::from_secs(60);
/// Time for the cores to take over all clients. The old process gives up earlier.
const TAKING_OVER: Duration = Duration::from_secs(30);

/// What a new process gets from the old one.
pub(in crate::server) struct Inheritance {
    control: Control,
    token: Token,
    hello: Hello,
}

/// The cores of this process, from their start until they have taken over. Each hears what concerns it by the receivers and
/// senders at its number; they are closed if it fails.
#[derive(Default)]
pub(in crate::server) struct NewCores {
    waiting: Vec<Receiver<()>>,
    channels: Vec<Sender<Vec<OwnedFd>>>,
    outcomes: Vec<Receiver<Result<(), String>>>,
}

impl Inheritance {
    /// Hears the old process at the other end of `socket`. Returns also the sockets that it listens on or receives datagrams
    /// by, each with whether a service manager has it too.
    ///
    /// # Errors
    /// The old process has ended, or is of another version.
    pub fn hear(socket: PacketSocket) -> Result<(Inheritance, Vec<(OwnedFd, bool)>), UpgradeError> {
        rehearsal::pass("hello");
        let control = Control::new(socket);
        let (message, descriptors) = control.receive(GREETING, "starting")?;
        let Message::Hello(hello) = message else { return Err(UpgradeError::Unknown) };
        let mut descriptors = descriptors.into_iter();
        // Ids that the old process has seen would be unknown with another key, so items could come twice.
        if !hello.keys[..].try_into().is_ok_and(adopt_id_key) {
            tracing::warn!("the old process's ids of items are not known here");
        }
        let token = Token::from(descriptors.next().ok_or(UpgradeError::Unknown)?);
        tracing::info!(cores = hello.cores, format = hello.format, "taking over from a running server");
        let sockets = descriptors.zip(hello.are_managed.clone()).collect();
        Ok((Inheritance { control, token, hello }, sockets))
    }

    /// The files of Unix sockets that the old process owns.
    pub fn files(&self) -> Vec<PathBuf> {
        self.hello.files.clone()
    }

    /// Tells the old process that this one cannot take over.
    pub fn refuse(&self, reason: String) {
        // The old process may have given up already.
        let _ = self.control.send(&Message::Failed { reason }, &[], "refusing");
    }

    /// Tells the old process that everything is prepared, and gives the cores their channels to it.
    ///
    /// # Errors
    /// A core could not start, or the old process has ended or given up.
    pub fn prepared(&self, cores: &NewCores) -> Result<(), UpgradeError> {
        cores.await_start().inspect_err(|error| self.refuse(error.to_string()))?;
        rehearsal::pass("prepared");
        let count = cores.channels.len();
        let prepared = Prepared { format: rehearsal::format(HAND_OVER_FORMAT), cores: count as u16 };
        self.control.send(&Message::Prepared(prepared), &[], "preparing")?;
        let (message, channels) = self.control.receive(CHANNELS, "passing channels")?;
        if message != Message::Channels {
            return Err(UpgradeError::Unknown);
        }
        rehearsal::pass("channels");
        // A process of another format sends nothing by them.
        let channels = if self.hello.format == prepared.format { channels } else { Vec::new() };
        for (of_core, channels) in cores.channels.iter().zip(deal(channels, count)) {
            // A core that has failed is noticed by its outcome.
            let _ = of_core.send(channels);
        }
        Ok(())
    }

    /// Waits until all cores have taken over, and takes the token: from now on this process serves. The
    /// `silent` sockets, which were bound beside those of the old process, begin to listen.
    ///
    /// # Errors
    /// A core failed, or the old process goes on.
    pub fn serve(
        &self,
        cores: &NewCores,
        commands: &[CoreCommands],
        silent: &[TcpListener],
    ) -> Result<(), UpgradeError> {
        cores.await_outcomes()?;
        rehearsal::pass("ready");
        if !self.token.take() {
            return Err(UpgradeError::Overtaken);
        }
        rehearsal::pass("token");
        for listener in silent {
            if let Err(error) = wire::listen(listener) {
                tracing::error!(?listener, %error, "a core has no socket of its own for this port");
            }
        }
        let go = Cores(commands).carry_out("serve its clients", MOMENT, |_| CoreCommand::Go);
        rehearsal::pass("go");
        // The old process may have ended. This process serves in any case.
        let told = self.control.send(&Message::Serving, &[], "telling that this process serves");
        for error in [go, told].into_iter().filter_map(Result::err) {
            tracing::error!("this process serves, but {error}");
        }
        rehearsal::pass("serving");
        Ok(())
    }
}

impl NewCores {
    /// Cores that are about to be started, and what each is to be started with.
    pub fn new(count: usize) -> (NewCores, Vec<TakeOver>) {
        let mut cores = NewCores::default();
        let take_overs = (0..count).map(|_| {
            let (tell_waits, waits) = channel();
            let (give, channels) = channel();
            let (tell_outcome, outcome) = channel();
            cores.waiting.push(waits);
            cores.channels.push(give);
            cores.outcomes.push(outcome);
            // Nobody hears either when this process ends.
            TakeOver {
                waits: Box::new(move || tell_waits.send(()).unwrap_or_default()),
                channels,
                ready: Box::new(move |outcome| drop(tell_outcome.send(outcome))),
            }
        });
        let take_overs = take_overs.collect();
        (cores, take_overs)
    }

    /// Waits until every core waits for its channels.
    fn await_start(&self) -> Result<(), UpgradeError> {
        self.waiting.iter().enumerate().try_for_each(|(core, waits)| hear(core, waits, STARTING, "start"))
    }

    /// Waits until every core has taken over.
    fn await_outcomes(&self) -> Result<(), UpgradeError> {
        const STEP: &str = "take over its clients";
        for (core, outcome) in self.outcomes.iter().enumerate() {
            let outcome = hear(core, outcome, TAKING_OVER, STEP)?;
            outcome.map_err(|reason| UpgradeError::Core { core, step: STEP, reason })?;
        }
        Ok(())
    }
}

/// What core number `core` says when it has done `step`.
fn hear<T>(core: usize, says: &Receiver<T>, limit: Duration, step: &'static str) -> Result<T, UpgradeError> {
    says.recv_timeout(limit).map_err(|error| match error {
        RecvTimeoutError::Timeout => UpgradeError::Slow(step),
        RecvTimeoutError::Disconnected => UpgradeError::Core { core, step, reason: "it failed".to_owned() },
    })
}
