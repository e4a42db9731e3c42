//! Hostile clients, pages and proxies, with innocent clients beside them: what an attack must not reach stays out of
//! reach, what it takes is given back, and whoever does nothing wrong is served within [`DEADLINE`] all the while.

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
