//! Gripwire: a realtime edge server. It stands in front of ordinary web applications, holds their clients' long polls,
//! HTTP streams, Server-Sent Events and WebSockets open, and writes each published message to every subscriber.
//!
//! The crate's modules are rooms. A room uses only rooms that stand before it in this list; ARCHITECTURE.md has a picture
//! of them, follows a message through them, and says in which file to look for what.
//!
//! - The ground: [`bell`] wakes tasks of one core, [`slack`] finds room that tables no longer need, [`runtime`] has tasks,
//!   timers and time, `patience` waits as long as a limit allows, [`ids`] has the newtypes that index tables.
//! - Values without sockets and clocks: [`proto`] (codecs, and the published items that they
//!   read), [`channel`] (homes, subscriptions, receipts), [`config`]
//!   (settings), [`tls`] (sessions of clients and their certificates).
//! - Ways in and out of a core: [`wire`] (client sockets on io_uring), [`mesh`] (rings between cores), [`origin`]
//!   (connections to applications), [`ingest`] (datagrams), [`backplane`] (items from and to other nodes), [`monitor`]
//!   (what the stats socket says).
//! - What a core does: [`observe`] (counters), [`context`] (what all rooms of a core share), [`clients`] (connections,
//!   requests and answers), [`queries`] (questions to all cores), [`delivery`] (items to subscribers), [`publish`] (items to
//!   their homes), [`requests`] (requests to applications).
//! - Who asks a core for something: [`filters`] (decide on items for one subscriber), [`held`] (long polls, streams,
//!   WebSockets, SockJS), [`control`] (the control port).
//! - Threads: `core` (one core: its rooms and its loop), [`zeromq`] (the thread of ZeroMQ's sockets), [`server`] (starts,
//!   watches and renews the cores).
//!
//! Beside them, [`doctor`] judges a machine by the bounds of `config` and `wire`, and `simulation`, with the feature of
//! that name, is the world in which tests run whole cores.

#![deny(unsafe_op_in_unsafe_fn)]

pub mod backplane;
pub mod bell;
pub mod channel;
pub mod clients;
pub mod config;
pub mod context;
pub mod control;
pub mod core;
pub mod delivery;
pub mod doctor;
pub mod filters;
pub mod held;
pub mod ids;
pub mod ingest;
pub mod mesh;
pub mod monitor;
pub mod observe;
pub mod origin;
mod patience;
pub mod proto;
pub mod publish;
pub mod queries;
pub mod requests;
pub mod runtime;
pub mod server;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod slack;
pub mod tls;
pub mod wire;
pub mod zeromq;
