//! The conformance suite: behavior that users of Gripwire rely on, checked from outside through real sockets. The suite uses
//! nothing of Gripwire's library.
//!
//! `cargo test --test conformance` runs all cases against Gripwire. `GRIP_PROXY=pushpin cargo test --test conformance` runs
//! the same cases against Pushpin 1.36, to prove that the expectations are Pushpin's too. Cases marked `pushpin_differs!`,
//! with the reason, hold for Gripwire only and are skipped there. With `GRIP_MARKED=run` the marked cases run against Pushpin
//! too, and each of them must fail, or its mark is wrong.
//!
//! With `GRIPWIRE_TEST_KEEP=1` the directories of the servers are kept, with their logs. All cases may run in parallel on one
//! server, because each case has its own paths and channels.

mod harness;

mod between;
mod control_inspection;
mod control_pages;
mod control_receipts;
mod control_tokens;
mod cross_origin;
mod failures;
mod filters;
mod filters_http;
mod filters_websocket;
mod forwarding;
mod framing;
mod heads_only;
mod instruct;
mod json;
mod keep_alive;
mod log;
mod long_poll;
mod metrics;
mod odd_origins;
mod persistence;
mod proxied;
mod publish_api;
mod publish_formats;
mod publish_items;
mod reliability_links;
mod reliability_long_poll;
mod reliability_order;
mod reliability_spread;
mod reload;
mod request_headers;
mod routes;
mod signing;
mod smuggling;
mod sockjs;
mod stats;
mod stream;
mod subscription_limit;
mod targets;
mod tenants;
mod tls;
mod tls_faults;
mod unix_ports;
mod websocket_over_http;
mod websocket_pass_through;
mod websocket_pass_through_grip;
mod websocket_pass_through_handshake;
mod websocket_pass_through_publish;
mod zeromq_commands;
mod zeromq_publish;
