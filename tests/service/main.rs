//! A server under a service manager and an orchestrator: it says how it is, it takes the sockets that it is handed, and it
//! answers probes. Each test starts the real server and is the manager itself: it has the sockets that systemd would have.

mod handed;
mod notified;
mod probes;
mod unit;
