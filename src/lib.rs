//! Gripwire: a realtime edge server. It stands in front of ordinary web applications, holds their clients' long polls,
//! HTTP streams, Server-Sent Events and WebSockets open, and writes each published message to every subscriber.
//!
//! Rooms, from the bottom up: [`ids`] and [`proto`] (sans-IO codecs), [`channel`] (subscriptions, homes,
//! publications), [`tls`] (sessions of clients and their certificates), `runtime` (tasks, timers, time), `wire`
//! (client sockets on io_uring), `mesh`, `origin`, `ingest`, `bridge`, `core` (one core's world), `monitor`, `zeromq`
//! (a thread beside the cores), `server` (starts them). A room knows only the rooms below it. Beside them, [`doctor`]
//! looks at the machine with the bounds of `config` and `wire`, and `simulation`, with the feature of that name, is
//! the world in which tests run whole cores. Three files belong to no room: `bell` wakes tasks of one core, `patience`
//! waits as long as a limit allows, and `slack` finds room that tables no longer need.

#![deny(unsafe_op_in_unsafe_fn)]

pub mod bell;
pub mod bridge;
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
