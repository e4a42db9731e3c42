//! Moving from Pushpin with a `pushpin.conf` and a routes file: Gripwire accepts both files, with every key and every option
//! that Pushpin documents, and names each one that has no effect, with the reason.

use gripwire_harness::directory::Directory;
use gripwire_harness::port::Port;
use gripwire_harness::server::{Launch, Server, gripwire};
use std::collections::BTreeSet;
use std::path::Path;

/// The files that the routes name.
fn keys() -> [(&'static str, String); 3] {
    let made = rcgen::generate_simple_self_signed(["gripwire.test".to_owned()]).unwrap();
    [
        ("cert.pem", made.cert.pem()),
        ("key.pem", made.signing_key.serialize_pem()),
        ("secret.hex", "6368616e67656d65".to_owned()),
    ]
}

/// What `check` prints of a configuration that it approves: its summary, and its warnings.
fn checked(configuration: &Path) -> (String, Vec<String>) {
    let output = gripwire().args(["check", "--pushpin-conf"]).arg(configuration).output().unwrap();
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
    let (out, warnings) = checked(&directory.file("pushpin.conf"));
    assert_eq!(out, "OK: 1 route\n");
    without_effect(&warnings);
}

#[test]
fn every_key_and_every_option_is_known_and_what_does_nothing_says_why() {
    let directory = Directory::new("every").with("routes", &routes());
    keys().iter().for_each(|(name, text)| directory.write(name, text));
    let ports: Vec<Port> = (0..5).map(|_| Port::claim()).collect();
    let text = configuration(&ports).replace("CLIENTS", &ports[3].address().to_string());
    directory.write("pushpin.conf", &text.replace("CONTROL_PORT", &ports[4].number().to_string()));
    let (out, warnings) = checked(&directory.file("pushpin.conf"));
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
    let ports: Vec<Port> = (0..3).map(|_| Port::claim()).collect();
    let launch = Launch::configured("--pushpin-conf", "pushpin.conf").cores(1).file("routes", &routes());
    let launch = launch.file("pushpin.conf", &configuration(&ports));
    let server = keys().iter().fold(launch, |launch, (name, text)| launch.file(name, text)).start();
    for (number, option) in CONDITION_OPTIONS.iter().enumerate() {
        let answer = get(&server, &format!("option{number}.test"));
        assert!(answer.contains("Hello from the Pushpin test handler!"), "{option}: {answer}");
    }
}

/// The whole answer to a GET of `/in/` on `host`.
fn get(server: &Server, host: &str) -> String {
    server.ask(format!("GET /in/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
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

/// Every key that Pushpin documents, as it is shipped where it is, but for ports. Those for clients and for publishers
/// are words of the harness.
fn configuration(ports: &[Port]) -> String {
    let mut free = ports.iter();
    let mut fill = |line: &str| match line.contains("FREE") {
        true => line.replace("FREE", &free.next().expect("a port for each FREE").number().to_string()),
        false => line.to_owned(),
    };
    KEYS.lines().map(|line| fill(line) + "\n").collect()
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
push_in_http_port=CONTROL_PORT
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
