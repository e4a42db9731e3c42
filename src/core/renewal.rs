//! New settings and routes, taken over while clients are held. They come by a channel that the core looks into with
//! each tick of its clock, so that nothing else has to. Whoever is held keeps the route it came by.

use super::Core;
use super::signatures::Signers;
use super::turn::home_times;
use crate::config::Config;
use crate::ingest::Permits;
use crate::origin::Routes;
use std::rc::Rc;
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

impl Core {
    /// Takes over what has come.
    pub(super) fn take_renewals(&self) {
        while let Ok(renewal) = self.renewals.try_recv() {
            self.renew(renewal);
        }
    }

    fn renew(&self, Renewal { settings, routes, signers }: Renewal) {
        let Config { proxy, channels, limits, .. } = &*settings;
        self.wire.borrow_mut().set_backlog_limits(limits.backlog_bytes, limits.backlog_bytes_per_core);
        self.limit_addresses(&settings);
        self.pool.renew(proxy);
        self.spread.borrow_mut().set_limit(channels.refetches_per_core);
        self.home.borrow_mut().set_times(home_times(channels));
        *self.permits.borrow_mut() = Permits::new(&settings);
        *self.routes.borrow_mut() = routes;
        self.signatures.borrow_mut().renew(signers);
        *self.settings.borrow_mut() = Rc::new((*settings).clone());
        tracing::debug!(core = self.id.0, "new settings are in force");
    }
}
