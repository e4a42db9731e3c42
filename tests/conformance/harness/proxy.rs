//! The server under test: one instance for each configuration, started when a case first asks for it.
//!
//! Gripwire is started as its users start it, `gripwire serve --config FILE`; Pushpin as `pushpin.rs` says. Ports
//! are free ones of 127.0.0.2: no client connection takes one between choosing and listening, because those come from
//! 127.0.0.1. An instance is ready when both of its ports accept connections.

use std::fmt::Write;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, Response};
use super::origin::{Answer, Page};
use super::request::{Request, get};
use super::{PATIENCE, against_pushpin, process, pushpin, routing, tls};

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
    /// Where the files of its other sockets are.
    pub directory: PathBuf,
    /// Its routes file.
    pub routes: PathBuf,
}

/// What one configuration sets; everything else is the same for all.
pub struct Settings {
    pub name: &'static str,
    pub debug: bool,
    pub sig_key: &'static str,
    pub append_forwarded_for: bool,
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

/// A server whose control port asks for a token: `all`, `see`, or `news` for channels that begin with `news-`.
pub fn guarded() -> &'static Proxy {
    static SERVER: OnceLock<Result<Proxy, String>> = OnceLock::new();
    let tokens = r#"["admin all", "inspect see", "publish:news- news"]"#;
    running(&SERVER, Settings { name: "guarded", tokens, ..STANDARD })
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
    /// One on free ports that is not started yet.
    pub fn of(directory: &Path) -> Proxy {
        let [http, https, control, metrics] = [(); 4].map(|()| free_address());
        let [local, routes] = ["clients", "routes"].map(|name| directory.join(name));
        let directory = directory.to_owned();
        let proxy = Proxy { http, https, local, control, metrics, directory, routes };
        tls::issue_all(&proxy.certificates(), https);
        proxy
    }

    /// The directory of its certificates.
    pub fn certificates(&self) -> PathBuf {
        self.directory.join("runner/certs")
    }

    /// A connection to the client port.
    pub fn connect(&self) -> Client {
        Client::connect(self.http)
    }

    /// A connection by TLS, to the host `name`.
    pub fn connect_tls(&self, name: &str) -> Client {
        Client::over(tls::tunnel(self.https, name))
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
        format!("ipc://{}", self.directory.join(name).display())
    }

    /// The answer to `request`, on a connection of its own.
    pub fn fetch(&self, request: &Request) -> Response {
        self.ask(request).response()
    }
}

fn running(server: &'static OnceLock<Result<Proxy, String>>, settings: Settings) -> &'static Proxy {
    let started =
        server.get_or_init(|| if against_pushpin() { pushpin::start(&settings) } else { start(&settings) });
    match started {
        Ok(proxy) => proxy,
        Err(why) => panic!("the server under test does not run: {why}"),
    }
}

fn start(settings: &Settings) -> Result<Proxy, String> {
    let directory = process::directory(settings.name);
    let proxy = Proxy::of(&directory);
    let config = directory.join("gripwire.toml");
    write(&config, &config_text(settings, &proxy));
    write(&proxy.routes, &routing::text());
    let mut command = Command::new(env!("CARGO_BIN_EXE_gripwire"));
    command.arg("serve").arg("--config").arg(&config);
    let log = directory.join("gripwire.log");
    log_to(&mut command, &log);
    let mut child = process::start(command, libc::SIGKILL)?;
    for address in [proxy.http, proxy.https, proxy.control] {
        await_listening(address, &mut child, &log)?;
    }
    Ok(proxy)
}

fn config_text(settings: &Settings, proxy: &Proxy) -> String {
    let mut text = String::new();
    let forwarded_for = if settings.append_forwarded_for { r#"["append"]"# } else { "[]" };
    let block_bytes =
        settings.block_bytes.map(|bytes| format!("message_block_bytes = {bytes}")).unwrap_or_default();
    write!(
        text,
        r#"cores = 2
log.requests = true
log.forwarded_for = true
log.user_agent = true
[http]
listen = ["{http}"]
tls_listen = ["{https}"]
certificates = "runner/certs"
unix_listen = ["clients?mode=640"]
[control]
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
x_forwarded_for = {forwarded_for}
set_x_forwarded_protocol = "proto-only"
{more}[websocket] # as in Pushpin
message_bytes = 200000
answer_pings = false
ping_interval_ms = 0
"#,
        http = proxy.http,
        https = proxy.https,
        control = proxy.control,
        tokens = settings.tokens,
        update_on_first_subscription = settings.update_on_first_subscription,
        metrics = proxy.metrics,
        debug = settings.debug,
        sig_key = settings.sig_key,
        more = settings.proxy.0,
    )
    .expect("a String takes everything");
    text
}

/// Waits until `address` accepts connections; says why if `child` ends before.
pub fn await_listening(address: SocketAddr, child: &mut Child, log: &Path) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!(
                "it ended ({status}) before it listened; its log ends:\n{}",
                process::tail(log)
            ));
        }
        if Instant::now() > deadline {
            return Err(format!("nothing listens on {address}; its log ends:\n{}", process::tail(log)));
        }
        thread::sleep(Duration::from_millis(10)); // Between attempts: nothing announces a listener.
    }
    Ok(())
}

/// An address nobody listens on.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.2:0").expect("a free port of 127.0.0.2");
    listener.local_addr().expect("its address")
}

/// Lets a child write both its outputs to a file.
pub fn log_to(command: &mut Command, log: &Path) {
    let file = File::create(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    command.stderr(file.try_clone().expect("a second handle")).stdout(file);
}

/// Writes a configuration file.
pub fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
