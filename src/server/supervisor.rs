//! The main thread while the cores run. It waits for signals, for changed files, and for a failure of a core or of
//! ZeroMQ's thread. When files change, it reads them and sends new settings and routes to the cores. If the files cannot
//! be used, the old settings and routes stay in force.

use super::certificates::tell_of;
use super::error::ServerError;
use super::keys::{check_keys, signers};
use super::life::{EndsAtOnce, Life, SocketFiles};
use super::notifier::Notifier;
use super::upgrade::{UpgradeDesk, UpgradeError, UpgradeReply};
use super::watch::FileWatch;
use super::watchdog::{LOOK_EVERY, Watchdog};
use crate::config::Config;
use crate::context::{Phase, Readiness};
use crate::control::NewProcess;
use crate::core::{CoreCommand, CoreCommands, Renewal};
use crate::observe::Metrics;
use crate::origin::Routes;
use crate::tls::Certificates;
use crate::zeromq::{self, ZeroMqError};
use nix::sys::pthread::Pthread;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Time from the first change of a file until all files are read, so that the writer can finish.
const SETTLE: Duration = Duration::from_millis(1000);
/// Time after which the log says that cores have not put new settings in force.
const LATE: Duration = Duration::from_secs(5);

/// What the service manager is told of a server that is ready.
const SERVING: &str = "Serving";
/// What it is told after a reload that failed.
const SERVING_AS_BEFORE: &str = "Serving with the old settings: the log says why the reload failed";

/// The files that settings and routes come from.
pub trait Files {
    /// Reads the files again and logs mistakes. `None` if the files cannot be used.
    fn read(&mut self) -> Option<(Config, Routes)>;

    /// The paths of the files.
    fn paths(&self) -> Vec<PathBuf>;

    /// Reports the settings that are in force from now on.
    fn in_force(&mut self, settings: &Config);
}

/// All files that are read again when they change.
pub(super) fn paths(files: &dyn Files, certificates: Option<&Certificates>) -> Vec<PathBuf> {
    let mut paths = files.paths();
    paths.extend(certificates.map(Certificates::paths).unwrap_or_default());
    paths
}

/// An event for the main thread.
pub(super) enum SupervisorEvent {
    /// A signal to end the server.
    Signal(i32),
    /// An operator has asked for a drain.
    Drain,
    /// A core has drained connections.
    Drained,
    /// SIGHUP: read the files again.
    Hangup,
    /// SIGUSR2, or an operator who waits for the outcome: replace this process by a new one.
    Upgrade(Option<UpgradeReply>),
    /// An upgrade has ended.
    Upgraded(Result<NewProcess, UpgradeError>),
    /// Files may have changed.
    Touched,
    /// A core has started on this thread.
    Started(u16, Pthread),
    /// A core serves.
    Serving,
    /// A core has put the settings of this reload in force.
    Renewed(u64),
    /// A core failed.
    Core(u16, String),
    /// The thread of ZeroMQ failed.
    ZeroMq(ZeroMqError),
}

/// A reload whose settings are not in force on all cores yet.
pub(super) struct Renewing {
    /// The number of the reload, counted from 0.
    number: u64,
    /// The number of cores that have not answered yet.
    awaited: usize,
    /// The time at which the operator is told that cores have not answered. `None` after that.
    late_at: Option<Instant>,
    /// How many routes there are.
    routes: usize,
    /// Settings that have changed and take a restart.
    differ: Vec<&'static str>,
}

/// The state of the main thread.
pub(super) struct Supervisor<'f> {
    pub settings: Arc<Config>,
    pub files: &'f mut dyn Files,
    /// The certificates for TLS ports.
    pub certificates: Option<Arc<Certificates>>,
    pub events: Receiver<SupervisorEvent>,
    /// The sending end of `events`.
    pub tell: Sender<SupervisorEvent>,
    /// The queue of commands to each core.
    pub commands: Vec<CoreCommands>,
    /// The reloads that not all cores have answered yet, in order.
    pub renewing: VecDeque<Renewing>,
    /// The number of reloads so far.
    pub reloads: u64,
    pub watch: Option<FileWatch>,
    /// The time at which changed files are to be read.
    pub due: Option<Instant>,
    pub watchdog: Watchdog,
    pub life: Life,
    pub ends_at_once: EndsAtOnce,
    /// The number of cores that do not serve yet.
    pub starting: usize,
    pub readiness: Arc<Readiness>,
    /// Tells the service manager what happens here.
    pub notifier: Notifier,
    pub socket_files: SocketFiles,
    pub upgrades: UpgradeDesk,
    /// The server was told to end while an upgrade was under way.
    pub ends_after_upgrade: bool,
    /// The thread of ZeroMQ.
    pub zeromq: Option<Arc<zeromq::Running>>,
    /// The counters of all cores.
    pub metrics: Vec<Arc<Metrics>>,
}

impl Supervisor<'_> {
    /// Runs until the server has been drained, a signal ends it at once, or one of its threads fails.
    ///
    /// # Errors
    /// A core or the thread of ZeroMQ failed.
    pub fn run(mut self) -> Result<(), ServerError> {
        loop {
            let event = self.next_event();
            let now = Instant::now();
            self.watchdog.look(now);
            self.notifier.watchdog(now, self.watchdog.sees_progress());
            match event {
                Ok(SupervisorEvent::Signal(signal)) if self.signalled(signal, now) => return Ok(()),
                Ok(SupervisorEvent::Drained) if self.drained() => return Ok(()),
                Ok(SupervisorEvent::Signal(_) | SupervisorEvent::Drained) => {}
                Ok(SupervisorEvent::Drain) => self.begin_end(now),
                Ok(SupervisorEvent::Started(core, thread)) => self.watchdog.started(core, thread),
                Ok(SupervisorEvent::Serving) => self.served(),
                Ok(SupervisorEvent::Core(core, reason)) => return Err(ServerError::Core(core, reason)),
                Ok(SupervisorEvent::ZeroMq(error)) => return Err(error.into()),
                Ok(SupervisorEvent::Hangup) => self.reload(),
                Ok(SupervisorEvent::Upgrade(reply)) => self.upgrade(reply),
                Ok(SupervisorEvent::Upgraded(outcome)) => self.upgraded(outcome, now),
                Ok(SupervisorEvent::Renewed(number)) => self.renewed(number),
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Ok(SupervisorEvent::Touched) => {
                    if self.due.is_none() && self.watch.as_ref().is_some_and(FileWatch::has_changed) {
                        self.due = Some(Instant::now() + SETTLE);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if self.go_on(now) {
                return Ok(());
            }
        }
    }

    fn next_event(&self) -> Result<SupervisorEvent, RecvTimeoutError> {
        let now = Instant::now();
        let due = self.due.into_iter().chain(self.life.next());
        let until_due = due.map(|due| due.saturating_duration_since(now));
        let until_next = until_due.chain(self.notifier.until_watchdog(now));
        self.events.recv_timeout(until_next.fold(LOOK_EVERY, Duration::min))
    }

    fn tick(&mut self) {
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.reload();
        }
        for renewing in &mut self.renewing {
            if renewing.late_at.is_some_and(|at| at <= Instant::now()) {
                renewing.late_at = None;
                tracing::warn!(cores = renewing.awaited, "cores have not put the new settings in force yet");
            }
        }
    }

    fn look_at_files(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.look_at(paths(self.files, self.certificates.as_deref()));
        }
    }

    /// A core serves. When all cores do, the server is ready.
    fn served(&mut self) {
        self.starting -= 1;
        if self.starting == 0 {
            self.readiness.enter(Phase::Ready);
            self.notifier.ready(SERVING);
        }
    }

    fn reload(&mut self) {
        if self.upgrades.is_under_way() {
            self.due = Some(Instant::now() + SETTLE);
            return;
        }
        self.notifier.reloading();
        let is_sent = self.read_files();
        // If the settings are sent, `renewed` says when they are in force.
        if !is_sent && self.renewing.is_empty() && self.starting == 0 {
            self.notifier.ready(SERVING_AS_BEFORE);
        }
    }

    /// Reads the files and sends new settings and routes to the cores. Returns whether they were sent; if not, the log
    /// says why.
    fn read_files(&mut self) -> bool {
        self.due = None;
        // Watch before reading, so that a change during the reading leads to another reload.
        self.look_at_files();
        if let Some(certificates) = &self.certificates {
            tell_of(&certificates.renew());
        }
        let paths = self.files.paths();
        let Some((new, routes)) = self.files.read() else { return false };
        // Watch the newly named files even if they cannot be used, so that correcting them leads to a reload.
        if self.files.paths() != paths {
            self.look_at_files();
        }
        let (settings, differ) = self.settings.renewed(new);
        // The port's address does not change until a restart, so removing the secret would expose an open port.
        if let Some(exposure) = settings.control.exposure()
            && self.settings.control.has_secret()
        {
            tracing::error!("the old settings stay in force: {exposure}, and restart the server");
            return false;
        }
        let handed_out = self.hand_out(settings, Arc::new(routes), differ);
        handed_out.inspect_err(|error| tracing::error!("the old settings stay in force: {error}")).is_ok()
    }

    /// Sends new settings and routes to all cores, or to none if a key cannot be used.
    fn hand_out(
        &mut self,
        settings: Config,
        routes: Arc<Routes>,
        differ: Vec<&'static str>,
    ) -> Result<(), ServerError> {
        if let Some(error) = check_keys(&settings, &routes).into_iter().next() {
            return Err(error);
        }
        let settings = Arc::new(settings);
        let renewal = || {
            let signers = signers(&settings, &routes)?;
            Ok(Box::new(Renewal { settings: settings.clone(), routes: routes.clone(), signers }))
        };
        let all = self.commands.iter().map(|_| renewal()).collect::<Result<Vec<_>, ServerError>>()?;
        let number = self.reloads;
        self.reloads += 1;
        let late_at = Some(Instant::now() + LATE);
        self.renewing.push_back(Renewing {
            number,
            awaited: all.len(),
            late_at,
            routes: routes.len(),
            differ,
        });
        for (core, renewal) in self.commands.iter().zip(all) {
            let tell = self.tell.clone();
            // Nobody hears it if the server ends at this moment.
            let done = move |_| drop(tell.send(SupervisorEvent::Renewed(number)));
            core.send(CoreCommand::Renew(renewal), done);
        }
        self.files.in_force(&settings);
        self.settings = settings;
        Ok(())
    }

    /// A core has put the settings of a reload in force. When all cores have, the log says so.
    fn renewed(&mut self, number: u64) {
        let Some(renewing) = self.renewing.iter_mut().find(|renewing| renewing.number == number) else {
            return;
        };
        renewing.awaited -= 1;
        // Each core answers in order, so no later reload is complete before the first.
        while let Some(renewing) = self.renewing.pop_front_if(|first| first.awaited == 0) {
            tracing::info!("routes loaded with {} entries", renewing.routes);
            for name in &renewing.differ {
                tracing::warn!("`{name}` has changed: restart the server to apply the change");
            }
        }
        if self.renewing.is_empty() && self.starting == 0 {
            self.notifier.ready(SERVING);
        }
    }
}
