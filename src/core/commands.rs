//! Commands of the main thread to a core. The main thread pushes them into a queue of each core and rings the core, and the
//! core looks into its queue with each turn. A core answers a command when it has carried it out.
//!
//! A core puts new settings and routes in force while clients are held. A held client keeps the route by which it came.
//! `handing_over` carries out the steps by which an old process hands its clients over to a new one, and `taking_over` the
//! last step of the new one. A drain and some of these steps take long; the commands behind them do not wait for them.

use super::Core;
use super::hand_over::HandOver;
use crate::channel::HomeTimes;
use crate::config::{Channels, Config};
use crate::context::ticks;
use crate::origin::Routes;
use crate::requests::Signers;
use crate::runtime;
use crate::wire::{PortUse, Ringer};
use crossbeam_queue::SegQueue;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

/// A command of the main thread to a core.
pub enum CoreCommand {
    /// Put new settings, routes and keys in force.
    Renew(Box<Renewal>),
    /// Carry out one step of handing the clients over to a new process.
    HandOver(HandOver),
    /// Serve the clients that were taken over: from now on they belong to this process.
    Go,
    /// End all connections to the ports of this use, because the server is about to end. Answered when none is left, and
    /// applications were told of all clients that are gone.
    Drain(PortUse),
}

/// Settings, routes and signers that replace those in force.
pub struct Renewal {
    /// The settings.
    pub settings: Arc<Config>,
    /// The routes.
    pub routes: Arc<Routes>,
    /// The signers of the routes.
    pub signers: Signers,
}

/// The queue of commands from the main thread to one core.
#[derive(Clone, Default)]
pub struct CoreCommands(Arc<Queue>);

#[derive(Default)]
struct Queue {
    waiting: SegQueue<(CoreCommand, Done)>,
    /// Wakes the core. Unset until the core has started; then it looks into the queue in its first turn.
    ringer: OnceLock<Ringer>,
}

/// Called by the core when it has carried out a command, with the reason if it failed.
pub(super) type Done = Box<dyn FnOnce(Result<(), String>) + Send>;

impl CoreCommands {
    /// Has the core carry out `command` and then call `done` with the outcome. A core begins commands in the order in which
    /// they were sent.
    pub fn send(&self, command: CoreCommand, done: impl FnOnce(Result<(), String>) + Send + 'static) {
        self.0.waiting.push((command, Box::new(done)));
        if let Some(ringer) = self.0.ringer.get() {
            ringer.ring();
        }
    }

    /// Has `ringer` wake the core that obeys this queue.
    pub(super) fn wake_by(&self, ringer: Ringer) {
        // A queue has one core, which calls this once.
        let _ = self.0.ringer.set(ringer);
    }
}

impl Core {
    /// Begins all commands from the queue.
    pub(super) fn obey_commands(self: &Rc<Self>) {
        while let Some((command, done)) = self.commands.0.waiting.pop() {
            match command {
                CoreCommand::Renew(renewal) => {
                    self.renew(*renewal);
                    done(Ok(()));
                }
                CoreCommand::Drain(port_use) => self.drain(port_use, done),
                CoreCommand::HandOver(step) => self.hand_over(step, done),
                CoreCommand::Go => self.serve_taken_over(done),
            }
        }
    }

    /// Drains in a task, and calls `done` then.
    fn drain(&self, port_use: PortUse, done: Done) {
        let holds = self.holds.clone();
        tracing::debug!(core = self.context.id.0, ?port_use, "connections are being drained");
        runtime::spawn(async move {
            holds.drain(port_use).await;
            done(Ok(()));
        })
        .detach();
    }

    fn renew(&self, Renewal { settings, routes, signers }: Renewal) {
        let Config { channels, limits, .. } = &*settings;
        self.clients.set_backlog_limits(limits.backlog_bytes, limits.backlog_bytes_per_core);
        self.clients.limit_addresses(&settings);
        self.publishing.set_times(home_times(channels));
        self.requests.renew(&settings, routes, signers);
        self.context.renew(&settings);
        tracing::debug!(core = self.context.id.0, "new settings are in force");
    }
}

/// How long homes wait for a missing predecessor, and remember ids, according to `channels`.
pub(super) fn home_times(channels: &Channels) -> HomeTimes {
    HomeTimes {
        message_wait: ticks(channels.message_wait_ms),
        duplicate_ids: ticks(channels.duplicate_ids_ms),
    }
}
