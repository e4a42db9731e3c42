//! A load generator for realtime servers: holds many subscribers, publishes to them, and reports the deliveries, their
//! latencies, and the server's cost.
//!
//! A [`Fleet`] holds subscribers in workers and collects their results. A [`Publisher`] publishes on a schedule. [`run()`]
//! does both, from the first connection to the last late message. [`Target`] has the requests for each kind of server,
//! [`Layout`] the channel of each subscriber, and an [`Origin`] is the application for servers that need one. The program
//! `gripwire-loadgen` combines these; Gripwire's bench uses them separately.

#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub mod amount;
mod conversation;
pub mod decode;
mod fleet;
mod latency;
mod layout;
mod ledger;
mod message;
mod orders;
mod origin;
mod publisher;
mod report;
mod run;
mod server;
#[allow(unsafe_code, reason = "the one room for it")]
mod sys;
mod target;
mod transport;
mod worker;

pub use decode::Malformed;
pub use fleet::{Fleet, FleetError, FleetPlan, Opening, Standing, Workers};
pub use latency::Latencies;
pub use layout::Layout;
pub use message::Message;
pub use orders::DeliveryStats;
pub use origin::Origin;
pub use publisher::{PublishError, PublishPlan, PublishWatch, Published, Publisher, Via};
pub use report::html_report;
pub use run::{Figure, Moment, Outcome, Phase, RunError, RunPlan, run};
pub use server::{ServerCost, ServerWatch, WatchError};
pub use sys::{Epoll, Event, Interest, now_ns, raise_descriptor_limit};
pub use target::{Subscription, Target};
pub use transport::{Mix, Transport, UnknownTransport};
pub use worker::run as run_worker;
