//! The documented keys of `pushpin.conf` in two lists: the keys that Gripwire honors, and the keys without effect, each
//! with the reason. `pushpin` turns the second list into warnings, so that an operator who moves to Gripwire sees at
//! once what changes. A key is in exactly one list; undocumented keys of Pushpin's `internal.conf` are in none.

/// Whether a documented key has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The key has an equivalent setting.
    Honoured,
    /// The key has no effect, for this reason.
    NoEffect(&'static str),
}

/// The fate of `section/key`; `None` if Pushpin documents no such key.
pub fn fate(name: &str) -> Option<Fate> {
    if HONOURED.contains(&name) {
        return Some(Fate::Honoured);
    }
    NO_EFFECT.iter().find(|(key, _)| *key == name).map(|(_, why)| Fate::NoEffect(why))
}

/// Every documented key as `section/key`.
pub fn documented() -> impl Iterator<Item = &'static str> {
    HONOURED.iter().copied().chain(NO_EFFECT.iter().map(|(key, _)| *key))
}

const HONOURED: &[&str] = &[
    "global/include",
    "global/rundir",
    "global/libdir",
    "global/ipc_prefix",
    "global/port_offset",
    "runner/rundir",
    "runner/http_port",
    "runner/https_ports",
    "runner/local_ports",
    "runner/log_level",
    "runner/client_buffer_size",
    "runner/client_maxconn",
    "runner/allow_compression",
    "proxy/routesfile",
    "proxy/debug",
    "proxy/accept_x_forwarded_protocol",
    "proxy/set_x_forwarded_protocol",
    "proxy/x_forwarded_for",
    "proxy/x_forwarded_for_trusted",
    "proxy/sig_iss",
    "proxy/sig_key",
    "proxy/upstream_key",
    "proxy/auto_cross_origin",
    "proxy/accept_pushpin_route",
    "proxy/cdn_loop",
    "proxy/sockjs_url",
    "proxy/log_from",
    "proxy/log_user_agent",
    "proxy/orig_headers_need_mark",
    "handler/push_in_http_addr",
    "handler/message_wait",
    "handler/id_cache_ttl",
    "handler/push_in_http_port",
    "handler/push_in_http_max_body_size",
    "handler/connection_subscription_max",
    "handler/prometheus_prefix",
    "handler/prometheus_port",
    "handler/message_block_size",
    "handler/stats_format",
    "handler/stats_report_interval",
    "handler/stats_subscription_ttl",
    "handler/stats_spec",
    "global/stats_connection_send",
    "global/stats_connection_ttl",
    "handler/subscription_linger",
    "handler/command_spec",
    "handler/push_in_sub_connect",
    "handler/push_in_sub_specs",
    "handler/push_in_sub_spec",
    "handler/push_in_spec",
    "handler/ipc_file_mode",
];

const NO_EFFECT: &[(&str, &str)] = &[
    ("runner/services", ONE_PROCESS),
    ("runner/logdir", "logs go to standard error; the service manager stores them"),
    ("runner/mongrel2_bin", ONE_PROCESS),
    ("runner/m2sh_bin", ONE_PROCESS),
    ("runner/zurl_bin", ONE_PROCESS),
    ("runner/condure_bin", ONE_PROCESS),
    ("proxy/updates_check", "Gripwire never looks for updates"),
    ("proxy/organization_name", "Gripwire never looks for updates"),
    ("proxy/workers", "each core is a worker; see `cores` in gripwire.toml"),
    (
        "proxy/max_open_requests",
        "requests to applications are limited per core; see `proxy.open_requests_per_core` in gripwire.toml",
    ),
    ("proxy/stats_connections_max_ttl", ONE_STATS),
    ("proxy/stats_report_interval", ONE_STATS),
    ("proxy/prometheus_port", ONE_STATS),
    ("proxy/prometheus_prefix", ONE_STATS),
    ("proxy/ipc_file_mode", NO_IPC),
    ("handler/push_in_http_max_headers_size", "request heads on the control port have a fixed limit"),
    ("handler/state_spec", "the session service is not used"),
    ("handler/message_rate", "deliveries are not slowed down: each connection has a bounded backlog instead"),
    ("handler/message_hwm", "deliveries are not slowed down: each connection has a bounded backlog instead"),
    (
        "handler/update_on_first_subscription",
        "a hold opens after its subscription is in force, so a first subscription misses nothing; for publishers that send only to subscribed channels, gripwire.toml has `channels.update_on_first_subscription`",
    ),
    ("handler/share_all", "requests are not shared"),
];

const ONE_STATS: &str = "there is one process, and its stats are set in [handler]";
const ONE_PROCESS: &str = "Gripwire is one process and starts no other";
const NO_IPC: &str = "there are no ipc sockets";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_has_two_fates() {
        let mut names: Vec<_> = documented().collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn internal_keys_are_not_documented() {
        assert_eq!(fate("proxy/condure_in_specs"), None);
        assert_eq!(fate("proxy/stats_spec"), None);
        assert_eq!(fate("handler/stats_spec"), Some(Fate::Honoured));
        assert_eq!(fate("proxy/sig_key"), Some(Fate::Honoured));
    }
}
