//! What someone relies on who comes from Pushpin with a `pushpin.conf` and a routes file: both are taken as they are,
//! with every key and every option that Pushpin documents, and what has no effect is told with the reason.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything is awaited before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that is gone with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("gripwire-moving-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    /// The files that the routes name.
    fn write_keys(&self) {
        let made = rcgen::generate_simple_self_signed(["gripwire.test".to_owned()]).unwrap();
        self.write("cert.pem", &made.cert.pem());
        self.write("key.pem", &made.signing_key.serialize_pem());
        self.write("secret.hex", "6368616e67656d65");
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap()
}

/// What `check` prints of a configuration that it approves: its summary, and its warnings.
fn checked(configuration: &Path) -> (String, Vec<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gripwire"));
    let output = command.args(["check", "--pushpin-conf"]).arg(configuration).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    (out, err.lines().map(str::to_owned).collect())
}

/// The keys and options that warnings name as without effect. Each must have a reason, and none be unknown.
fn without_effect(warnings: &[String]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for warning in warnings {
        let (before, reason) =
            warning.split_once(" has no effect: ").unwrap_or_else(|| panic!("no reason: {warning}"));
        assert!(!reason.is_empty() && !warning.contains("unknown"), "{warning}");
        names.insert(before.split('`').nth(1).unwrap());
    }
    names
}

#[test]
fn the_file_that_the_package_ships_is_taken() {
    let shipped = Path::new("/etc/pushpin/pushpin.conf");
    let Ok(text) = std::fs::read_to_string(shipped) else {
        return eprintln!("skipped: {} is not there: install Debian's pushpin", shipped.display());
    };
    let directory = Directory::new("shipped");
    directory.write("pushpin.conf", &text);
    directory.write("routes", "* test\n");
    let (out, warnings) = checked(&directory.0.join("pushpin.conf"));
    assert_eq!(out, "OK: 1 route\n");
    without_effect(&warnings);
}

#[test]
fn every_key_and_every_option_is_known_and_what_does_nothing_says_why() {
    let directory = Directory::new("every");
    directory.write_keys();
    directory.write("routes", &routes());
    directory.write("pushpin.conf", &configuration(free_address()));
    let (out, warnings) = checked(&directory.0.join("pushpin.conf"));
    assert_eq!(out, format!("OK: {} routes\n", routes().lines().count()));
    let named = without_effect(&warnings);
    for key in ["services", "updates_check", "message_rate", "session", "ipc_file_mode"] {
        assert!(named.contains(key), "{key} in {named:?}");
    }
    for key in ["sig_key", "upstream_key", "auto_cross_origin", "http_port", "aco", "one_event", "untrusted"]
    {
        assert!(!named.contains(key), "{key} in {named:?}");
    }
}

#[test]
fn a_server_starts_from_every_key_and_serves_every_route() {
    let directory = Directory::new("serve");
    directory.write_keys();
    directory.write("routes", &routes());
    let clients = free_address();
    directory.write("pushpin.conf", &configuration(clients));
    let server = Server::start(&directory.0, clients);
    for (number, option) in CONDITION_OPTIONS.iter().enumerate() {
        let answer = server.get(&format!("option{number}.test"));
        assert!(answer.contains("Hello from the Pushpin test handler!"), "{option}: {answer}");
    }
}

/// A server that runs as its users start it.
struct Server {
    child: Child,
    clients: SocketAddr,
}

impl Server {
    fn start(directory: &Path, clients: SocketAddr) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gripwire"));
        command.args(["serve", "--cores", "1", "--pushpin-conf"]).arg(directory.join("pushpin.conf"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Server { child, clients };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(clients).is_err() {
            assert!(server.child.try_wait().unwrap().is_none(), "the server ended");
            assert!(Instant::now() < deadline, "the server does not listen");
            std::thread::yield_now();
        }
        server
    }

    /// The whole answer to a GET of `/in/` on `host`.
    fn get(&self, host: &str) -> String {
        let mut client = TcpStream::connect(self.clients).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(client, "GET /in/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A route for each option.
fn routes() -> String {
    let mut text = String::new();
    for (number, option) in CONDITION_OPTIONS.iter().enumerate() {
        text += &format!("option{number}.test,path_beg=/in,{option} test\n");
    }
    for (number, option) in TARGET_OPTIONS.iter().enumerate() {
        text += &format!("target{number}.test 127.0.0.1:9,{option} 127.0.0.1:9\n");
    }
    text
}

const CONDITION_OPTIONS: &[&str] = &[
    "proto=http",
    "ssl=no",
    "id=named",
    "sig_iss=me",
    "sig_key=text",
    "sig_key=base64:Y2hhbmdlbWU=",
    "sig_key=file:secret.hex",
    "sig_key=file:key.pem",
    "prefix=p-",
    "orig_headers",
    "as_host=other.test:81",
    "path_rem=0",
    "replace_beg=/in",
    "debug",
    "aco",
    "aco,jsonp_mode=basic,jsonp_cb=cb,jsonp_body=b,jsonp_defcb=d,jsonp_defmethod=PUT",
    "aco,jsonp_mode=extended",
    "session",
    "sockjs=/sockjs,sockjs_as_path=/socket",
    "header=X-Set:1,header=\"X-Other:a, b\"",
    "no_grip",
    "log_level=1",
];

const TARGET_OPTIONS: &[&str] = &[
    "ssl",
    "ssl,trust_connect_host",
    "ssl,insecure",
    "ssl,client_cert=cert.pem,client_key=key.pem",
    "untrusted",
    "host=inner.test:81",
    "sub=one,sub=two",
    "over_http",
    "over_http,one_event",
    "ipc_file_mode=777",
];

/// Every key that Pushpin documents, as it is shipped where it is; ports are free ones.
fn configuration(clients: SocketAddr) -> String {
    let mut text = String::new();
    for line in KEYS.lines() {
        let line = line.replace("CLIENTS", &clients.to_string());
        text += &line.replace("FREE", &free_address().port().to_string());
        text += "\n";
    }
    text
}

const KEYS: &str = "\
[global]
include={libdir}/internal.conf
rundir=run
ipc_prefix=pushpin-
port_offset=0
stats_connection_ttl=120
stats_connection_send=true

[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port=CLIENTS
logdir=log
log_level=2
client_buffer_size=8192
client_maxconn=50000
allow_compression=false
mongrel2_bin=mongrel2
m2sh_bin=m2sh
zurl_bin=zurl
condure_bin=condure

[proxy]
routesfile=routes
debug=false
auto_cross_origin=false
accept_x_forwarded_protocol=false
set_x_forwarded_protocol=proto-only
x_forwarded_for=
x_forwarded_for_trusted=
orig_headers_need_mark=
accept_pushpin_route=false
cdn_loop=
log_from=false
log_user_agent=false
sig_iss=pushpin
sig_key=changeme
upstream_key=
sockjs_url=http://cdn.jsdelivr.net/sockjs/0.3.4/sockjs.min.js
updates_check=report
organization_name=
workers=1
max_open_requests=-1
stats_connections_max_ttl=60
stats_report_interval=10
prometheus_prefix=

[handler]
ipc_file_mode=777
push_in_spec=tcp://127.0.0.2:FREE
push_in_sub_specs=tcp://127.0.0.2:FREE
push_in_sub_connect=false
push_in_http_addr=127.0.0.2
push_in_http_port=FREE
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
stats_spec=ipc://{rundir}/{ipc_prefix}stats
command_spec=tcp://127.0.0.2:FREE
message_rate=2500
message_hwm=25000
message_block_size=10000
message_wait=5000
id_cache_ttl=60
update_on_first_subscription=true
connection_subscription_max=20
subscription_linger=60
stats_subscription_ttl=60
stats_report_interval=10
stats_format=tnetstring
share_all=false
prometheus_prefix=
";
