use super::*;
use crate::config::{
    Endpoint, ForwardedFor, ForwardedProtocol, MetricsPort, ProxyProtocol, SlowConsumer, StatsFormat, Token,
    UnixPort,
};

fn config(text: &str) -> Config {
    read(text, Path::new("/etc/gripwire/gripwire.toml")).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn problems(text: &str) -> Vec<String> {
    let problems = read(text, Path::new("g.toml")).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(format!("{:?}", config("")), format!("{:?}", Config::default()));
}

#[test]
fn the_readme_shows_every_setting_with_its_default() {
    let readme = include_str!("../../../README.md");
    let shown = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(format!("{:?}", config(shown)), format!("{:?}", Config::default()));
    let keys = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim_start_matches("# "));
        lines.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect()
    };
    let (mut shown, mut known) = (keys(shown), keys(EVERY_SETTING));
    shown.sort();
    known.sort();
    assert_eq!(shown, known);
}

#[test]
fn every_setting_can_be_set() {
    let config = config(EVERY_SETTING);
    assert_eq!(config.cores, Some(4));
    assert_eq!((config.server.drain_ms, config.server.drain_notice_ms), (31, 30));
    assert_eq!(config.http.listen, ["0.0.0.0:80".parse().unwrap(), "[::1]:8080".parse().unwrap()]);
    assert_eq!(config.http.tls_listen, ["0.0.0.0:443".parse().unwrap()]);
    assert_eq!(config.http.certificates, Path::new("c"));
    let of_clients = |text| UnixPort::parse(text, Path::new("/etc/gripwire")).unwrap();
    assert_eq!(config.http.unix_listen, ["clients?mode=660&user=root", "/run/c"].map(of_clients));
    let trusted = config.http.trusted_proxies.as_ref().unwrap();
    assert!(trusted.trusts(None) && trusted.trusts(Some([10, 0, 0, 1].into())));
    let [plain, tls, other] = ["0.0.0.0:80", "0.0.0.0:443", "[::1]:8080"].map(|it| it.parse().unwrap());
    assert_eq!(config.http.proxy_protocol, ProxyProtocol::At(vec![plain, tls]));
    assert!(config.http.is_proxied(tls) && !config.http.is_proxied(other));
    let http = &config.http;
    assert_eq!((http.head_bytes, http.head_timeout_ms, http.idle_timeout_ms), (16_384, 1, 2));
    let rates = (http.min_request_bytes_per_s, http.min_answer_bytes_per_s, http.rate_grace_ms);
    assert_eq!(rates, (0, 100, 3));
    assert_eq!(config.control.listen, Some("0.0.0.0:5561".parse().unwrap()));
    assert_eq!(config.control.bearer_token.as_deref(), Some("t"));
    assert_eq!(config.control.basic_password.as_deref(), Some("u:p"));
    assert_eq!(config.control.tokens, [Token::parse("inspect x").unwrap()]);
    assert_eq!(config.control.tokens_file.as_deref(), Some(Path::new("/etc/gripwire/tokens")));
    assert_eq!(config.control.hosts, ["build.lan"]);
    assert_eq!(config.control.body_bytes, 3);
    let ingest = &config.ingest;
    assert_eq!((ingest.udp, ingest.udp_allow_remote), (Some("0.0.0.0:5565".parse().unwrap()), true));
    assert_eq!(ingest.udp_scopes.publish, ["news-"]);
    assert_eq!(ingest.unix_stream.as_deref(), Some(Path::new("/etc/gripwire/s")));
    assert_eq!(ingest.unix_datagram.as_deref(), Some(Path::new("/run/d")));
    assert_eq!((ingest.unix_mode, &ingest.unix_users[..]), (0o600, &[0, 1000][..]));
    assert_eq!(ingest.unix_groups, [15]);
    let zeromq = &config.zeromq;
    let address = |endpoint: &Endpoint| endpoint.to_string();
    assert_eq!(zeromq.pull.as_ref().map(address).as_deref(), Some("tcp://*:5560"));
    assert_eq!(zeromq.sub.iter().map(address).collect::<Vec<_>>(), ["tcp://a:1", "ipc:///etc/gripwire/x"]);
    assert_eq!(zeromq.command.as_ref().map(address).as_deref(), Some("ipc:///run/c"));
    assert_eq!((zeromq.sub_connect, zeromq.ipc_mode, zeromq.allow_remote), (true, Some(0o660), true));
    assert_eq!(config.proxy.routes_file.as_deref(), Some(Path::new("/etc/gripwire/routes")));
    assert_eq!(config.proxy.routes, ["* test"]);
    assert!(config.proxy.debug && config.proxy.accept_x_forwarded_protocol == Some(true));
    assert_eq!((config.proxy.sig_iss.as_str(), config.proxy.sig_key.as_str()), ("i", "file:/etc/gripwire/k"));
    assert_eq!(config.proxy.set_x_forwarded_protocol, ForwardedProtocol::Both);
    let proxy = &config.proxy;
    assert_eq!(proxy.x_forwarded_for, Some(ForwardedFor { truncate: Some(2), append: true }));
    assert_eq!(proxy.x_forwarded_for_trusted, Some(ForwardedFor { truncate: Some(1), append: false }));
    assert_eq!(proxy.upstream_key, "file:/etc/gripwire/u");
    assert_eq!(proxy.sockjs_url, "/s.js");
    assert!(proxy.auto_cross_origin && proxy.accept_pushpin_route);
    assert_eq!(proxy.cdn_loop.as_ref().map(|value| value.as_bytes()), Some(&b"us"[..]));
    assert_eq!(proxy.orig_headers_need_mark, ["cookie"]);
    assert_eq!((proxy.connect_timeout_ms, proxy.origin_idle_timeout_ms), (4, 5));
    assert_eq!((proxy.origin_keep_alive_ms, proxy.open_requests_per_core), (6, 7));
    assert_eq!((proxy.origin_connection_age_ms, proxy.queue_timeout_ms), (600, 27));
    let channels = &config.channels;
    assert_eq!((channels.message_wait_ms, channels.duplicate_ids_ms), (15, 16));
    assert_eq!((channels.refetches_per_core, channels.refetch_spread_ms), (17, 18));
    assert_eq!((channels.linger_ms, channels.update_on_first_subscription), (19, true));
    let websocket = &config.websocket;
    assert_eq!((websocket.message_bytes, websocket.answer_pings), (13, false));
    assert_eq!((websocket.message_timeout_ms, websocket.incoming_bytes_per_core), (23, 24));
    assert!(websocket.compression);
    assert_eq!((websocket.ping_interval_ms, websocket.pong_timeout_ms), (0, 14));
    let limits = &config.limits;
    assert_eq!((limits.connections_per_core, limits.backlog_bytes), (8, 9));
    assert_eq!(limits.connections_per_address, Some(27));
    let rates = (limits.new_connections_per_address_per_s, limits.handshakes_per_address_per_s);
    assert_eq!(rates, (28, 0));
    let is_exempt = |address: [u8; 4]| limits.exempt.has(Some(address.into()), None);
    assert!(is_exempt([10, 0, 0, 1]) && !is_exempt([127, 0, 0, 1]));
    assert_eq!((limits.backlog_bytes_per_core, limits.slow_consumer), (10, SlowConsumer::Drop));
    assert_eq!((limits.subscriptions_per_connection, limits.mesh_messages), (11, 12));
    assert_eq!((limits.sockjs_conversations, limits.held_bytes_per_core), (25, 26));
    assert_eq!(limits.memory_bytes, Some(28));
    let stats = &config.stats;
    assert_eq!(stats.socket.as_ref().map(address).as_deref(), Some("ipc:///etc/gripwire/stats"));
    assert_eq!((stats.format, stats.connections, stats.connection_ttl_s), (StatsFormat::Json, false, 20));
    assert_eq!((stats.subscription_ttl_s, stats.report_interval_s), (21, 0));
    assert_eq!(stats.message_block_bytes, 22);
    assert_eq!(stats.prometheus, Some(MetricsPort::Tcp("127.0.0.1:9100".parse().unwrap())));
    assert_eq!(stats.prometheus_prefix, "p_");
    assert_eq!((config.log.level.as_str(), config.log.requests), ("gripwire=debug", true));
    assert!(config.log.forwarded_for && config.log.user_agent);
}

#[test]
fn the_readme_names_each_setting_that_takes_a_restart() {
    let (_, differ) = Config::default().renewed(config(EVERY_SETTING));
    let marks = include_str!("../settings.rs").matches("\n        restart ").count();
    assert_eq!(differ.len(), marks, "{differ:?}");
    let (_, told) = include_str!("../../../README.md").split_once("These take a restart").unwrap();
    let (told, _) = told.split_once("\n\n").unwrap();
    for name in differ {
        let key = name.rsplit('.').next().unwrap();
        assert!(told.contains(&format!("`{key}`")) || told.contains(&format!("`[{key}]`")), "{name}");
    }
}

#[test]
fn listeners_may_be_one_value_and_the_control_port_none() {
    let config = config("http.listen = 8080\ncontrol.listen = false\n");
    assert_eq!(config.http.listen, ["0.0.0.0:8080".parse().unwrap()]);
    assert_eq!(config.control.listen, None);
    assert_eq!(self::config("ingest.udp = false").ingest.udp, None);
    assert_eq!(self::config("ingest.udp = 9").ingest.udp, Some("127.0.0.1:9".parse().unwrap()));
    assert_eq!(self::config("control.listen = 9").control.listen, Some("127.0.0.1:9".parse().unwrap()));
    let off = self::config("proxy.set_x_forwarded_protocol = false").proxy.set_x_forwarded_protocol;
    assert_eq!(off, ForwardedProtocol::Off);
}

#[test]
fn a_control_port_for_all_without_a_secret_is_refused_at_its_line() {
    let found = problems("[control]\nbody_bytes = 5\nlisten = \"0.0.0.0:5561\"\n");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("g.toml:3: the control port 0.0.0.0:5561 would let anyone"), "{found:?}");
    assert_eq!(problems("[control]\nlisten = \"0.0.0.0:5561\"\nbearer_token = \"\"\n").len(), 2);
}

#[test]
fn udp_for_all_is_refused_at_its_line_unless_it_is_asked_for() {
    let found = problems("[ingest]\n\nudp = \"0.0.0.0:5565\"\n");
    assert!(found[0].starts_with("g.toml:3: UDP on 0.0.0.0:5565 would let anyone"), "{found:?}");
    assert_eq!(problems("[ingest]\nudp = \"0.0.0.0:5565\"\nudp_allow_remote = true\n"), [""; 0]);
}

#[test]
fn zeromq_for_all_is_refused_at_its_line() {
    let found = problems("[zeromq]\n\npull = \"tcp://*:5560\"\n");
    assert!(found[0].starts_with("g.toml:3: ZeroMQ on tcp://*:5560 would let anyone"), "{found:?}");
    let found = problems("[stats]\nsocket = \"tcp://*:1\"\n");
    assert!(
        found[0].starts_with("g.toml:2: the stats socket tcp://*:1 would show all channels"),
        "{found:?}"
    );
    let found = problems("[zeromq]\nsub = [\"tcp://127.0.0.1:5562\", \"here\"]\n");
    assert!(found[0].contains("`here` is not a ZeroMQ address"), "{found:?}");
}

#[test]
fn bad_values_say_what_is_wanted_at_their_line() {
    let table = [
        (
            "server.drain_notice_ms = 25001",
            "`server.drain_notice_ms` is a part of `server.drain_ms`, so it must not be longer: raise `drain_ms`",
        ),
        ("cores = 0", "`cores` must be a whole number of at least 1"),
        ("cores = \"2\"", "`cores` must be a whole number of at least 1"),
        ("http.head_timeout_ms = -5", "`http.head_timeout_ms` must be a whole number of at least 1"),
        (
            "http.listen = []",
            "no port for clients: set `http.listen`, `http.tls_listen` or `http.unix_listen`",
        ),
        (
            "http.unix_listen = [\"s?mode=rw\"]",
            "`http.unix_listen` has a part that cannot be used: `rw` is not a file mode in octal, such as 660",
        ),
        (
            "http.trusted_proxies = [\"10.0.0.1/8\"]",
            "`http.trusted_proxies` has a part that cannot be used: `10.0.0.1/8` has bits beyond the length of its \
             network: write `10.0.0.0/8`",
        ),
        (
            "http.trusted_proxies = \"unix\"",
            "`http.trusted_proxies` must be a list such as [\"10.0.0.0/8\", \"loopback\", \"unix\"]",
        ),
        ("http.listen = true", "`http.listen` must be a port or an address such as \"127.0.0.1:7999\""),
        ("control.listen = true", "`control.listen` must be an address such as \"127.0.0.1:5561\", or false"),
        ("ingest.udp = true", "`ingest.udp` must be an address such as \"127.0.0.1:5565\", or false"),
        ("ingest.udp_scopes = \"publish\"", "`ingest.udp_scopes` must be a list such as [\"publish:news-\"]"),
        (
            "ingest.udp_scopes = [\"inspect\"]",
            "`ingest.udp_scopes` has a part that cannot be used: datagrams are not answered, so their scopes can only be \
             `publish` or `publish:PREFIX`",
        ),
        ("ingest.unix_mode = 0o1000", "`ingest.unix_mode` must be a file mode, such as 0o660"),
        ("ingest.unix_users = 1", "`ingest.unix_users` must be a list of users: names in quotes, or numbers"),
        (
            "ingest.unix_groups = [\"no such group\"]",
            "`ingest.unix_groups` has a part that cannot be used: no group is called `no such group`",
        ),
        ("control.basic_password = \"x\"", "`control.basic_password` must be \"user:password\""),
        ("proxy.routes = \"* test\"", "`proxy.routes` must be a list of text in quotes"),
        ("proxy.debug = 1", "`proxy.debug` must be true or false"),
        ("limits.slow_consumer = \"cut\"", "`limits.slow_consumer` must be \"close\" or \"drop\""),
        (
            "proxy.set_x_forwarded_protocol = \"no\"",
            "`proxy.set_x_forwarded_protocol` must be true, false or \"proto-only\"",
        ),
        (
            "limits.new_connections_per_address_per_s = 65536",
            "`limits.new_connections_per_address_per_s` must be a whole number from 0 (no limit) to 65535",
        ),
        (
            "limits.exempt = [\"proxies\"]",
            "`limits.exempt` has a part that cannot be used: `proxies` exempts nobody: write an address, a network such \
             as `10.0.0.0/8`, `loopback`, `unix` or `trusted_proxies`",
        ),
        ("log.level = \"a=b=c\"", "`log.level` must be a filter such as \"info\" or \"gripwire=debug\""),
    ];
    for (text, message) in table {
        assert_eq!(problems(&format!("\n{text}\n")), [format!("g.toml:2: {message}")]);
    }
}

#[test]
fn a_bad_part_of_a_list_is_named_at_its_own_line() {
    let found = problems("[http]\nlisten = [\n  8080,\n  \"nowhere\",\n]\n");
    assert!(found[0].starts_with("g.toml:4: `http.listen` has a part that cannot be used: `nowhere`"));
    let found = problems("[proxy]\nx_forwarded_for = [\"append\",\n\"trunc:1\"]\n");
    assert!(found[0].starts_with("g.toml:3: `proxy.x_forwarded_for` "), "{found:?}");
}

const EVERY_SETTING: &str = r#"
cores = 4
[server]
drain_ms = 31
drain_notice_ms = 30
[http]
listen = [80, "[::1]:8080"]
tls_listen = 443
certificates = "c"
unix_listen = ["clients?mode=660&user=root", "/run/c"]
trusted_proxies = ["10.0.0.0/8", "unix"]
proxy_protocol = [80, 443]
head_bytes = 16_384
head_timeout_ms = 1
idle_timeout_ms = 2
min_request_bytes_per_s = 0
min_answer_bytes_per_s = 100
rate_grace_ms = 3
[control]
listen = "0.0.0.0:5561"
bearer_token = "t"
basic_password = "u:p"
tokens = ["inspect x"]
tokens_file = "tokens"
hosts = ["build.lan"]
body_bytes = 3
[ingest]
udp = "0.0.0.0:5565"
udp_allow_remote = true
udp_scopes = ["publish:news-"]
unix_stream = "s"
unix_datagram = "/run/d"
unix_mode = 0o600
unix_users = ["root", 1000]
unix_groups = [15]
[zeromq]
pull = "tcp://*:5560"
sub = ["tcp://a:1", "ipc://x"]
sub_connect = true
command = "ipc:///run/c"
ipc_mode = 0o660
allow_remote = true
[proxy]
routes_file = "routes"
routes = ["* test"]
debug = true
sig_iss = "i"
sig_key = "file:k"
upstream_key = "file:u"
auto_cross_origin = true
sockjs_url = "/s.js"
accept_pushpin_route = true
cdn_loop = "us"
orig_headers_need_mark = ["Cookie"]
accept_x_forwarded_protocol = true
set_x_forwarded_protocol = true
x_forwarded_for = ["truncate:2", "append"]
x_forwarded_for_trusted = ["truncate:1"]
connect_timeout_ms = 4
origin_idle_timeout_ms = 5
origin_keep_alive_ms = 6
origin_connection_age_ms = 600
open_requests_per_core = 7
queue_timeout_ms = 27
[channels]
message_wait_ms = 15
duplicate_ids_ms = 16
refetches_per_core = 17
refetch_spread_ms = 18
linger_ms = 19
update_on_first_subscription = true
[websocket]
message_bytes = 13
message_timeout_ms = 23
incoming_bytes_per_core = 24
compression = true
answer_pings = false
ping_interval_ms = 0
pong_timeout_ms = 14
[limits]
connections_per_core = 8
connections_per_address = 27
new_connections_per_address_per_s = 28
handshakes_per_address_per_s = 0
exempt = ["unix", "10.0.0.0/8"]
backlog_bytes = 9
backlog_bytes_per_core = 10
slow_consumer = "drop"
subscriptions_per_connection = 11
mesh_messages = 12
sockjs_conversations = 25
held_bytes_per_core = 26
memory_bytes = 28
[stats]
socket = "ipc://stats"
format = "json"
connections = false
connection_ttl_s = 20
subscription_ttl_s = 21
report_interval_s = 0
message_block_bytes = 22
prometheus = 9100
prometheus_prefix = "p_"
[log]
level = "gripwire=debug"
requests = true
forwarded_for = true
user_agent = true
queries = true
"#;
