//! What the cases stand on: the server under test, an origin for it to ask, clients and a publisher.
//!
//! [`proxy`] starts one server for each configuration ([`process`] sees to it that none outlives the tests, [`pushpin`]
//! knows how Pushpin is set up, [`routing`] holds the routes file), [`origin`] is the application behind it, [`client`]
//! reads HTTP from a bare socket ([`request`] spells what it sends), [`publisher`] posts to the control port, [`signature`]
//! verifies Grip-Sig, [`websocket`] opens WebSockets and is the application that sees them as requests,
//! [`websocket_origin`] is the one that speaks WebSocket itself, [`zeromq`] has the sockets of publishers and operators,
//! [`tls`] clients that speak TLS. Everything is blocking and bounded by [`PATIENCE`], so that no case can hang.

pub mod client;
pub mod headers;
pub mod origin;
pub mod process;
pub mod proxy;
pub mod publisher;
pub mod pushpin;
pub mod request;
pub mod routing;
pub mod signature;
pub mod tls;
pub mod websocket;
pub mod websocket_origin;
pub mod wire;
pub mod zeromq;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long anything is awaited before a case fails. Twice the longest Grip-Timeout used here.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Is the server under test Pushpin, the oracle, instead of Gripwire?
pub fn against_pushpin() -> bool {
    match std::env::var("GRIP_PROXY").as_deref() {
        Ok("pushpin") => true,
        Ok("gripwire") | Err(_) => false,
        Ok(other) => panic!("GRIP_PROXY is {other:?}; it may be \"gripwire\" (the default) or \"pushpin\""),
    }
}

/// Are the cases that Pushpin is known to fail to run against it too? (To prove that it does fail them.)
pub fn marked_cases_run_anyway() -> bool {
    std::env::var("GRIP_MARKED").is_ok_and(|value| value == "run")
}

/// A name that no other case of this run uses: `ch7-4242`.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}{}-{}", NEXT.fetch_add(1, Ordering::Relaxed), std::process::id())
}

/// Marks a case as a demand on Gripwire that Pushpin does not meet, and says why.
/// Against Pushpin the case is skipped, unless `GRIP_MARKED=run`.
macro_rules! pushpin_differs {
    ($why:expr) => {
        if $crate::harness::against_pushpin() && !$crate::harness::marked_cases_run_anyway() {
            eprintln!("skipped: Pushpin differs: {}", $why);
            return;
        }
    };
}
pub(crate) use pushpin_differs;
