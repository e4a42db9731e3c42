//! Connects to applications: routes, connections, requests and answers.
//!
//! `routes` finds the `route` of a request. `request_headers` and `response_headers` decide which headers pass;
//! `rules` has the facts of one request that they decide by, `reserved` names the fields that clients may not set,
//! and `forwarding` sets the fields that tell how a request came. `message` holds the requests and answers. `pool`
//! ties the other files together: it tries the targets of a route in order. `openings` limits how many requests are
//! open at a time and shares them out among clients and applications. `idle` keeps unused connections by
//! `origin_address`. `connect` makes new connections or says why it cannot (`connect_error`), with four parts:
//! `resolve` looks names up, `private_network` and `special_purpose` refuse addresses to untrusted targets,
//! `own_ports` refuses this server's own ports to requests whose URI an application named, and `tls` decides whom to
//! trust. `connection` does one exchange on a `transport`: `upload` writes the request, `proto/http1` reads the
//! answer, and `body` returns the answer's body piece by piece; `activity` limits how long a connection may be
//! silent. `upgrade` holds the transport after a switch of protocols. `decoding` removes the content coding of
//! answers that this server reads. `error` has the failures and the client's answer to each. `local` answers for the
//! built-in applications, `test_target` and `demo`, without a socket: each reads a `query` and makes a `page`.

#![forbid(unsafe_code)]

mod activity;
mod body;
mod connect;
mod connect_error;
mod connection;
mod decoding;
mod demo;
mod error;
mod forwarding;
mod idle;
mod local;
mod message;
mod openings;
mod origin_address;
mod own_ports;
mod page;
mod pool;
mod private_network;
mod query;
mod request_headers;
mod reserved;
mod resolve;
mod response_headers;
mod route;
mod routes;
mod rules;
mod special_purpose;
mod test_target;
mod tls;
mod transport;
mod upgrade;
mod upload;

#[cfg(test)]
mod fake_origin;

pub use body::ResponseBody;
pub use connect::{RECEIVED_BYTES, UNSENT_BYTES};
pub use connect_error::ConnectError;
pub use error::{Attempt, BadAnswer, OriginError, RETRY_AFTER_S, Refusal};
pub use message::{Request, Response};
pub use own_ports::OwnPorts;
pub use pool::{Pool, PoolCounts};
pub use request_headers::request_headers;
pub use reserved::is_of_proxies;
pub use route::{ClientCertificate, Destination, HostCondition, Route, Signing, Target};
pub use routes::{Lookup, RouteProblem, Routes};
pub use rules::Rules;
pub use tls::read_certificate;
pub use upgrade::{PackedUpgraded, UpgradeAnswer, Upgraded};
pub use upload::RequestBody;
