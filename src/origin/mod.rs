//! Towards the applications.
//!
//! `route` and `routes` say where a request goes; `header_rules` what its fields become; `pool` sends it, over
//! connections made by `connect` (names resolved by `resolve`, TLS by `tls`, sockets adapted to hyper by `hyper_io`);
//! `request` and `response` are what goes in and comes out, `error` what can go wrong and what the client is told.
//! `builtin` answers for the targets `test` and `demo` without any socket.

#![forbid(unsafe_code)]

mod builtin;
mod connect;
mod error;
mod header_rules;
mod hyper_io;
mod pool;
mod request;
mod resolve;
mod response;
mod route;
mod routes;
mod tls;

pub use error::OriginError;
pub use header_rules::{HeaderRules, request_headers};
pub use pool::Pool;
pub use request::{Request, RequestBody};
pub use response::{Response, ResponseBody};
pub use route::{Destination, HostCondition, Route, Signing, Target};
pub use routes::{Lookup, RouteProblem, Routes};

/// The targets of `route`, for messages to the operator.
pub fn name_of_targets(route: &Route) -> String {
    let names: Vec<String> = route.targets.iter().map(|target| target.destination.to_string()).collect();
    names.join(", ")
}
