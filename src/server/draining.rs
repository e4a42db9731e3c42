//! The end of the server. At SIGTERM, SIGINT or `POST /drain/` it says that it is not ready, for `drain_notice_ms`. Then the
//! cores drain the connections of clients, and after them those of operators. The server ends when all cores have answered,
//! or when `drain_ms` is over. A second signal ends it at once.

use super::life::{EndsAtOnce, Life};
use super::supervisor::{Supervisor, SupervisorEvent};
use crate::context::Phase;
use crate::core::CoreCommand;
use crate::wire::PortUse;
use signal_hook::consts::SIGINT;
use std::time::{Duration, Instant};

impl Supervisor<'_> {
    /// Takes a signal to end the server. Returns whether it ends now.
    pub(super) fn signalled(&mut self, signal: i32, now: Instant) -> bool {
        let EndsAtOnce { at_any, at_interrupt } = self.ends_at_once;
        if at_any || at_interrupt && signal == SIGINT {
            tracing::info!(signal, "stopping at once");
            self.readiness.enter(Phase::Draining);
            self.notifier.stopping();
            return true;
        }
        tracing::info!(signal, "stopping; a second signal ends the server at once");
        // Not so a signal after `POST /drain/`, which orchestrators send.
        self.ends_at_once.at_any = true;
        self.begin_end(now);
        false
    }

    /// Begins to end the server, unless it is ending already.
    pub(super) fn begin_end(&mut self, now: Instant) {
        if !matches!(self.life, Life::Serving) {
            return;
        }
        if self.upgrades.cancel() {
            self.ends_after_upgrade = true;
            return;
        }
        // Nothing may keep the ports open beyond the cores.
        self.upgrades.close();
        let (drain_ms, notice_ms) = (self.settings.server.drain_ms, self.settings.server.drain_notice_ms);
        tracing::info!(drain_ms, drain_notice_ms = notice_ms, "draining");
        self.readiness.enter(Phase::Draining);
        self.notifier.stopping();
        let after = |ms| now + Duration::from_millis(ms);
        self.life = Life::Notice { begins_at: after(notice_ms), ends_at: after(drain_ms) };
    }

    /// Does what is due at `now`. Returns whether the server ends now.
    pub(super) fn go_on(&mut self, now: Instant) -> bool {
        match self.life {
            Life::Notice { ends_at, .. } | Life::Draining { ends_at, .. } if ends_at <= now => {
                let unfinished: u64 = self.metrics.iter().map(|metrics| metrics.unfinished.get()).sum();
                tracing::warn!(unfinished, "drain_ms is over: connections that are still open are cut");
                true
            }
            Life::Notice { begins_at, ends_at } if begins_at <= now => {
                self.drain(PortUse::Clients, ends_at);
                false
            }
            _ => false,
        }
    }

    /// A core has drained connections. Returns whether the server ends now.
    pub(super) fn drained(&mut self) -> bool {
        let Life::Draining { port_use, awaited, ends_at } = &mut self.life else { return false };
        *awaited -= 1;
        match (*awaited, *port_use, *ends_at) {
            (0, PortUse::Clients, ends_at) => {
                self.drain(PortUse::Operators, ends_at);
                false
            }
            (0, PortUse::Operators, _) => {
                tracing::info!("drained");
                true
            }
            _ => false,
        }
    }

    /// Has all cores drain the connections of `port_use`.
    fn drain(&mut self, port_use: PortUse, ends_at: Instant) {
        self.socket_files.of(port_use).clear();
        self.life = Life::Draining { port_use, awaited: self.commands.len(), ends_at };
        for core in &self.commands {
            let tell = self.tell.clone();
            // Nobody hears it if the server ends at this moment.
            core.send(CoreCommand::Drain(port_use), move |_| drop(tell.send(SupervisorEvent::Drained)));
        }
    }
}
