//! Reads Pushpin's `pushpin.conf` unchanged, so that an operator can move to Gripwire without writing a new file. `load`
//! calls [`read`] with the text and a function that reads the included file. A key with an equivalent setting is
//! honored; if it is absent, Pushpin's default applies. Each other key in the file gives one warning. Undocumented keys
//! of the included `internal.conf` (connections between Pushpin's processes) give none. `entries` reads single values,
//! `ports` the keys of client ports, `sockets` the keys of ZeroMQ sockets.

mod entries;
mod ports;
mod sockets;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::files::{directory, resolve_key};
use super::forwarded_for::ForwardedFor;
use super::pushpin_keys::{Fate, documented, fate};
use super::{Config, ForwardedProtocol, Problem, ini, nearest};

/// Reads the text of the `pushpin.conf` at `path`. Returns the settings and the warnings.
///
/// `include` returns the text of another file, or `None` if it does not exist. A missing included file is no error.
///
/// # Errors
/// All mistakes.
pub fn read(
    text: &str,
    path: &Path,
    include: impl FnOnce(&Path) -> Option<String>,
) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
    let mut file = PushpinConf { path: path.display().to_string(), ..PushpinConf::default() };
    file.add(text, path);
    file.warn_of_keys_without_effect();
    if let Some(included) = file.include_path(directory(path))
        && let Some(text) = include(&included)
    {
        file.add_included(&text, &included);
    }
    let config = file.config(directory(path));
    file.warnings.sort_by_key(|warning| warning.line);
    if file.errors.is_empty() { Ok((config, file.warnings)) } else { Err(file.errors) }
}

/// The entries of the file and of the included file, by `section/key`.
#[derive(Default)]
struct PushpinConf {
    path: String,
    entries: HashMap<String, Found>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

struct Found {
    values: Vec<String>,
    file: String,
    line: usize,
}

/// The settings of the file as a whole.
impl PushpinConf {
    fn add(&mut self, text: &str, path: &Path) {
        let file = path.display().to_string();
        let (entries, bad) = ini::parse(text);
        self.errors.extend(bad.iter().map(|(line, bad)| Problem::new(&file, *line, bad.to_string())));
        for entry in entries {
            let found = Found { values: entry.values, file: file.clone(), line: entry.line };
            self.entries.insert(name(&entry.section, &entry.key), found);
        }
    }

    /// Adds the entries of the included file. The main file takes precedence, and undocumented keys are skipped.
    fn add_included(&mut self, text: &str, path: &Path) {
        let mut included = PushpinConf::default();
        included.add(text, path);
        included.entries.retain(|name, _| fate(name).is_some() && !self.entries.contains_key(name));
        included.warn_of_keys_without_effect();
        self.entries.extend(included.entries);
        self.warnings.extend(included.warnings);
        self.errors.extend(included.errors);
    }

    fn warn_of_keys_without_effect(&mut self) {
        for (name, found) in &self.entries {
            let key = name.rsplit('/').next().unwrap_or(name);
            let message = match fate(name) {
                Some(Fate::Honoured) => continue,
                Some(Fate::NoEffect(why)) => format!("`{key}` has no effect: {why}"),
                None => match nearest(name, documented()) {
                    Some(near) => format!("`{name}` has no effect: unknown key (did you mean `{near}`?)"),
                    None => format!("`{name}` has no effect: unknown key"),
                },
            };
            self.warnings.push(Problem::new(&found.file, found.line, message));
        }
    }

    /// The file named by `include`. Pushpin finds the bare name `internal.conf` in its own library directory.
    fn include_path(&mut self, directory: &Path) -> Option<PathBuf> {
        let include = self.text("global/include").filter(|include| !include.is_empty())?;
        let include = match include.as_str() {
            "internal.conf" => self.substitute("{libdir}/internal.conf"),
            _ => include,
        };
        Some(directory.join(include))
    }

    fn config(&mut self, directory: &Path) -> Config {
        let mut config = Config::default();
        self.ports(&mut config.http, directory);
        config.control.listen = self.control_listener();
        self.set(&mut config.control.body_bytes, "handler/push_in_http_max_body_size");
        config.http.trusted_proxies = None;
        // Pushpin has no lower bound on the speed of clients.
        config.http.min_request_bytes_per_s = 0;
        config.http.min_answer_bytes_per_s = 0;
        // Pushpin has no UDP port, so moving to Gripwire opens none.
        config.ingest.udp = None;
        self.zeromq(&mut config.zeromq);
        self.stats(&mut config.stats);
        self.proxy(&mut config, directory);
        // Pushpin's limit counts all connections. Each core counts its own connections and may get more than its share
        // of them, so each core gets the whole limit: a client that Pushpin would accept is never refused.
        self.set(&mut config.limits.connections_per_core, "runner/client_maxconn");
        // Pushpin has no limit per address.
        config.limits.connections_per_address = Some(0);
        // Pushpin's own default.
        config.limits.subscriptions_per_connection = 20;
        self.set(&mut config.limits.subscriptions_per_connection, "handler/connection_subscription_max");
        self.set(&mut config.channels.message_wait_ms, "handler/message_wait");
        let mut linger_s = 60u64;
        self.set(&mut linger_s, "handler/subscription_linger");
        config.channels.linger_ms = linger_s.saturating_mul(1000).max(1);
        let mut id_cache_ttl_s = 0u64;
        self.set(&mut id_cache_ttl_s, "handler/id_cache_ttl");
        config.channels.duplicate_ids_ms = id_cache_ttl_s.saturating_mul(1000);
        // In Pushpin this is the size of the buffer for a request head. Here it can only raise the default bound.
        let mut head_bytes = 0;
        self.set(&mut head_bytes, "runner/client_buffer_size");
        config.http.head_bytes = config.http.head_bytes.max(head_bytes);
        // As in Pushpin, clients' pings go to applications, and only applications send pings.
        config.websocket.answer_pings = false;
        config.websocket.ping_interval_ms = 0;
        config.websocket.message_bytes = 200_000;
        config.websocket.compression = self.flag("runner/allow_compression");
        self.log(&mut config);
        if let Some(exposure) = config.control.exposure() {
            self.warn("handler/push_in_http_addr", exposure);
        }
        config
    }

    fn proxy(&mut self, config: &mut Config, directory: &Path) {
        let proxy = &mut config.proxy;
        // In Pushpin requests wait without a time limit.
        proxy.queue_timeout_ms = 0;
        proxy.routes_file =
            self.text("proxy/routesfile").filter(|file| !file.is_empty()).map(|file| directory.join(file));
        proxy.debug = self.flag("proxy/debug");
        if self.text("proxy/accept_x_forwarded_protocol").is_some_and(|text| !text.is_empty()) {
            proxy.accept_x_forwarded_protocol = Some(self.flag("proxy/accept_x_forwarded_protocol"));
        }
        proxy.set_x_forwarded_protocol = match self.text("proxy/set_x_forwarded_protocol").as_deref() {
            Some("true") => ForwardedProtocol::Both,
            Some("proto-only") => ForwardedProtocol::ProtoOnly,
            _ => ForwardedProtocol::Off,
        };
        proxy.x_forwarded_for = self.forwarded_for("proxy/x_forwarded_for");
        proxy.x_forwarded_for_trusted = self.forwarded_for("proxy/x_forwarded_for_trusted");
        proxy.auto_cross_origin = self.flag("proxy/auto_cross_origin");
        if let Some(url) = self.text("proxy/sockjs_url").filter(|url| !url.is_empty()) {
            proxy.sockjs_url = url;
        }
        proxy.accept_pushpin_route = self.flag("proxy/accept_pushpin_route");
        let loop_name = self.list("proxy/cdn_loop").join(", ");
        if !loop_name.is_empty() {
            proxy.cdn_loop = self.parsed("proxy/cdn_loop", &loop_name);
        }
        let names = self.list("proxy/orig_headers_need_mark");
        proxy.orig_headers_need_mark =
            names.iter().filter_map(|name| self.parsed("proxy/orig_headers_need_mark", name)).collect();
        if let Some(issuer) = self.text("proxy/sig_iss") {
            proxy.sig_iss = issuer;
        }
        proxy.sig_key = resolve_key(&self.text("proxy/sig_key").unwrap_or_default(), directory);
        proxy.upstream_key = resolve_key(&self.text("proxy/upstream_key").unwrap_or_default(), directory);
    }

    /// Reads the words of `name`. `None` if it has no word: then a command line option may still name trusted proxies,
    /// and these decide.
    fn forwarded_for(&mut self, name: &str) -> Option<ForwardedFor> {
        let words = self.list(name);
        let mut forwarded_for = ForwardedFor::default();
        for word in &words {
            if let Err(error) = forwarded_for.add(word) {
                self.error(name, error.to_string());
            }
        }
        (!words.is_empty()).then_some(forwarded_for)
    }

    /// The control port's address. Pushpin opens a control port only if `push_in_http_port` is set.
    fn control_listener(&mut self) -> Option<SocketAddr> {
        let mut port = 0u16;
        self.set(&mut port, "handler/push_in_http_port");
        if port == 0 {
            return None;
        }
        let mut offset = 0u16;
        self.set(&mut offset, "global/port_offset");
        let Some(port) = port.checked_add(offset) else {
            self.error("global/port_offset", "`port_offset` raises the control port above 65535".to_owned());
            return None;
        };
        let mut address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.set(&mut address, "handler/push_in_http_addr");
        Some(SocketAddr::new(address, port))
    }

    /// Reads the log settings. From level 2 on, Pushpin logs each request. Levels for single processes have no effect.
    fn log(&mut self, config: &mut Config) {
        for word in self.list("runner/log_level") {
            if word.contains(':') {
                let message = format!("`{word}` in `log_level` has no effect: Gripwire is one process");
                self.warn("runner/log_level", message);
                continue;
            }
            let Some(level) = word.parse::<usize>().ok().map(|level| level.min(LEVELS.len() - 1)) else {
                self.error("runner/log_level", format!("`log_level`: `{word}` is not a number from 0 to 4"));
                continue;
            };
            config.log.level = LEVELS[level].to_owned();
            config.log.requests = level >= 2;
        }
        config.log.forwarded_for = self.flag("proxy/log_from");
        config.log.user_agent = self.flag("proxy/log_user_agent");
        config.log.queries = true;
    }
}

fn name(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}/{key}") }
}

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Endpoint, MetricsPort, StatsFormat, UnixPort};

    const PATH: &str = "/etc/pushpin/pushpin.conf";

    fn read_text(text: &str) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
        read(text, Path::new(PATH), |_| None)
    }

    fn config(text: &str) -> Config {
        let text = format!("{text}\n[runner]\nhttp_port=7999\n");
        read_text(&text).unwrap_or_else(|errors| panic!("{errors:?}")).0
    }

    fn errors(text: &str) -> Vec<String> {
        read_text(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_shipped_file_is_honoured() {
        let mut included = None;
        let (config, warnings) = read(SHIPPED, Path::new(PATH), |path| {
            included = Some(path.to_owned());
            Some(INTERNAL.to_owned())
        })
        .unwrap();
        assert_eq!(included.as_deref(), Some(Path::new("/usr/lib/pushpin/internal.conf")));
        assert_eq!(config.http.listen, ["0.0.0.0:7999".parse().unwrap()]);
        assert_eq!(config.http.head_bytes, Config::default().http.head_bytes);
        assert_eq!(config.control.listen, Some("127.0.0.1:5561".parse().unwrap()));
        assert_eq!(config.ingest.udp, None);
        assert_eq!(config.limits.connections_per_core, 50_000);
        assert_eq!(config.limits.connections_per_address, Some(0));
        let websocket = &config.websocket;
        assert_eq!((websocket.answer_pings, websocket.ping_interval_ms), (false, 0));
        assert_eq!(config.proxy.routes_file.as_deref(), Some(Path::new("/etc/pushpin/routes")));
        assert_eq!((config.proxy.sig_iss.as_str(), config.proxy.sig_key.as_str()), ("pushpin", "changeme"));
        assert_eq!(config.proxy.set_x_forwarded_protocol, ForwardedProtocol::ProtoOnly);
        assert_eq!((config.proxy.x_forwarded_for, config.http.trusted_proxies), (None, None));
        assert_eq!(config.proxy.accept_x_forwarded_protocol, Some(false));
        assert_eq!((config.log.level.as_str(), config.log.requests), ("info", true));
        let told: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "/etc/pushpin/pushpin.conf:9: `services` has no effect: Gripwire is one process and starts no other",
                "/etc/pushpin/pushpin.conf:33: `message_rate` has no effect: deliveries are not slowed down: each \
                 connection has a bounded backlog instead",
            ]
        );
    }

    #[test]
    fn absent_keys_mean_what_they_mean_to_pushpin() {
        assert_eq!(config("").limits.subscriptions_per_connection, 20);
        let http = config("").http;
        assert_eq!((http.min_request_bytes_per_s, http.min_answer_bytes_per_s), (0, 0));
        let config = config("");
        assert_eq!(config.control.listen, None);
        assert_eq!(config.proxy.sig_key, "");
        assert_eq!(config.proxy.set_x_forwarded_protocol, ForwardedProtocol::Off);
        assert_eq!((config.proxy.routes_file, config.proxy.queue_timeout_ms), (None, 0));
        assert_eq!((config.channels.message_wait_ms, config.channels.duplicate_ids_ms), (5_000, 0));
        let config = self::config("[handler]\nmessage_wait=7\nid_cache_ttl=60\n").channels;
        assert_eq!((config.message_wait_ms, config.duplicate_ids_ms), (7, 60_000));
    }

    #[test]
    fn clients_come_by_the_ports_that_are_named() {
        let text = "[global]\nrundir=/run/p\n[runner]\nhttps_ports=443,127.0.0.1:8443\n\
                    local_ports={rundir}/{ipc_prefix}server,s?mode=660&user=root\n";
        let http = read_text(text).unwrap().0.http;
        assert!(http.listen.is_empty());
        assert_eq!(http.tls_listen, ["0.0.0.0:443".parse().unwrap(), "127.0.0.1:8443".parse().unwrap()]);
        assert_eq!(http.certificates, Path::new("/etc/pushpin/runner/certs"));
        let port = |text| UnixPort::parse(text, Path::new("")).unwrap();
        assert_eq!(http.unix_listen, ["/run/p/pushpin-server", "s?mode=660&user=root"].map(port));
        assert!(errors("[runner]\nlocal_ports=s?mode=x\n")[0].contains(":2: `local_ports`: `x`"));
    }

    #[test]
    fn sockets_of_zeromq_are_those_that_are_named() {
        let none = config("").zeromq;
        assert!(none.pull.is_none() && none.sub.is_empty() && none.command.is_none());
        let zeromq = config(
            "[global]\nport_offset=10\nrundir=/run/p\n[handler]\npush_in_spec=tcp://127.0.0.1:5560\n\
             push_in_sub_specs=\"tcp://127.0.0.1:5562\", ipc://{rundir}/{ipc_prefix}sub\ncommand_spec=tcp://*:5563\n\
             push_in_sub_connect=true\nipc_file_mode=660\n",
        )
        .zeromq;
        let address = |endpoint: &Endpoint| endpoint.to_string();
        assert_eq!(zeromq.pull.as_ref().map(address).as_deref(), Some("tcp://127.0.0.1:5570"));
        let sub: Vec<_> = zeromq.sub.iter().map(address).collect();
        assert_eq!(sub, ["tcp://127.0.0.1:5572", "ipc:///run/p/pushpin-sub"]);
        assert_eq!(zeromq.command.as_ref().map(address).as_deref(), Some("tcp://*:5573"));
        assert_eq!((zeromq.sub_connect, zeromq.ipc_mode), (true, Some(0o660)));
    }

    #[test]
    fn what_watches_is_what_is_named() {
        let none = config("").stats;
        assert!(none.socket.is_none() && none.prometheus.is_none() && none.connections);
        let stats = config(
            "[global]\nstats_connection_ttl=9\nstats_connection_send=false\n[handler]\nstats_format=json\n\
             stats_spec=ipc://{rundir}/{ipc_prefix}stats\nstats_subscription_ttl=8\nstats_report_interval=0\n\
             prometheus_port=9100\nprometheus_prefix=p_\nmessage_block_size=7\n",
        )
        .stats;
        assert_eq!(stats.socket.unwrap().to_string(), "ipc://run/pushpin-stats");
        assert_eq!((stats.format, stats.connections), (StatsFormat::Json, false));
        assert_eq!((stats.connection_ttl_s, stats.subscription_ttl_s, stats.report_interval_s), (9, 8, 0));
        assert_eq!(stats.prometheus, Some(MetricsPort::Tcp("0.0.0.0:9100".parse().unwrap())));
        assert_eq!((stats.prometheus_prefix.as_str(), stats.message_block_bytes), ("p_", 7));
        assert_eq!(config("[handler]\nmessage_block_size=-1\n").stats.message_block_bytes, 0);
    }

    #[test]
    fn lists_offsets_levels_and_flags_are_read() {
        let config = config(
            "[global]\nport_offset=20\n[runner]\nlog_level=3,proxy:1\nclient_buffer_size=100000\n[proxy]\n\
             x_forwarded_for=\"truncate:0\",append\ndebug=yes\nsig_key=file:sig.pem\n\
             set_x_forwarded_protocol=true\n[handler]\npush_in_http_port=5561\n",
        );
        assert_eq!(config.control.listen, Some("127.0.0.1:5581".parse().unwrap()));
        assert_eq!(config.log.level, "debug");
        assert_eq!(config.http.head_bytes, 100_000);
        assert_eq!(config.proxy.x_forwarded_for, Some(ForwardedFor { truncate: Some(0), append: true }));
        assert!(config.proxy.debug);
        assert_eq!(config.proxy.sig_key, "file:/etc/pushpin/sig.pem");
        assert_eq!(config.proxy.set_x_forwarded_protocol, ForwardedProtocol::Both);
    }

    #[test]
    fn the_main_file_wins_over_what_it_includes() {
        let include = "[runner]\nhttp_port=1\nlogdir=x\n[proxy]\nsig_key=theirs\nm2a_in_specs=ipc://x\n";
        let text = "[global]\ninclude={rundir}/more.conf\nrundir=r\n[runner]\nhttp_port=127.0.0.1:2,3\n";
        let (config, warnings) = read(text, Path::new(PATH), |path| {
            assert_eq!(path, Path::new("/etc/pushpin/r/more.conf"));
            Some(include.to_owned())
        })
        .unwrap();
        assert_eq!(config.http.listen, ["127.0.0.1:2".parse().unwrap(), "0.0.0.0:3".parse().unwrap()]);
        assert_eq!(config.proxy.sig_key, "theirs");
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].to_string().starts_with("/etc/pushpin/r/more.conf:3: `logdir` has no effect"));
    }

    #[test]
    fn a_control_port_for_all_is_only_warned_of() {
        let text = "[runner]\nhttp_port=1\n[handler]\npush_in_http_addr=0.0.0.0\npush_in_http_port=5561\n";
        let (config, warnings) = read_text(text).unwrap();
        assert_eq!(config.control.listen, Some("0.0.0.0:5561".parse().unwrap()));
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].to_string().starts_with("/etc/pushpin/pushpin.conf:4: the control port"));
    }

    #[test]
    fn unknown_keys_name_the_nearest_known_one() {
        let (_, warnings) = read_text("[runner]\nhttp_port=1\n[proxy]\nsig_keys=x\n").unwrap();
        assert_eq!(
            warnings[0].message,
            "`proxy/sig_keys` has no effect: unknown key (did you mean `proxy/sig_key`?)"
        );
    }

    #[test]
    fn errors_name_their_line() {
        assert_eq!(
            errors("[runner]\nhttp_port=80,nowhere\nclient_maxconn=many\n[proxy]\nsig_key=a,b\nword\n"),
            [
                "/etc/pushpin/pushpin.conf:6: not `key=value`, a `[section]` or a `#` comment",
                "/etc/pushpin/pushpin.conf:2: `http_port`: `nowhere` is not an address to listen on: write \
                 `port`, `address:port` or `[v6 address]:port`",
                "/etc/pushpin/pushpin.conf:5: `sig_key` takes one value: put it in quotes if it contains a comma",
                "/etc/pushpin/pushpin.conf:3: `client_maxconn` must be a number in range, not `many`",
            ]
        );
        assert_eq!(
            errors("\n[proxy]\ndebug=true\n"),
            ["/etc/pushpin/pushpin.conf:1: no port for clients: set `http_port` in [runner]"]
        );
    }

    /// The start of Debian's file, with one key of each kind.
    const SHIPPED: &str = "\
[global]
include={libdir}/internal.conf
# directory to save runtime files
rundir=/var/run/pushpin
ipc_prefix=pushpin-
port_offset=0
stats_connection_ttl=120
[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port=7999
#https_ports=443
log_level=2
client_buffer_size=8192
client_maxconn=50000


[proxy]
# routes config file (path relative to location of this file)
routesfile=routes
debug=false
accept_x_forwarded_protocol=false
set_x_forwarded_protocol=proto-only
x_forwarded_for=
sig_iss=pushpin
sig_key=changeme

[handler]
#ipc_file_mode=777
push_in_spec=tcp://127.0.0.1:5560
push_in_http_addr=127.0.0.1
push_in_http_port=5561
push_in_http_max_body_size=1000000
message_rate=2500
connection_subscription_max=20
";

    const INTERNAL: &str = "\
[proxy]
condure_in_specs=ipc://{rundir}/{ipc_prefix}condure-out
stats_spec=ipc://{rundir}/{ipc_prefix}proxy-stats
[handler]
proxy_inspect_spec=ipc://{rundir}/{ipc_prefix}inspect
";
}
