//! Hostile clients, web pages and proxies, beside innocent clients: an attack does not reach anything it must not reach, the
//! resources that it takes are given back, and innocent clients are served within [`DEADLINE`] meanwhile.

mod addresses;
mod events;
mod filters;
mod guesses;
mod holds;
mod memory;
mod pages;
mod pipelining;
mod proxied;
mod shares;
mod slow;
mod sockjs;
mod tenants;
mod websockets;

use std::time::Duration;

/// No innocent client waits longer for anything while an attack goes on. Under load of other tests a core may not run
/// for some hundred milliseconds.
const DEADLINE: Duration = Duration::from_secs(3);
