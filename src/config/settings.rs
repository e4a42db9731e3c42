//! Every setting, declared with what becomes of a change while the server runs: `live` settings come into force,
//! `restart` settings stay as they were at the start and the log names those that differ, and a `section` leaves it to
//! its own settings. A setting without such a mark does not compile. `marks` has what they do, `defaults` the values
//! where nothing is said.

use super::marks::{self, Renewed};
use super::{Endpoint, Exempt, ForwardedFor, Grants, MetricsPort, Token, TrustedProxies, UnixPort};
use http::{HeaderName, HeaderValue};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Declares a table of settings; the text behind its name stands before the names of its settings in the file.
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
    /// Everything an operator can set. Each field is one documented setting; `Default` is the shipped
    /// default.
    #[derive(Clone, Debug, Default)]
    pub struct Config: "" {
        /// How many cores to run; `None` is one for each allowed CPU.
        restart cores: Option<usize>,
        /// `[http]`: the client side.
        section http: Http,
        /// `[control]`: the publish and control side.
        section control: Control,
        /// `[ingest]`: the other ways to publish.
        section ingest: Ingest,
        /// `[zeromq]`: the sockets of publishers and operators who speak ZeroMQ.
        restart zeromq: ZeroMq,
        /// `[proxy]`: towards the origins.
        section proxy: Proxy,
        /// `[channels]`: the order of what is published.
        section channels: Channels,
        /// `[websocket]`.
        section websocket: WebSocket,
        /// `[limits]`: what one core may hold.
        section limits: Limits,
        /// `[stats]`: what watches the server.
        restart stats: Stats,
        /// `[log]`.
        section log: Log,
    }
}

settings! {
    /// Client-facing HTTP.
    #[derive(Clone, Debug)]
    pub struct Http: "http." {
        /// Addresses to listen on.
        restart listen: Vec<SocketAddr>,
        /// Addresses where clients speak TLS.
        restart tls_listen: Vec<SocketAddr>,
        /// Directory of the certificates they are shown.
        restart certificates: PathBuf,
        /// Files to listen on, for clients of this machine.
        restart unix_listen: Vec<UnixPort>,
        /// Proxies whose word about their clients is believed. `None`, which only a pushpin.conf leaves it
        /// at: nobody's is, and what clients say of the way their requests came goes on, as by Pushpin.
        live trusted_proxies: Option<TrustedProxies>,
        /// Which TCP ports expect the PROXY protocol, from those proxies.
        restart proxy_protocol: ProxyProtocol,
        /// Largest request head, bytes; beyond it 431.
        live head_bytes: usize,
        /// Time a client has to send a whole head, ms; beyond it 408.
        live head_timeout_ms: u64,
        /// Time a connection may stay idle between requests, and without progress during one, ms.
        live idle_timeout_ms: u64,
        /// Least rate of the content of a request's body, bytes per second, over the time in which the server
        /// waits for it; below it 408. 0 is none.
        live min_request_bytes_per_s: u64,
        /// Least rate at which a client takes what waits for it, bytes per second; below it the client is
        /// reset. 0 is none.
        live min_answer_bytes_per_s: u64,
        /// The window over which both rates are measured, ms.
        live rate_grace_ms: u64,
    }
}

/// `http.proxy_protocol`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// No port.
    Off,
    /// All of `http.listen` and `http.tls_listen`.
    Everywhere,
    /// Those of them with these addresses.
    At(Vec<SocketAddr>),
}

settings! {
    /// The control port.
    #[derive(Clone, Debug)]
    pub struct Control: "control." {
        /// Address to listen on; `None` is no control port.
        restart listen: Option<SocketAddr>,
        /// Bearer token that publishers must send.
        live bearer_token: Option<String>,
        /// `user:password` that publishers must send by Basic authentication.
        live basic_password: Option<String>,
        /// Tokens that are good for some things only; those of the file come after those of the settings.
        live tokens: Vec<Token>,
        /// A file of more of them.
        live tokens_file: Option<PathBuf>,
        /// Names of this machine that requests may be for, beside those of every machine, where the port is
        /// bound to a loopback address.
        live hosts: Vec<String>,
        /// Largest publish body, bytes; beyond it 400.
        live body_bytes: usize,
    }
}

settings! {
    /// Ways to publish beside the control port.
    #[derive(Clone, Debug)]
    pub struct Ingest: "ingest." {
        /// Where datagrams are received by UDP; `None` is nowhere.
        restart udp: Option<SocketAddr>,
        /// Let that be an address that other machines reach.
        live udp_allow_remote: bool,
        /// What datagrams by UDP may do: publish to some channels. Where it says nothing, they may publish to
        /// all channels, or, where the control port asks for secrets, to none, and UDP is off.
        live udp_scopes: Grants,
        /// File of a socket that speaks as the control port does.
        restart unix_stream: Option<PathBuf>,
        /// File of a socket that takes the datagrams of UDP.
        restart unix_datagram: Option<PathBuf>,
        /// Mode of both files.
        restart unix_mode: u32,
        /// Users who may publish by them, beside the server's own and root.
        live unix_users: Vec<u32>,
        /// Groups whose users may, if it is their main one.
        live unix_groups: Vec<u32>,
    }
}

/// Sockets of ZeroMQ. There are none unless they are named.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ZeroMq {
    /// Where a PULL socket takes items.
    pub pull: Option<Endpoint>,
    /// Where a SUB socket takes items, of channels that have subscribers.
    pub sub: Vec<Endpoint>,
    /// The SUB socket connects to these addresses; else it is bound to them.
    pub sub_connect: bool,
    /// Where the command socket is.
    pub command: Option<Endpoint>,
    /// Mode of the files of `ipc://` sockets; `None` leaves it to the umask.
    pub ipc_mode: Option<u32>,
    /// Let those that are bound be reached by other machines.
    pub allow_remote: bool,
}

settings! {
    /// Proxying.
    #[derive(Clone, Debug)]
    pub struct Proxy: "proxy." {
        /// Routes file; relative paths are resolved against the config file's directory.
        live routes_file: Option<PathBuf>,
        /// Routes given inline or by `--route`; they replace the file.
        live routes: Vec<String>,
        /// Failure answers say what failed, on every route.
        live debug: bool,
        /// The `iss` of Grip-Sig.
        live sig_iss: String,
        /// The key of Grip-Sig: text, `base64:...` or `file:path`; empty is no signature.
        live sig_key: String,
        /// The key by which requests of another GRIP proxy are known, in the same forms; empty is none.
        live upstream_key: String,
        /// Answer for the application to browsers of other origins, on every route: CORS headers, and JSON-P.
        live auto_cross_origin: bool,
        /// Where the page that SockJS clients load in a frame finds their library.
        live sockjs_url: String,
        /// Let requests name their route by the header `Pushpin-Route`.
        live accept_pushpin_route: bool,
        /// Appended to the header `CDN-Loop` of requests to origins.
        live cdn_loop: Option<HeaderValue>,
        /// Headers that are said a second time only if they came marked, on routes with `orig_headers`.
        live orig_headers_need_mark: Vec<HeaderName>,
        /// Trust X-Forwarded-Proto from everybody, or from nobody; `None` is from trusted proxies.
        live accept_x_forwarded_protocol: Option<bool>,
        /// Which X-Forwarded-Proto headers https requests get.
        live set_x_forwarded_protocol: ForwardedProtocol,
        /// What becomes of X-Forwarded-For, whoever sends it; `None` goes by trusted proxies.
        live x_forwarded_for: Option<ForwardedFor>,
        /// The same for requests of another GRIP proxy.
        live x_forwarded_for_trusted: Option<ForwardedFor>,
        /// Time to connect to an origin, TLS included, ms.
        live connect_timeout_ms: u64,
        /// Time an origin may take without sending or accepting a byte, ms.
        live origin_idle_timeout_ms: u64,
        /// How long an unused origin connection is kept, ms.
        live origin_keep_alive_ms: u64,
        /// A connection that has been there for so long carries no further request, ms.
        live origin_connection_age_ms: u64,
        /// Requests in flight to origins, for each core; more wait. The last eighth is for clients and
        /// origins that have less than their share.
        restart open_requests_per_core: usize,
        /// Time a request may wait because too many are open, ms; beyond it 503. 0 is without end.
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
    /// The order of what is published, and what becomes of those who missed something.
    #[derive(Clone, Debug)]
    pub struct Channels: "channels." {
        /// How long a message waits for the one that its prev-id names, ms.
        live message_wait_ms: u64,
        /// How long the id of a message is remembered, so that it is delivered once, ms; 0 is not at all.
        live duplicate_ids_ms: u64,
        /// Requests at a time to one application for those who may have missed something, for each core; more
        /// wait.
        live refetches_per_core: usize,
        /// The time over which such requests are spread when many find out at once, ms.
        live refetch_spread_ms: u64,
        /// How long a channel that nobody is subscribed to any more is still listened to, ms.
        restart linger_ms: u64,
        /// Whether those who are held on a channel ask their applications again, a second after this core
        /// began to listen to it (Pushpin's `update_on_first_subscription`).
        live update_on_first_subscription: bool,
    }
}

settings! {
    /// WebSockets. All of it is for routes with `over_http`: elsewhere frames pass as they come.
    #[derive(Clone, Debug)]
    pub struct WebSocket: "websocket." {
        /// Largest message of a client, and of an application, bytes; beyond it the WebSocket ends.
        live message_bytes: usize,
        /// Time from the first byte of a client's message to its last, ms; beyond it the WebSocket is closed
        /// with 1008.
        live message_timeout_ms: u64,
        /// Bytes that a core keeps of what all clients send: messages that are not whole, and those that wait
        /// for applications. Beyond it a WebSocket that keeps more than 16 KiB is closed with 1013.
        live incoming_bytes_per_core: usize,
        /// Accept permessage-deflate when clients offer it.
        live compression: bool,
        /// Answer clients' pings here; else applications are asked to.
        live answer_pings: bool,
        /// Ping a client that was silent for so long, ms; 0 is never.
        live ping_interval_ms: u64,
        /// Cut a client that was pinged and silent for so much longer, ms.
        live pong_timeout_ms: u64,
    }
}

settings! {
    /// Bounds, most of them for each core.
    #[derive(Clone, Debug)]
    pub struct Limits: "limits." {
        /// Client connections a core holds (also bounded by RLIMIT_NOFILE, for each core's ring). A few more
        /// are for operators and publishers alone.
        restart connections_per_core: usize,
        /// Connections that one address (IPv4, or a /64 of IPv6) may have on all cores together; further ones
        /// are reset. 0 is no limit, `None` half of what all cores hold.
        live connections_per_address: Option<usize>,
        /// Connections that one address may begin within a second; further ones are reset. 0 is no limit.
        live new_connections_per_address_per_s: u16,
        /// Handshakes of TLS that one address may begin within a second; further connections by TLS are
        /// reset. 0 is no limit.
        live handshakes_per_address_per_s: u16,
        /// For whom there are no limits by address.
        live exempt: Exempt,
        /// Unsent bytes one connection may have waiting.
        live backlog_bytes: usize,
        /// Unsent bytes all connections of a core may have waiting.
        live backlog_bytes_per_core: usize,
        /// What happens to a connection over its bound.
        live slow_consumer: SlowConsumer,
        /// Channels a connection may be subscribed to; beyond it subscriptions are refused.
        live subscriptions_per_connection: usize,
        /// Messages each mesh ring between two cores holds.
        restart mesh_messages: usize,
        /// Bytes that a core keeps for long polls: requests, to ask again, and answers for when their time is
        /// up. Beyond it those that need more than 8 KiB get 503.
        live held_bytes_per_core: usize,
        /// Memory that the process may take for clients, applications and channels, in the kernel too, bytes;
        /// 0 is no ceiling, `None` three quarters of what the machine, or the control group of the process,
        /// has.
        live memory_bytes: Option<u64>,
        /// Conversations of SockJS that there may be on all cores together; further ones get 503. They are
        /// none of `connections_per_core`.
        live sockjs_conversations: usize,
    }
}

/// What happens to a connection whose backlog is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowConsumer {
    /// Close it, so that its client reconnects and recovers.
    Close,
    /// Drop the message for it.
    Drop,
}

/// What watches the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// Where a PUB socket of ZeroMQ says what happens; `None` is nowhere.
    pub socket: Option<Endpoint>,
    /// How it says it.
    pub format: StatsFormat,
    /// It tells of each connection.
    pub connections: bool,
    /// How long what it says of a connection is valid, s.
    pub connection_ttl_s: u32,
    /// The same for subscriptions, s.
    pub subscription_ttl_s: u32,
    /// How often it reports sums, s; 0 is never.
    pub report_interval_s: u32,
    /// Messages are counted in blocks of so many bytes too; 0 is not.
    pub message_block_bytes: u32,
    /// Where metrics are served for Prometheus; `None` is nowhere.
    pub prometheus: Option<MetricsPort>,
    /// What the names of Pushpin's metrics begin with.
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
        /// One line for each request, at info.
        live requests: bool,
        /// That line has what the client says in X-Forwarded-For.
        live forwarded_for: bool,
        /// And what it says in User-Agent.
        live user_agent: bool,
        /// Lines have targets with their queries.
        live queries: bool,
    }
}
