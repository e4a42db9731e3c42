//! Towards the applications: routes, connections, requests and answers.
//!
//! `routes` finds the `route` of a request. `request_headers`/`response_headers` say what crosses the proxy by the `rules`
//! of the request, `reserved` what clients may not say, `forwarding` what is told of the way that a request came. `message`
//! holds the values that go in and out, `pool` ties the rest: it takes each target of a route in order, `openings` admits
//! as many requests as are good at a time, and shares them out among clients and applications, `idle` keeps unused
//! connections, each for its `open_socket`, `connect` makes new ones or says why it cannot (`connect_error`; `resolve` for names,
//! `private_network` and `special_purpose` for those that untrusted targets must not have, `own_ports` for those that
//! no application may send this server to, `tls` for trust). `connection` does one exchange on a `transport`: `upload`
//! writes the request, `proto/http1` reads the answer, and `body` hands its body over piece by piece, all within the
//! patience of `activity`. `upgrade` has the transport once the protocol was switched. `decoding` takes the content
//! coding off answers that this server reads. `error` says what a client is told when it fails. `local` answers for the
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
pub use upgrade::{UpgradeAnswer, Upgraded};
pub use upload::RequestBody;
