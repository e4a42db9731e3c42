//! Upgrades of a running server, seen from outside: thousands of clients of every kind, and publishers by every way, of
//! whom nobody may notice that another process serves them now. Nothing is lost, doubled, torn or out of order in either
//! direction, and no connection ends, is reset or is refused.
//!
//! [`content`] says what is published, [`publishers`] publish it, [`crowd`] is all clients on one thread, of which each
//! [`client`] knows what comes next; [`kind`] and [`actions`] are what the kinds of clients ask and do. [`application`]
//! and [`sockets`] are the applications, and [`succession`] is the server with its successors.
//!
//! `GRIPWIRE_UPGRADE_PERCENT` says how many of the clients take part (20; 100 is 6,000 streams, 1,000 polls and 1,000 WebSockets
//! of each kind), and `GRIPWIRE_UPGRADES` how many upgrades there are in a row (5).

mod actions;
mod application;
mod client;
mod content;
mod crowd;
mod draining;
mod failing;
mod kind;
mod publishers;
mod sockets;
mod stage;
mod succession;
mod surviving;
