//! What the main thread does before and after an upgrade (`upgrade`), which SIGUSR2 or `POST /upgrade/` begin. After it, a
//! new process serves, and this one drains what it still has, and ends. Files that change during an upgrade are read after
//! it, because the new process has read them already.

use super::life::Life;
use super::supervisor::{Supervisor, SupervisorEvent};
use super::upgrade::{UpgradeError, UpgradeReply};
use crate::context::Phase;
use crate::control::NewProcess;
use std::time::{Duration, Instant};

impl Supervisor<'_> {
    /// Begins an upgrade. `reply` is told how it ended.
    pub(super) fn upgrade(&mut self, reply: Option<UpgradeReply>) {
        let tell = self.tell.clone();
        // Nobody hears it if the server ends at this moment.
        self.upgrades.begin(reply, move |outcome| drop(tell.send(SupervisorEvent::Upgraded(outcome))));
    }

    /// An upgrade has ended. If a new process serves, this one drains what is left.
    pub(super) fn upgraded(&mut self, outcome: Result<NewProcess, UpgradeError>, now: Instant) {
        if let Some(NewProcess { pid, .. }) = self.upgrades.ended(outcome) {
            self.notifier.main_pid(pid);
            self.socket_files.disarm();
            self.upgrades.close();
            self.zeromq = None;
            self.watch = None;
            self.readiness.enter(Phase::Draining);
            let ends_at = now + Duration::from_millis(self.settings.server.drain_ms);
            self.life = Life::Notice { begins_at: now, ends_at };
        } else if self.ends_after_upgrade {
            self.begin_end(now);
        }
    }
}
