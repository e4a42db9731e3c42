//! One route: where requests that match it go, and what is changed on the way. Values are as the routes file gave
//! them, checked; nothing here opens a connection.

use http::{HeaderName, HeaderValue};

/// A line of the routes file.
#[derive(Clone, Debug)]
pub struct Route {
    /// The id given by `id=`, or one made of the condition.
    pub id: String,
    /// Exact host, lower case; `None` is any host.
    pub host: Option<String>,
    /// Prefix of the still-encoded path.
    pub path_beg: Option<String>,
    /// Replaces the host of the URI and the Host header.
    pub as_host: Option<String>,
    /// How many bytes are taken off the start of the path.
    pub path_rem: usize,
    /// Replaces `path_beg` at the start of the path.
    pub replace_beg: Option<String>,
    /// Request headers set towards the origin; an empty value only removes.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Prepended to every channel named by the origin.
    pub prefix: Option<String>,
    /// Pass through: nothing is signed and GRIP answers are not read.
    pub no_grip: bool,
    /// Failure answers say what failed.
    pub debug: bool,
    /// Overrides of the signing settings.
    pub signing: Signing,
    /// Tried in order.
    pub targets: Vec<Target>,
}

/// Signing settings a route may override.
#[derive(Clone, Debug, Default)]
pub struct Signing {
    /// The JWT's issuer.
    pub iss: Option<String>,
    /// The key in one of the forms of `sig_key`.
    pub key: Option<String>,
}

/// One target of a route.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it is.
    pub destination: Destination,
    /// TLS towards it.
    pub ssl: bool,
    /// Its certificate is not verified.
    pub insecure: bool,
    /// Its certificate is verified against the connect host rather than the URI's host.
    pub trust_connect_host: bool,
    /// Overrides the host of the URI and the Host header.
    pub host: Option<String>,
    /// WebSockets become HTTP requests.
    pub over_http: bool,
    /// Channels every accepted session is subscribed to.
    pub subscriptions: Vec<String>,
}

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A host name or address, and a port.
    Address {
        /// Host name or IP address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// The built-in test handler (`test`).
    Test,
    /// The built-in demo application (`demo`).
    Demo,
}
