//! Commands of the main thread to a core. They come by a queue that the core looks into with each tick of its clock, so
//! that nothing else has to. A command is answered when the core has done it.
//!
//! New settings and routes are taken over while clients are held: a client that is held keeps the route it came by.

use super::Core;
use crate::channel::HomeTimes;
use crate::config::{Channels, Config};
use crate::context::ticks;
use crate::origin::Routes;
use crate::requests::Signers;
use crossbeam_queue::SegQueue;
use std::sync::Arc;

/// What the main thread has a core do.
pub enum CoreCommand {
    /// Put new settings, routes and keys in force.
    Renew(Renewal),
}

/// New settings, routes and keys.
pub struct Renewal {
    /// The settings.
    pub settings: Arc<Config>,
    /// The routes.
    pub routes: Arc<Routes>,
    /// Who signs for them.
    pub signers: Signers,
}

/// The way of commands from the main thread to one core.
#[derive(Clone, Default)]
pub struct CoreCommands(Arc<SegQueue<(CoreCommand, Done)>>);

/// Called by the core when a command is done.
type Done = Box<dyn FnOnce() + Send>;

impl CoreCommands {
    /// Has the core do `command`; it calls `done` afterwards. Commands are done in the order in which they are sent.
    pub fn send(&self, command: CoreCommand, done: impl FnOnce() + Send + 'static) {
        self.0.push((command, Box::new(done)));
    }
}

impl Core {
    /// Does what the main thread has asked for.
    pub(super) fn obey_commands(&self) {
        while let Some((command, done)) = self.commands.0.pop() {
            match command {
                CoreCommand::Renew(renewal) => self.renew(renewal),
            }
            done();
        }
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

/// How long homes wait for what is missing, by `channels`.
pub(super) fn home_times(channels: &Channels) -> HomeTimes {
    HomeTimes {
        message_wait: ticks(channels.message_wait_ms),
        duplicate_ids: ticks(channels.duplicate_ids_ms),
    }
}
