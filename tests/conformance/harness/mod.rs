//! What the cases stand on beside `gripwire-harness`: the server under test, an application with a page for each case,
//! and ways to publish that serve Pushpin too.
//!
//! [`proxy`] starts one server for each configuration ([`pushpin`] knows how Pushpin is set up, [`routing`] holds the
//! routes file), [`origin`] is the application behind it, [`publisher`] posts to the control port, [`signature`]
//! verifies Grip-Sig, [`warnings`] shows with a failure what the servers warned of, [`websocket`] is the application that sees WebSockets as requests, [`websocket_origin`] the one
//! that speaks WebSocket itself, [`zeromq`] finds the sockets of publishers and operators.

pub mod origin;
pub mod proxy;
pub mod publisher;
pub mod pushpin;
pub mod routing;
pub mod signature;
pub mod warnings;
pub mod websocket;
pub mod websocket_origin;
pub mod zeromq;

pub use gripwire_harness::deadline::patience;
pub use gripwire_harness::{client, headers, request, source, tls, unique};

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
