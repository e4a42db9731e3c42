//! One route: where requests that match it go, and which changes are made to them. The values are those of the routes
//! file, checked; nothing here opens a connection.

use crate::ids::ApplicationId;
use crate::proto::cross_origin::JsonpSettings;
use http::{HeaderName, HeaderValue};
use std::path::PathBuf;
use std::sync::Arc;

/// A line of the routes file.
#[derive(Clone, Debug)]
pub struct Route {
    /// The route's id: from `id=`, or made of the condition.
    pub id: String,
    /// Whether `id=` gave the id, so that requests may name it.
    pub has_own_id: bool,
    /// The hosts that the route is for.
    pub host: HostCondition,
    /// Some(true): only requests over TLS; Some(false): only requests without TLS.
    pub tls: Option<bool>,
    /// Some(true): only WebSockets; Some(false): only plain HTTP.
    pub websocket: Option<bool>,
    /// The prefix that the still-encoded path must have.
    pub path_beg: Option<String>,
    /// Replaces the host in the URI and the Host header.
    pub as_host: Option<String>,
    /// How many bytes are removed from the start of the path.
    pub path_rem: usize,
    /// Replaces `path_beg` at the start of the path.
    pub replace_beg: Option<String>,
    /// Request headers set for the origin; an empty value only removes the header.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Prepended to every channel named by the origin.
    pub prefix: Option<String>,
    /// Every request header is sent a second time with the prefix `eb9bf0f5-` before its name, unless it came with
    /// that prefix.
    pub orig_headers: bool,
    /// Pass-through: requests are not signed and GRIP answers are not interpreted.
    pub no_grip: bool,
    /// Browsers on pages of other origins are served: CORS headers are added, and JSON-P is answered.
    pub cross_origin: bool,
    /// How requests for JSON-P are read.
    pub jsonp: JsonpSettings,
    /// The path of a SockJS service.
    pub sockjs: Option<String>,
    /// The path that the application sees for WebSockets of the SockJS service, if different.
    pub sockjs_as_path: Option<String>,
    /// Error answers to clients say what failed.
    pub debug: bool,
    /// The most detailed log level for this route's requests: 0 errors, 1 warnings, 2 each request, and so on.
    pub log_level: Option<u8>,
    /// Requests are not signed although GRIP is spoken: an application named a URI that its routes do not let it sign
    /// for.
    pub unsigned: bool,
    /// Overrides of the signing settings. Shared with routes that are made from this one, whose requests are signed
    /// alike.
    pub signing: Arc<Signing>,
    /// The targets in the order of trying.
    pub targets: Vec<Target>,
}

/// The hosts that a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostCondition {
    /// Any host that has no rules of its own.
    Any,
    /// Exactly this host, in lower case, without a port.
    Exact(String),
    /// No host: the route is found only by its id.
    Never,
}

impl Route {
    /// A route without targets, in place of the route `id` that is no longer there.
    pub fn gone(id: &str) -> Route {
        Route { id: id.to_owned(), ..Route::bare(HostCondition::Never) }
    }

    /// A route for `host` without other properties.
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
    /// The place of the target.
    pub destination: Destination,
    /// Connections to the target use TLS.
    pub ssl: bool,
    /// The target's certificate is not verified.
    pub insecure: bool,
    /// The target's certificate is verified against the connect host rather than the URI's host.
    pub trust_connect_host: bool,
    /// Overrides the host of the URI and the Host header.
    pub host: Option<String>,
    /// The certificate that this server shows to the target.
    pub client_certificate: Option<Arc<ClientCertificate>>,
    /// The target must have an address on the public Internet (IANA's special-purpose address registries).
    pub untrusted: bool,
    /// An application named the URI of these requests (by a link or a filter), and this server makes them itself, so
    /// they must not reach this server's own ports for operators and publishers.
    pub named_by_application: bool,
    /// WebSockets are carried over HTTP requests to the target.
    pub over_http: bool,
    /// Such a request carries at most one event.
    pub one_event: bool,
    /// Channels to which every accepted WebSocket is subscribed.
    pub subscriptions: Vec<String>,
}

/// The files of a certificate, and of its key, for TLS towards a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// PEM: the certificate, and the certificates that link it to a known one.
    pub chain: PathBuf,
    /// PEM: the certificate's private key.
    pub key: PathBuf,
}

/// The place of a target.
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
    /// Whether messages of this level about the route's requests are logged.
    pub fn logs(&self, level: u8) -> bool {
        self.log_level.is_none_or(|highest| level <= highest)
    }

    /// The host (with port) and the path and query for the origin, from those of the client's request.
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
            // A link or `sockjs_as_path` may have another beginning; `path_rem` and `replace_beg` do not apply to it.
            false => rewritten.push_str(path),
        }
        if !rewritten.starts_with('/') {
            rewritten.insert(0, '/');
        }
        rewritten.push_str(query);
        (host, rewritten)
    }

    /// The part of `target`'s path below the path of the route's SockJS service.
    pub fn below_sockjs<'a>(&self, target: &'a str) -> Option<&'a str> {
        let path = target.split('?').next().unwrap_or_default();
        let below = path.strip_prefix(self.sockjs.as_deref()?.trim_end_matches('/'))?;
        (below.is_empty() || below.starts_with('/')).then_some(below)
    }

    /// The request target of a WebSocket of the SockJS service: the service's path, `more`, and the query of `target`.
    pub fn sockjs_target(&self, target: &str, more: &str) -> String {
        let path = self.sockjs_as_path.as_ref().or(self.sockjs.as_ref()).map_or("/", String::as_str);
        let query = target.find('?').and_then(|at| target.get(at..)).unwrap_or_default();
        format!("{}{more}{query}", if more.is_empty() { path } else { path.trim_end_matches('/') })
    }

    /// The application of the route's first target, or `None` if that is built in.
    pub fn application(&self) -> Option<ApplicationId> {
        match &self.targets.first()?.destination {
            Destination::Address { host, port } => Some(ApplicationId::of(host, *port)),
            _ => None,
        }
    }

    /// The targets in the form that an operator writes, for messages.
    pub fn target_names(&self) -> String {
        let names: Vec<String> = self.targets.iter().map(|target| target.destination.to_string()).collect();
        names.join(", ")
    }

    /// The part of `path` that the built-in applications see: without the route's `path_beg`.
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
