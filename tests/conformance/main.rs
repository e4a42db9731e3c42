//! The conformance suite: what a user of Gripwire relies on, checked from outside through real sockets.
//!
//! `cargo test --test conformance` checks Gripwire. `GRIP_PROXY=pushpin cargo test --test conformance` checks the
//! expectations: the same cases run against Pushpin 1.36, which Gripwire is compatible with, and each must pass there
//! as well, save for those marked `pushpin_differs!` with the reason: demands on Gripwire alone, which are skipped
//! there. With `GRIP_MARKED=run` they are run all the same, and each must fail, or its mark is wrong. With
//! `GRIPWIRE_TEST_KEEP=1` the servers' directories with their logs are kept. Nothing of Gripwire's library is used. All
//! cases may run in parallel on one server: each has paths and channels of its own.

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
