//! Declares every setting, with a mark that says what happens to a change while the server runs. A `live` setting
//! changes at once. A `restart` setting keeps its value until a restart, and the log names it if it differs. A `section`
//! has settings with their own marks. A setting without a mark does not compile. `marks` implements the marks, and
//! `defaults` has the default values.

use super::marks::{self, Renewed};
use super::{Endpoint, Exempt, ForwardedFor, Grants, MetricsPort, Token, TrustedProxies, UnixPort};
use http::{HeaderName, HeaderValue};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Declares a table of settings. The literal after the table's name is the prefix of its settings' names in the log.
macro_rules! settings {
    (
        $(#[$about:meta])*
        pub struct $Table:ident: $prefix:literal {
            $($(#[$doc:meta])* $mark:ident $setting:ident: $Type:ty,)*
        }
    ) => {
        $(#[$about])*
        pub struct $Table {
            $($(#[$doc])* pub $setting: $Type,)*
        }

        impl Renewed for $Table {
            fn keep(&mut self, old: &Self, differ: &mut Vec<&'static str>) {
                $(marks::$mark(
                    &mut self.$setting,
                    &old.$setting,
                    concat!($prefix, stringify!($setting)),
                    differ,
                );)*
            }
        }
    };
}

settings! {
    /// All settings of the server. `Default` gives the documented default values.
    #[derive(Clone, Debug, Default)]
    pub struct Config: "" {
        /// Number of cores to run; `None` means one for each allowed CPU.
        restart cores: Option<usize>,
        /// `[server]`: the end of the server.
        section server: Server,
        /// `[http]`: ports for clients.
        section http: Http,
        /// `[control]`: the control port.
        section control: Control,
        /// `[ingest]`: the other ways to publish.
        section ingest: Ingest,
        /// `[zeromq]`: ZeroMQ sockets for publishers and operators.
        restart zeromq: ZeroMq,
        /// `[proxy]`: requests to origins.
        section proxy: Proxy,
        /// `[channels]`: the order and recovery of items.
        section channels: Channels,
        /// `[websocket]`: WebSockets.
        section websocket: WebSocket,
        /// `[limits]`: limits on connections and memory.
        section limits: Limits,
        /// `[stats]`: the stats socket and Prometheus.
        restart stats: Stats,
        /// `[log]`: the log.
        section log: Log,
    }
}

settings! {
    /// The end of the server.
    #[derive(Clone, Debug)]
    pub struct Server: "server." {
        /// Longest time from the order to end the server to its end, ms. Connections that are open then are cut.
        live drain_ms: u64,
        /// Part of `drain_ms` in which the server only says that it is not ready, ms.
        live drain_notice_ms: u64,
    }
}

settings! {
    /// Ports for clients.
    #[derive(Clone, Debug)]
    pub struct Http: "http." {
        /// Addresses to listen on.
        restart listen: Vec<SocketAddr>,
        /// Addresses to listen on for TLS.
        restart tls_listen: Vec<SocketAddr>,
        /// Directory of the certificates for `tls_listen`.
        restart certificates: PathBuf,
        /// Unix sockets to listen on.
        restart unix_listen: Vec<UnixPort>,
        /// Proxies whose forwarding headers are trusted. `None` is possible only with a pushpin.conf: no proxy is
        /// trusted, and the forwarding headers of all clients are passed on, as Pushpin does.
        live trusted_proxies: Option<TrustedProxies>,
        /// TCP ports that expect the PROXY protocol from the trusted proxies.
        restart proxy_protocol: ProxyProtocol,
        /// Largest request head, bytes; a larger head is answered with 431.
        live head_bytes: usize,
        /// Time a client has to send a whole head, ms; after it the client gets 408.
        live head_timeout_ms: u64,
        /// Time a connection may stay idle between requests, or make no progress during a request, ms.
        live idle_timeout_ms: u64,
        /// Least rate of a request's body, bytes per second, measured while the server waits for the body; a
        /// slower client gets 408. 0 means no minimum.
        live min_request_bytes_per_s: u64,
        /// Least rate at which a client takes waiting bytes, bytes per second; a slower client is reset. 0 means no
        /// minimum.
        live min_answer_bytes_per_s: u64,
        /// Window over which both least rates are measured, ms.
        live rate_grace_ms: u64,
    }
}

/// `http.proxy_protocol`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// No port.
    Off,
    /// All ports of `http.listen` and `http.tls_listen`.
    Everywhere,
    /// The ports of `http.listen` and `http.tls_listen` with these addresses.
    At(Vec<SocketAddr>),
}

settings! {
    /// The control port.
    #[derive(Clone, Debug)]
    pub struct Control: "control." {
        /// Address to listen on; `None` means no control port.
        restart listen: Option<SocketAddr>,
        /// Bearer token that grants every operation.
        live bearer_token: Option<String>,
        /// `user:password` that grants every operation, by Basic authentication.
        live basic_password: Option<String>,
        /// Tokens with scopes: first the tokens of the settings, then the tokens of `tokens_file`.
        live tokens: Vec<Token>,
        /// File with more tokens.
        live tokens_file: Option<PathBuf>,
        /// Host names of this machine that requests may have in `Host` in addition to the usual loopback names,
        /// while the control port listens on a loopback address.
        live hosts: Vec<String>,
        /// Largest body of a publish call, bytes; a larger body is answered with 400.
        live body_bytes: usize,
    }
}

settings! {
    /// Ways to publish other than the control port.
    #[derive(Clone, Debug)]
    pub struct Ingest: "ingest." {
        /// Address at which UDP datagrams are received; `None` means no UDP.
        restart udp: Option<SocketAddr>,
        /// Allow an address in `udp` that other machines can reach.
        live udp_allow_remote: bool,
        /// Channels to which UDP datagrams may publish. If it is empty, datagrams may publish to all channels,
        /// unless the control port requires a secret: then UDP is off.
        live udp_scopes: Grants,
        /// Path of a Unix stream socket that serves the calls of the control port.
        restart unix_stream: Option<PathBuf>,
        /// Path of a Unix datagram socket that takes the datagrams that UDP takes.
        restart unix_datagram: Option<PathBuf>,
        /// File mode of both Unix sockets.
        restart unix_mode: u32,
        /// Users who may publish by the Unix sockets, in addition to root and the server's user.
        live unix_users: Vec<u32>,
        /// Groups whose members may publish by the Unix sockets, if the group is the member's primary group.
        live unix_groups: Vec<u32>,
    }
}

/// ZeroMQ sockets. Each socket exists only if its address is set.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ZeroMq {
    /// Address of the PULL socket that receives items.
    pub pull: Option<Endpoint>,
    /// Addresses of the SUB socket, which receives items of channels that have subscribers.
    pub sub: Vec<Endpoint>,
    /// Whether the SUB socket connects to the addresses in `sub` rather than being bound to them.
    pub sub_connect: bool,
    /// Address of the command socket.
    pub command: Option<Endpoint>,
    /// File mode of `ipc://` sockets; `None` leaves it to the umask.
    pub ipc_mode: Option<u32>,
    /// Allow bound sockets that other machines can reach.
    pub allow_remote: bool,
}

settings! {
    /// Requests to origins.
    #[derive(Clone, Debug)]
    pub struct Proxy: "proxy." {
        /// Path of the routes file, resolved against the configuration file's directory.
        live routes_file: Option<PathBuf>,
        /// Routes given inline or by `--route`; they replace the routes file.
        live routes: Vec<String>,
        /// Whether answers to failed requests say what failed, on every route.
        live debug: bool,
        /// The `iss` claim of Grip-Sig.
        live sig_iss: String,
        /// The key of Grip-Sig: text, `base64:...` or `file:path`; empty means no signature.
        live sig_key: String,
        /// The key that verifies requests of another GRIP proxy, in the forms of `sig_key`; empty means that no
        /// other proxy is recognized.
        live upstream_key: String,
        /// Whether Gripwire adds CORS headers and answers JSON-P for the application, on every route.
        live auto_cross_origin: bool,
        /// URL of the SockJS client library for the page that SockJS clients load in a frame.
        live sockjs_url: String,
        /// Whether the request header `Pushpin-Route` may name the route.
        live accept_pushpin_route: bool,
        /// Value that is appended to the `CDN-Loop` header of requests to origins.
        live cdn_loop: Option<HeaderValue>,
        /// Headers of which routes with `orig_headers` add no marked copy; only a copy that the client sent is passed on.
        live orig_headers_need_mark: Vec<HeaderName>,
        /// Trust X-Forwarded-Proto from every client or from no client; `None` means from trusted proxies.
        live accept_x_forwarded_protocol: Option<bool>,
        /// The X-Forwarded-Proto headers that https requests get.
        live set_x_forwarded_protocol: ForwardedProtocol,
        /// How X-Forwarded-For is changed, for every client; `None` decides by `trusted_proxies`.
        live x_forwarded_for: Option<ForwardedFor>,
        /// How X-Forwarded-For is changed on requests of another GRIP proxy.
        live x_forwarded_for_trusted: Option<ForwardedFor>,
        /// Time to connect to an origin, TLS included, ms.
        live connect_timeout_ms: u64,
        /// Time an origin may neither send nor accept a byte, ms.
        live origin_idle_timeout_ms: u64,
        /// Time that an unused origin connection is kept, ms.
        live origin_keep_alive_ms: u64,
        /// Age from which an origin connection carries no further request, ms.
        live origin_connection_age_ms: u64,
        /// Requests in flight to origins, per core; further requests wait. The last eighth is reserved for clients
        /// and origins that use less than their share.
        restart open_requests_per_core: usize,
        /// Time a request may wait for `open_requests_per_core`, ms; after it the client gets 503. 0 means no limit.
        live queue_timeout_ms: u64,
    }
}

/// `set_x_forwarded_protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedProtocol {
    /// No header.
    Off,
    /// `X-Forwarded-Proto`.
    ProtoOnly,
    /// `X-Forwarded-Proto` and `X-Forwarded-Protocol`.
    Both,
}

settings! {
    /// The order of items, and the recovery of subscribers that missed items.
    #[derive(Clone, Debug)]
    pub struct Channels: "channels." {
        /// Time an item waits for the item that its prev-id names, ms.
        live message_wait_ms: u64,
        /// Time that an item's id is remembered to drop repeated items, ms; 0 means that ids are not remembered.
        live duplicate_ids_ms: u64,
        /// Concurrent refetches to one application, per core; further refetches wait.
        live refetches_per_core: usize,
        /// Time over which refetches are spread when many clients need one at once, ms.
        live refetch_spread_ms: u64,
        /// Time that a core keeps its interest in a channel after the last subscriber left, ms.
        restart linger_ms: u64,
        /// Whether held clients of a channel refetch a second after this core began to listen to the channel
        /// (Pushpin's `update_on_first_subscription`).
        live update_on_first_subscription: bool,
    }
}

settings! {
    /// WebSockets on routes with `over_http`. On other routes frames are passed through unchanged.
    #[derive(Clone, Debug)]
    pub struct WebSocket: "websocket." {
        /// Largest message of a client or an application, bytes; a larger message ends the WebSocket.
        live message_bytes: usize,
        /// Time from the first byte of a client's message to its last, ms; after it the WebSocket is closed with
        /// 1008.
        live message_timeout_ms: u64,
        /// Bytes of clients' messages that a core keeps: incomplete messages, and messages that wait for
        /// applications. If there are more, a WebSocket that keeps more than 16 KiB is closed with 1013.
        live incoming_bytes_per_core: usize,
        /// Whether permessage-deflate is accepted when clients offer it.
        live compression: bool,
        /// Whether Gripwire answers clients' pings; if not, pings go to the application.
        live answer_pings: bool,
        /// Silence after which a client is pinged, ms; 0 means never.
        live ping_interval_ms: u64,
        /// Silence after a ping after which a client's connection is ended, ms.
        live pong_timeout_ms: u64,
    }
}

settings! {
    /// Limits, most of them per core.
    #[derive(Clone, Debug)]
    pub struct Limits: "limits." {
        /// Client connections per core (also limited by RLIMIT_NOFILE, for each core's ring). A few further
        /// connections are reserved for operators and publishers.
        restart connections_per_core: usize,
        /// Connections that one address (IPv4, or a /64 of IPv6) may have on all cores together; further
        /// connections are reset. 0 means no limit; `None` means half of all cores' connections.
        live connections_per_address: Option<usize>,
        /// Connections that one address may open per second; further connections are reset. 0 means no limit.
        live new_connections_per_address_per_s: u16,
        /// TLS handshakes that one address may begin per second; further TLS connections are reset. 0 means no
        /// limit.
        live handshakes_per_address_per_s: u16,
        /// Addresses and ports that are exempt from the limits per address.
        live exempt: Exempt,
        /// Unsent bytes that may wait for one connection.
        live backlog_bytes: usize,
        /// Unsent bytes that may wait for all connections of a core.
        live backlog_bytes_per_core: usize,
        /// What happens when a connection's backlog is full.
        live slow_consumer: SlowConsumer,
        /// Channels to which a connection may be subscribed; further subscriptions are refused.
        live subscriptions_per_connection: usize,
        /// Capacity of each mesh ring between two cores, messages.
        restart mesh_messages: usize,
        /// Bytes that a core keeps for long polls: requests for refetches, and answers for timeouts. If there are
        /// more, a long poll that needs more than 8 KiB gets 503.
        live held_bytes_per_core: usize,
        /// Memory that the process may use for clients, applications and channels, kernel memory included, bytes.
        /// 0 means no ceiling; `None` means three quarters of the memory of the machine or of the process's
        /// control group.
        live memory_bytes: Option<u64>,
        /// SockJS conversations on all cores together; further conversations get 503. They do not count towards
        /// `connections_per_core`.
        live sockjs_conversations: usize,
    }
}

/// What happens to a connection whose backlog is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowConsumer {
    /// Close it, so that its client reconnects and recovers.
    Close,
    /// Drop the item for this client.
    Drop,
}

/// The stats socket and the port for Prometheus.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// Address of the stats socket, a ZeroMQ PUB socket; `None` means no stats socket.
    pub socket: Option<Endpoint>,
    /// Format of the stats socket's messages.
    pub format: StatsFormat,
    /// Whether the stats socket reports each connection.
    pub connections: bool,
    /// Time that a report about a connection is valid, s.
    pub connection_ttl_s: u32,
    /// Time that a report about a subscription is valid, s.
    pub subscription_ttl_s: u32,
    /// Interval of the reports with route statistics, s; 0 means never.
    pub report_interval_s: u32,
    /// Size of the blocks in which messages are counted too, bytes; 0 means that blocks are not counted.
    pub message_block_bytes: u32,
    /// Port for Prometheus; `None` means no port.
    pub prometheus: Option<MetricsPort>,
    /// Prefix of the names of Pushpin's metrics.
    pub prometheus_prefix: String,
}

/// `stats.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsFormat {
    /// Tagged netstrings.
    Tnetstring,
    /// JSON.
    Json,
}

settings! {
    /// Logging.
    #[derive(Clone, Debug)]
    pub struct Log: "log." {
        /// A `tracing` filter, such as `info` or `gripwire=debug`.
        live level: String,
        /// Whether each request is logged, in one line at level info.
        live requests: bool,
        /// Whether request lines have the client's X-Forwarded-For.
        live forwarded_for: bool,
        /// Whether request lines have the client's User-Agent.
        live user_agent: bool,
        /// Whether targets in the log include their queries.
        live queries: bool,
    }
}
