//! The library of Gripwire's tests: real servers, applications and clients, all with timeouts, so that no test can hang.
//!
//! ```no_run
//! use gripwire_harness::{innocent::Innocent, origin::{Answer, Origin}, request::get, server::Launch};
//! use std::time::Duration;
//!
//! // An application that holds every client on the channel `news`, and a server of four cores before it.
//! let hold = Answer::text("held\n").header("Grip-Hold", "stream").header("Grip-Channel", "news");
//! let application = Origin::answering(hold);
//! let server = Launch::route(&application.route()).and_route(Innocent::ROUTE).cores(4).start();
//!
//! // A client that reads strictly, and an innocent client that uses the server all the time.
//! let innocent = Innocent::beside(&server);
//! let mut client = server.client();
//! client.send(get("/stream").bytes()).head();
//! client.expect_body("held\n");
//! server.publish("news", "hello\n");
//! client.expect_body("hello\n");
//! innocent.expect_unharmed(Duration::from_millis(500));
//!
//! // Nothing is left of the clients.
//! drop(client);
//! server.await_empty();
//! assert!(server.memory_bytes("RssAnon") < 1 << 30);
//! ```
//!
//! | for | see |
//! |---|---|
//! | servers | [`server`]: [`Launch`](server::Launch) with any settings, cores, options and files; stats, memory, CPU |
//! | ports | [`port`]: each belongs to one server, also between programs and users |
//! | applications | [`origin`]: HTTP with answers or closures, WebSocket events, TLS, bare sockets, ones that refuse or are deaf |
//! | clients | [`client`] (HTTP), [`tunnel`] and [`tls`], [`websocket`], [`frames`], [`subscriber`], [`zeromq`], [`socket`] |
//! | innocents | [`innocent`]: whoever must not notice what a test does to the server |
//! | other programs | [`program`]: line by line; [`process`]: with a log |
//! | deadlines | [`deadline`]: all waits end after [`patience`](deadline::patience), which `GRIPWIRE_TEST_PATIENCE` changes |
//!
//! `GRIPWIRE_TEST_KEEP=1` keeps the directories of servers with their configurations and logs. Nothing here uses
//! Gripwire's library: what it knows of protocols it knows by itself.

#![warn(missing_docs)]

pub mod client;
pub mod deadline;
pub mod directory;
pub mod frames;
pub mod headers;
pub mod innocent;
pub mod log;
pub mod origin;
pub mod parting;
pub mod port;
pub mod process;
pub mod program;
pub mod random;
pub mod request;
pub mod server;
pub mod socket;
pub mod source;
pub mod subscriber;
pub mod tls;
pub mod tunnel;
pub mod websocket;
pub mod zeromq;

use std::sync::atomic::{AtomicU32, Ordering};

/// A name that no other test of this run uses: `ch7-4242`.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}{}-{}", NEXT.fetch_add(1, Ordering::Relaxed), std::process::id())
}
