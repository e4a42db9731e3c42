//! A request as its service gets it.

use super::service::Service;
use crate::proto::http1::{BodyLength, Headers};
use http::Method;
use std::net::SocketAddr;

/// A request as its service gets it.
pub struct Request {
    /// The method.
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
    /// Which port it came by.
    pub service: Service,
    /// Another GRIP proxy has sent it.
    pub is_trusted: bool,
}
