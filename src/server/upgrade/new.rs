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
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Time for the old process to greet.
const GREETING: Duration = Duration::from_secs(10);
/// Time for the old process to answer that this one is prepared.
const CHANNELS: Duration = Duration::from_secs(10);
/// Time for the cores to take over all clients. The old process gives up earlier.
const TAKING_OVER: Duration = Duration::from_secs(30);

/// What a new process gets from the old one.
pub(in crate::server) struct Inheritance {
    control: Control,
    token: Token,
    hello: Hello,
}

/// The cores' outcomes of taking over.
pub(in crate::server) struct Outcomes {
    outcomes: Receiver<(usize, Result<(), String>)>,
    cores: usize,
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

    /// Tells the old process that everything is prepared for `cores` cores. Returns what each core takes over.
    ///
    /// # Errors
    /// The old process has ended or given up.
    pub fn prepared(&self, cores: usize) -> Result<(Vec<TakeOver>, Outcomes), UpgradeError> {
        rehearsal::pass("prepared");
        let prepared = Prepared { format: rehearsal::format(HAND_OVER_FORMAT), cores: cores as u16 };
        self.control.send(&Message::Prepared(prepared), &[], "preparing")?;
        let (message, channels) = self.control.receive(CHANNELS, "passing channels")?;
        if message != Message::Channels {
            return Err(UpgradeError::Unknown);
        }
        rehearsal::pass("channels");
        // A process of another format sends nothing by them.
        let channels = if self.hello.format == prepared.format { channels } else { Vec::new() };
        let (tell, outcomes) = channel();
        let of_core = |(core, channels)| {
            let tell = tell.clone();
            // Nobody hears it when this process ends.
            TakeOver { channels, ready: Box::new(move |outcome| drop(tell.send((core, outcome)))) }
        };
        let take_overs = deal(channels, cores).into_iter().enumerate().map(of_core).collect();
        Ok((take_overs, Outcomes { outcomes, cores }))
    }

    /// Waits until all cores have taken over, and takes the token: from now on this process serves. The
    /// `silent` sockets, which were bound beside those of the old process, begin to listen.
    ///
    /// # Errors
    /// A core failed, or the old process goes on.
    pub fn serve(
        &self,
        outcomes: &Outcomes,
        commands: &[CoreCommands],
        silent: &[TcpListener],
    ) -> Result<(), UpgradeError> {
        outcomes.await_all()?;
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

impl Outcomes {
    fn await_all(&self) -> Result<(), UpgradeError> {
        const STEP: &str = "take over its clients";
        for _ in 0..self.cores {
            match self.outcomes.recv_timeout(TAKING_OVER) {
                Ok((_, Ok(()))) => {}
                Ok((core, Err(reason))) => return Err(UpgradeError::Core { core, step: STEP, reason }),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(UpgradeError::Slow(STEP));
                }
            }
        }
        Ok(())
    }
}
