//! New settings and routes, taken over while clients are held. They come by a queue that the core looks into with
//! each tick of its clock, so that nothing else has to. Whoever is held keeps the route it came by.

use super::Core;
use crate::channel::HomeTimes;
use crate::config::{Channels, Config};
use crate::context::ticks;
use crate::origin::Routes;
use crate::requests::Signers;
use crossbeam_queue::SegQueue;
use std::sync::Arc;

/// What is in force from now on.
pub struct Renewal {
    /// The settings.
    pub settings: Arc<Config>,
    /// The routes.
    pub routes: Arc<Routes>,
    /// Who signs for them.
    pub signers: Signers,
}

/// The way of renewals from the main thread to one core.
pub type Renewals = Arc<SegQueue<Renewal>>;

impl Core {
    /// Takes over what has come.
    pub(super) fn take_renewals(&self) {
        while let Some(renewal) = self.renewals.pop() {
            self.renew(renewal);
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
