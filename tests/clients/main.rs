//! Real clients: a browser, curl, and the libraries with which applications speak GRIP. `install` gets the libraries; what
//! is missing is said in one line and skipped, unless `GRIPWIRE_TEST_CLIENTS=required`.

mod autobahn;
mod browser;
mod curl;
mod frameworks;
mod libraries;
mod program;
#[path = "../faults/server.rs"]
#[allow(dead_code, reason = "shared with the fault tests, which look at more of it")]
mod server;
mod sockjs;
