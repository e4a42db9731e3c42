//! The server under test: one instance for each configuration, started when a case first asks for it.
//!
//! Gripwire is started as its users start it, `gripwire serve --config FILE`; Pushpin as `pushpin.rs` says. An instance
//! is ready when its ports accept connections.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;

use gripwire_harness::deadline;
use gripwire_harness::directory::Directory;
use gripwire_harness::log::Log;
use gripwire_harness::parting::Parting;
use gripwire_harness::port::Port;
use gripwire_harness::process::Process;
use gripwire_harness::server::{await_listening, await_listening_at, gripwire};
use gripwire_harness::tunnel::tunnel;

use super::client::{Client, Response};
use super::origin::{Answer, Page};
use super::request::{Request, get};
use super::{against_pushpin, pushpin, routing, tls, warnings};

/// A running server and where its ports are.
pub struct Proxy {
    /// Where clients connect.
    pub http: SocketAddr,
    /// Where clients connect by TLS.
    pub https: SocketAddr,
    /// The file that clients of this machine connect to.
    pub local: PathBuf,
    /// Where publishers post.
    pub control: SocketAddr,
    /// Where Prometheus asks.
    pub metrics: SocketAddr,
    /// Its routes file.
    pub routes: PathBuf,
    /// Where the files of its other sockets are.
    pub(super) directory: Directory,
    /// It comes first, and whatever it needs behind it.
    processes: Vec<Process>,
    _ports: [Port; 4],
}

/// What one configuration sets; everything else is the same for all.
pub struct Settings {
    pub name: &'static str,
    pub debug: bool,
    pub sig_key: &'static str,
    pub append_forwarded_for: bool,
    /// More lines of [http], for Gripwire alone; what becomes of forwarding headers is then left to them.
    pub http: &'static str,
    /// More lines of [proxy], as Gripwire has them, and as Pushpin.
    pub proxy: (&'static str, &'static str),
    /// The tokens of the control port, as TOML.
    pub tokens: &'static str,
    /// Who is first on a channel is asked for again. Pushpin 1.36 does it always.
    pub update_on_first_subscription: bool,
    /// Messages are counted in blocks of so many bytes.
    pub block_bytes: Option<u32>,
}

const STANDARD: Settings = Settings {
    name: "standard",
    debug: false,
    sig_key: SIG_KEY,
    append_forwarded_for: false,
    http: "",
    proxy: ("", ""),
    tokens: "[]",
    update_on_first_subscription: false,
    block_bytes: None,
};

/// The key that Grip-Sig is signed with, where it is.
pub const SIG_KEY: &str = "changeme";

/// The key with which the other proxy signs its requests to [`between`].
pub const UPSTREAM_KEY: &str = "of-the-other";

/// The server nearly all cases share.
pub fn standard() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    running(&SERVER, STANDARD)
}

/// A server with informative error answers.
pub fn debugging() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    running(&SERVER, Settings { name: "debug", debug: true, ..STANDARD })
}

/// A server that appends clients' addresses to X-Forwarded-For.
pub fn appending_forwarded_for() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    running(&SERVER, Settings { name: "append", append_forwarded_for: true, ..STANDARD })
}

/// A server without a key to sign with.
pub fn unsigned() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    running(&SERVER, Settings { name: "unsigned", sig_key: "", ..STANDARD })
}

/// A server between others: behind a GRIP proxy that signs with [`UPSTREAM_KEY`], and a CDN.
pub fn between() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    let gripwire = r#"
upstream_key = "of-the-other"
x_forwarded_for_trusted = ["truncate:1"]
accept_x_forwarded_protocol = true
accept_pushpin_route = true
auto_cross_origin = true
cdn_loop = "us"
orig_headers_need_mark = ["X-Need"]
"#;
    let pushpin = "upstream_key=of-the-other
x_forwarded_for_trusted=truncate:1
accept_x_forwarded_protocol=true
accept_pushpin_route=true
auto_cross_origin=true
cdn_loop=us
orig_headers_need_mark=X-Need
";
    let forwarded_for = Settings { append_forwarded_for: true, ..STANDARD };
    running(&SERVER, Settings { name: "between", proxy: (gripwire, pushpin), ..forwarded_for })
}

/// A server behind load balancers that speak the PROXY protocol, on this machine and in 10.0.0.0/8.
pub fn proxied() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    let http = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\nproxy_protocol = true\n";
    running(&SERVER, Settings { name: "proxied", http, ..STANDARD })
}

/// A server whose control port asks for a token: `all`, `see`, or `news` for channels that begin with `news-`.
pub fn guarded() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    let tokens = r#"["admin all", "inspect see", "publish:news- news"]"#;
    running(&SERVER, Settings { name: "guarded", tokens, ..STANDARD })
}

/// A server whose control port asks for a token, where a case tries many that are wrong.
pub fn guessed() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    running(&SERVER, Settings { name: "guessed", tokens: r#"["inspect see"]"#, ..STANDARD })
}

/// A server that asks again for who is first on a channel.
pub fn updating() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    running(&SERVER, Settings { name: "updating", update_on_first_subscription: true, ..STANDARD })
}

/// A server that counts messages in blocks of 16 bytes.
pub fn counting_blocks() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    running(&SERVER, Settings { name: "blocks", block_bytes: Some(16), ..STANDARD })
}

/// A server whose certificates a case changes.
pub fn secure() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    running(&SERVER, Settings { name: "secure", ..STANDARD })
}

/// A server whose routes a case changes.
pub fn reloading() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    running(&SERVER, Settings { name: "reloading", ..STANDARD })
}

/// A server for cases that make everyone who is held ask again: others must not be held there.
pub fn recovering() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    running(&SERVER, Settings { name: "recovering", ..STANDARD })
}

impl Proxy {
    /// One on ports of its own that is not started yet.
    fn of(settings: &Settings) -> Proxy {
        let directory = Directory::new(settings.name);
        let ports = [(); 4].map(|()| Port::claim());
        let [http, https, control, metrics] = ports.each_ref().map(Port::address);
        let [local, routes] = ["clients", "routes"].map(|name| directory.file(name));
        tls::issue_all(&directory.file("runner/certs"), https);
        directory.write("routes", &routing::text(control));
        Proxy {
            http,
            https,
            local,
            control,
            metrics,
            routes,
            directory,
            processes: Vec::new(),
            _ports: ports,
        }
    }

    /// The same, running, once its ports are open.
    pub(super) fn running(mut self, mut processes: Vec<Process>) -> Result<Proxy, String> {
        for address in [self.http, self.https, self.control] {
            await_listening(&mut processes[0], address)?;
        }
        await_listening_at(&mut processes[0], &self.local)?;
        self.processes = processes;
        Ok(self)
    }

    /// What it has written.
    pub fn log(&self) -> &Log {
        &self.processes[0].log
    }

    /// The directory of its certificates.
    pub fn certificates(&self) -> PathBuf {
        self.directory.file("runner/certs")
    }

    /// A connection to the client port.
    pub fn connect(&self) -> Client {
        Client::connect(self.http)
    }

    /// A connection by TLS, to the host `name`.
    pub fn connect_tls(&self, name: &str) -> Client {
        Client::over(tunnel(self.https, name))
    }

    /// A stream on `channel`, whose beginning has come.
    pub fn stream(&self, channel: &str) -> Client {
        let hold = Answer::text("[opened]\n").header("Grip-Hold", "stream").header("Grip-Channel", channel);
        let page = Page::answering(hold);
        let mut client = self.ask(&get(&page.path));
        client.head();
        client.expect_body("[opened]\n");
        client
    }

    /// A connection to the client port that has sent `request`.
    pub fn ask(&self, request: &Request) -> Client {
        let mut client = self.connect();
        client.send(request.bytes());
        client
    }

    /// The address of the ZeroMQ socket `name`.
    pub fn zeromq(&self, name: &str) -> String {
        format!("ipc://{}", self.directory.file(name).display())
    }

    /// The answer to `request`, on a connection of its own.
    pub fn fetch(&self, request: &Request) -> Response {
        self.ask(request).response()
    }
}

fn running(server: &'static OnceLock<Result<Proxy, String>>, settings: Settings) -> &'static Proxy {
    let started = server.get_or_init(|| {
        let proxy = Proxy::of(&settings);
        let started =
            if against_pushpin() { pushpin::start(&settings, proxy) } else { start(&settings, proxy) };
        started.inspect(|proxy| warnings::show_with_failures(settings.name, proxy.log()))
    });
    match started {
        Ok(proxy) => proxy,
        Err(why) => panic!("the server under test does not run: {why}"),
    }
}

fn start(settings: &Settings, proxy: Proxy) -> Result<Proxy, String> {
    proxy.directory.write("gripwire.toml", &config_text(settings, &proxy));
    let mut command = gripwire();
    command.arg("serve").arg("--config").arg(proxy.directory.file("gripwire.toml"));
    let server = Process::start(&command, Parting::Kill, &proxy.directory.file("log"))?;
    proxy.running(vec![server])
}

/// On how many cores Gripwire runs; `GRIPWIRE_TEST_CORES` changes it.
pub fn cores() -> usize {
    deadline::number("GRIPWIRE_TEST_CORES").map_or(2, |cores| cores as usize)
}

fn config_text(settings: &Settings, proxy: &Proxy) -> String {
    let mut text = String::new();
    let forwarded_for = match (settings.http, settings.append_forwarded_for) {
        ("", true) => r#"x_forwarded_for = ["append"]"#,
        ("", false) => "x_forwarded_for = []",
        _ => "",
    };
    let block_bytes =
        settings.block_bytes.map(|bytes| format!("message_block_bytes = {bytes}")).unwrap_or_default();
    write!(
        text,
        r#"cores = {cores}
log.requests = true
log.forwarded_for = true
log.user_agent = true
[http]
listen = ["{http}"]
tls_listen = ["{https}"]
certificates = "runner/certs"
unix_listen = ["clients?mode=640"]
{http_lines}[control]
listen = "{control}"
tokens = {tokens}
[ingest]
udp = false
[zeromq]
pull = "ipc://pull"
sub = ["ipc://sub"]
command = "ipc://command"
[channels]
linger_ms = 1000
update_on_first_subscription = {update_on_first_subscription}
[limits]
subscriptions_per_connection = 20 # as in Pushpin
[stats]
socket = "ipc://stats"
report_interval_s = 1
{block_bytes}
prometheus = "{metrics}"
prometheus_prefix = "some_"
[proxy]
routes_file = "routes"
debug = {debug}
sig_iss = "pushpin"
sig_key = "{sig_key}"
{forwarded_for}
set_x_forwarded_protocol = "proto-only"
{more}[websocket] # as in Pushpin
message_bytes = 200000
answer_pings = false
ping_interval_ms = 0
"#,
        cores = cores(),
        http = proxy.http,
        https = proxy.https,
        control = proxy.control,
        tokens = settings.tokens,
        update_on_first_subscription = settings.update_on_first_subscription,
        metrics = proxy.metrics,
        debug = settings.debug,
        sig_key = settings.sig_key,
        http_lines = settings.http,
        more = settings.proxy.0,
    )
    .expect("a String takes everything");
    text
}
