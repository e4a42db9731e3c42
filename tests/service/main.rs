//! A server under a service manager and an orchestrator: it says how it is and answers
//! probes. Each test starts the real server and is the manager itself: it has the sockets that systemd would have.

mod notified;
mod probes;
