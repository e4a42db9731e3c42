//! What all tests of upgrades have: a server with its applications, publishers, and clients.

use crate::application;
use crate::content::Numbers;
use crate::crowd::{Crowd, Order};
use crate::kind::{Kind, PASSING_HOST};
use crate::publishers::{Office, Publishers};
use crate::sockets::Sockets;
use crate::succession::Succession;
use gripwire_harness::deadline::number;
use gripwire_harness::origin::Origin;
use gripwire_harness::server::Launch;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Everybody who takes part in a test.
pub struct Stage {
    pub crowd: Crowd,
    publishers: Option<Publishers>,
    ends_allowed: Arc<AtomicBool>,
    pub succession: Succession,
    configuration: String,
    _applications: (Origin, Sockets),
    /// Two tests at once would only be slower.
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// A server of four cores with `percent` of all clients, who are open and have got something.
    pub fn set(percent: usize) -> Stage {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = Arc::new(Numbers::new());
        let applications = (application::start(numbers.clone()), Sockets::start());
        let configuration = configuration(&applications.0, &applications.1);
        let launch = Launch::configured("--config", "gripwire.toml")
            .file("gripwire.toml", &configuration)
            .cores_in_file(4)
            .udp();
        let succession = Succession::start(launch);
        let crowd = Crowd::new(succession.server.clients, numbers.clone());
        let ends_allowed = Arc::new(AtomicBool::new(false));
        let office = Office {
            numbers,
            behind: crowd.behind.clone(),
            ends_allowed: ends_allowed.clone(),
            interval: INTERVAL,
        };
        let publishers = Publishers::start(&succession.server, office);
        let stage = Stage {
            crowd,
            publishers: Some(publishers),
            ends_allowed,
            succession,
            configuration,
            _applications: applications,
            _turn: turn,
        };
        let all = ALL.iter().map(|(kind, count)| (*kind, (count * percent / 100).max(FEWEST)));
        stage.crowd.obey(Order::Open(all.collect()));
        stage.round("at the beginning");
        stage.succession.server.await_stats(|stats| stats["backlog_bytes"] > 300_000);
        stage
    }

    /// Everybody gets something that is published from now on, and is answered.
    pub fn round(&self, when: &str) {
        let counts = self.crowd.obey(Order::Round);
        eprintln!("{when}: {counts:?}");
    }

    /// Connections may end properly from now on, or may not.
    pub fn allow_ends(&self, allowed: bool) {
        self.ends_allowed.store(allowed, Ordering::Release);
        self.crowd.obey(Order::AllowEnds(allowed));
    }

    /// Nothing is published any more, and everybody has everything.
    pub fn finish(mut self) {
        self.publishers.take().expect("publishers").stop();
        let counts = self.crowd.obey(Order::Settle);
        eprintln!("at the end: {counts:?}");
        let stats = self.succession.server.stats();
        for lost in ["dropped_datagrams_total", "kernel_dropped_datagrams_total", "bad_datagrams_total"] {
            assert_eq!(stats[lost], 0, "{lost}");
        }
    }

    /// Changes the configuration: it has other cores, and `more` at its end.
    pub fn configure(&self, cores: usize, more: &str) {
        let text = self.configuration.replacen("cores = 4", &format!("cores = {cores}"), 1);
        self.succession.server.rewrite("gripwire.toml", &(text + more));
    }
}

/// A number of the environment.
pub fn setting(name: &str, otherwise: usize) -> usize {
    number(name).map_or(otherwise, |number| number as usize)
}

fn configuration(application: &Origin, sockets: &Sockets) -> String {
    format!(
        "cores = 4\n\
         log.level = \"info\"\n\
         http.listen = \"CLIENTS\"\n\
         control.listen = \"CONTROL\"\n\
         [proxy]\n\
         routes = [\"{PASSING_HOST} {}\", \"* {},over_http\"]\n\
         [ingest]\n\
         unix_stream = \"s\"\n\
         unix_datagram = \"d\"\n\
         [zeromq]\n\
         pull = \"ipc://pull\"\n",
        sockets.address(),
        application.address()
    )
}

/// All clients.
const ALL: [(Kind, usize); 13] = [
    (Kind::Events, 2300),
    (Kind::Stream, 2300),
    (Kind::OldStream, 800),
    (Kind::Follower, 300),
    (Kind::Filtered, 300),
    (Kind::Poll, 1000),
    (Kind::Talk, 1000),
    (Kind::Passing, 1000),
    (Kind::Idle, 200),
    (Kind::Slow, 24),
    (Kind::Upload, 16),
    (Kind::Visitor, 8),
    (Kind::Passer, 8),
];
/// How many of the clients take part if the environment does not say, per cent.
pub const PERCENT: usize = 20;
/// The percentage of all clients in tests of single steps.
pub const FEW: usize = 40;
/// Clients of each kind, whatever the share.
const FEWEST: usize = 8;
/// The time between two items of a channel.
const INTERVAL: Duration = Duration::from_millis(1500);
