//! The default value of each setting. The README lists all of them.

use super::{
    Channels, Control, Exempt, ForwardedProtocol, Grants, Http, Ingest, Limits, Log, Proxy, ProxyProtocol,
    Server, SlowConsumer, Stats, StatsFormat, TrustedProxies, WebSocket,
};
use std::net::SocketAddr;

impl Default for Server {
    fn default() -> Self {
        Server { drain_ms: 25_000, drain_notice_ms: 0 }
    }
}

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 7999))],
            tls_listen: Vec::new(),
            certificates: "certs".into(),
            unix_listen: Vec::new(),
            trusted_proxies: Some(TrustedProxies::default()),
            proxy_protocol: ProxyProtocol::Off,
            head_bytes: 64 * 1024,
            head_timeout_ms: 15_000,
            idle_timeout_ms: 120_000,
            min_request_bytes_per_s: 240,
            min_answer_bytes_per_s: 240,
            rate_grace_ms: 10_000,
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Control {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 5561))),
            bearer_token: None,
            basic_password: None,
            tokens: Vec::new(),
            tokens_file: None,
            hosts: Vec::new(),
            body_bytes: 1_000_000,
        }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Ingest {
            udp: Some(SocketAddr::from(([127, 0, 0, 1], 5565))),
            udp_allow_remote: false,
            udp_scopes: Grants::default(),
            unix_stream: None,
            unix_datagram: None,
            unix_mode: 0o666,
            unix_users: Vec::new(),
            unix_groups: Vec::new(),
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Proxy {
            routes_file: None,
            routes: Vec::new(),
            debug: false,
            sig_iss: "pushpin".into(),
            sig_key: String::new(),
            upstream_key: String::new(),
            auto_cross_origin: false,
            sockjs_url: "https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js".into(),
            accept_pushpin_route: false,
            cdn_loop: None,
            orig_headers_need_mark: Vec::new(),
            accept_x_forwarded_protocol: None,
            set_x_forwarded_protocol: ForwardedProtocol::ProtoOnly,
            x_forwarded_for: None,
            x_forwarded_for_trusted: None,
            connect_timeout_ms: 5_000,
            origin_idle_timeout_ms: 1_800_000,
            origin_keep_alive_ms: 55_000,
            origin_connection_age_ms: 300_000,
            open_requests_per_core: 1_000,
            queue_timeout_ms: 10_000,
        }
    }
}

impl Default for Channels {
    fn default() -> Self {
        Channels {
            message_wait_ms: 5_000,
            duplicate_ids_ms: 60_000,
            refetches_per_core: 16,
            refetch_spread_ms: 1_000,
            linger_ms: 10_000,
            update_on_first_subscription: false,
        }
    }
}

impl Default for WebSocket {
    fn default() -> Self {
        WebSocket {
            message_bytes: 16 * 1024 * 1024,
            message_timeout_ms: 120_000,
            incoming_bytes_per_core: 64 * 1024 * 1024,
            compression: false,
            answer_pings: true,
            ping_interval_ms: 30_000,
            pong_timeout_ms: 15_000,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_per_core: 1_000_000,
            connections_per_address: None,
            new_connections_per_address_per_s: 0,
            handshakes_per_address_per_s: 0,
            exempt: Exempt::usual(),
            backlog_bytes: 1024 * 1024,
            backlog_bytes_per_core: 256 * 1024 * 1024,
            slow_consumer: SlowConsumer::Close,
            subscriptions_per_connection: 100,
            mesh_messages: 1024,
            held_bytes_per_core: 256 * 1024 * 1024,
            memory_bytes: None,
            sockjs_conversations: 10_000,
        }
    }
}

impl Default for Stats {
    fn default() -> Self {
        Stats {
            socket: None,
            format: StatsFormat::Tnetstring,
            connections: true,
            connection_ttl_s: 120,
            subscription_ttl_s: 60,
            report_interval_s: 10,
            message_block_bytes: 0,
            prometheus: None,
            prometheus_prefix: String::new(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { level: "info".into(), requests: false, forwarded_for: false, user_agent: false, queries: false }
    }
}
