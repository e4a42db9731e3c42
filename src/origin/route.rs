//! One route: where requests that match it go, and what is changed on the way. Values are as the routes file gave
//! them, checked; nothing here opens a connection.

use crate::proto::cross_origin::JsonpSettings;
use http::{HeaderName, HeaderValue};
use std::path::PathBuf;
use std::sync::Arc;

/// A line of the routes file.
#[derive(Clone, Debug)]
pub struct Route {
    /// The id given by `id=`, or one made of the condition.
    pub id: String,
    /// Whether `id=` gave it, and requests may name it.
    pub has_own_id: bool,
    /// Which hosts it is for.
    pub host: HostCondition,
    /// Only requests that came over TLS, or only those that did not.
    pub tls: Option<bool>,
    /// Only WebSockets, or only plain HTTP.
    pub websocket: Option<bool>,
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
    /// Every request header is sent a second time, its name marked with `eb9bf0f5-`, unless it came so.
    pub orig_headers: bool,
    /// Pass through: nothing is signed and GRIP answers are not read.
    pub no_grip: bool,
    /// Browsers of other origins are answered: CORS headers are added, and JSON-P is served.
    pub cross_origin: bool,
    /// How requests for JSON-P are read.
    pub jsonp: JsonpSettings,
    /// The path of a SockJS service.
    pub sockjs: Option<String>,
    /// The path that its WebSockets have for the application, if not the same.
    pub sockjs_as_path: Option<String>,
    /// Failure answers say what failed.
    pub debug: bool,
    /// The highest level of what is logged of its requests: 0 errors, 1 warnings, 2 each request, and so on.
    pub log_level: Option<u8>,
    /// Nothing is signed, though GRIP is spoken: an application has named a URI beyond what the routes let it speak
    /// for.
    pub unsigned: bool,
    /// Overrides of the signing settings. Shared with routes that are made out of this one, whose requests are signed
    /// alike.
    pub signing: Arc<Signing>,
    /// Tried in order.
    pub targets: Vec<Target>,
}

/// Which hosts a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostCondition {
    /// Any host that has no rules of its own.
    Any,
    /// Exactly this host, in lower case, without a port.
    Exact(String),
    /// None: the route is found by its id only.
    Never,
}

impl Route {
    /// A route for `host` that says nothing else.
    pub(super) fn bare(host: HostCondition) -> Route {
        Route {
            id: String::new(),
            has_own_id: false,
            host,
            tls: None,
            websocket: None,
            path_beg: None,
            as_host: None,
            path_rem: 0,
            replace_beg: None,
            headers: Vec::new(),
            prefix: None,
            orig_headers: false,
            no_grip: false,
            cross_origin: false,
            jsonp: JsonpSettings::default(),
            sockjs: None,
            sockjs_as_path: None,
            debug: false,
            log_level: None,
            unsigned: false,
            signing: Arc::default(),
            targets: Vec::new(),
        }
    }
}

/// Signing settings a route may override.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// What this server shows of itself when it asks.
    pub client_certificate: Option<Arc<ClientCertificate>>,
    /// It must be an address of the Internet (IANA's special-purpose address registries).
    pub untrusted: bool,
    /// The requests that go there are this server's own, because an application has named a URI (a link, a filter):
    /// they must not reach the ports where this server is operated.
    pub named_by_application: bool,
    /// WebSockets become HTTP requests.
    pub over_http: bool,
    /// Such a request has one event at most.
    pub one_event: bool,
    /// Channels every accepted session is subscribed to.
    pub subscriptions: Vec<String>,
}

/// The files of a certificate, and of its key, for TLS towards a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// PEM: the certificate, and what links it to a known one.
    pub chain: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
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

impl Target {
    /// A target with no properties.
    pub fn to(destination: Destination) -> Target {
        Target {
            destination,
            ssl: false,
            insecure: false,
            trust_connect_host: false,
            host: None,
            client_certificate: None,
            untrusted: false,
            named_by_application: false,
            over_http: false,
            one_event: false,
            subscriptions: Vec::new(),
        }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Destination::Address { host, port } if host.contains(':') => write!(out, "[{host}]:{port}"),
            Destination::Address { host, port } => write!(out, "{host}:{port}"),
            Destination::Test => out.write_str("test"),
            Destination::Demo => out.write_str("demo"),
        }
    }
}

impl Route {
    /// Whether what has this level is logged of its requests.
    pub fn logs(&self, level: u8) -> bool {
        self.log_level.is_none_or(|highest| level <= highest)
    }

    /// The host (with port) and the path and query that the origin is asked for, given the client's.
    pub fn rewrite(&self, host: &str, path_and_query: &str) -> (String, String) {
        let host = self.as_host.as_deref().unwrap_or(host).to_owned();
        let (path, query) = match path_and_query.find('?') {
            Some(at) => path_and_query.split_at(at),
            None => (path_and_query, ""),
        };
        let beginning = self.path_beg.as_deref().unwrap_or_default();
        let mut rewritten = String::new();
        match path.starts_with(beginning) {
            true => {
                let mut path = path.get(self.path_rem..).unwrap_or_default();
                if let Some(replacement) = &self.replace_beg {
                    path = path.strip_prefix(beginning).unwrap_or(path);
                    rewritten.push_str(replacement);
                }
                rewritten.push_str(path);
            }
            // A link, or a path of `sockjs_as_path`: what is said of the beginning is not said of it.
            false => rewritten.push_str(path),
        }
        if !rewritten.starts_with('/') {
            rewritten.insert(0, '/');
        }
        rewritten.push_str(query);
        (host, rewritten)
    }

    /// What the path of `target` has below that of the route's SockJS service.
    pub fn below_sockjs<'a>(&self, target: &'a str) -> Option<&'a str> {
        let path = target.split('?').next().unwrap_or_default();
        let below = path.strip_prefix(self.sockjs.as_deref()?.trim_end_matches('/'))?;
        (below.is_empty() || below.starts_with('/')).then_some(below)
    }

    /// The target of a WebSocket of that service: its path, `more`, and the query of `target`.
    pub fn sockjs_target(&self, target: &str, more: &str) -> String {
        let path = self.sockjs_as_path.as_ref().or(self.sockjs.as_ref()).map_or("/", String::as_str);
        let query = target.find('?').and_then(|at| target.get(at..)).unwrap_or_default();
        format!("{}{more}{query}", if more.is_empty() { path } else { path.trim_end_matches('/') })
    }

    /// The targets as an operator writes them, for messages.
    pub fn target_names(&self) -> String {
        let names: Vec<String> = self.targets.iter().map(|target| target.destination.to_string()).collect();
        names.join(", ")
    }

    /// What of `path` the built-in applications see: without the prefix the route is for.
    pub fn local_path<'a>(&self, path: &'a str) -> &'a str {
        let local =
            self.path_beg.as_deref().and_then(|beginning| path.strip_prefix(beginning.trim_end_matches('/')));
        match local {
            Some("") => "/",
            Some(local) => local,
            None => path,
        }
    }
}
