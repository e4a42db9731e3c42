//! A client's request, as the room that answers it gets it.

use super::service::Service;
use crate::proto::http1::{BodyLength, Headers, packing};
use http::Method;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A client's request.
#[derive(Clone, Serialize, Deserialize)]
pub struct Request {
    /// The method.
    #[serde(with = "packing::method")]
    pub method: Method,
    /// Path and query as the client wrote them; `*` for `OPTIONS *`.
    pub target: String,
    /// Host and port as the client wrote them.
    pub host: String,
    /// All header fields.
    pub headers: Headers,
    /// How the body is framed.
    pub body: BodyLength,
    /// The client's address, if it has one.
    pub peer: Option<SocketAddr>,
    /// The service of the listener by which the request came.
    pub service: Service,
    /// The request was sent by another GRIP proxy.
    pub is_trusted: bool,
}
