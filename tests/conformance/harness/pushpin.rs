//! Starts Pushpin, the oracle that every unmarked case must pass too: Debian's 1.36 with condure and zurl.
//!
//! Each instance has its own directory for ports' and sockets' names, and its own zurl, whose shipped settings
//! refuse to ask origins on loopback. Pushpin's processes find each other through ZeroMQ a while after the ports are
//! open, so an instance is ready once a message has gone all the way, origin, hold, publish, subscriber, and another
//! through a WebSocket.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use gripwire_harness::parting::Parting;
use gripwire_harness::process::Process;
use serde_json::json;

use super::client::Client;
use super::patience;
use super::proxy::{Proxy, Settings};
use super::request::get;
use super::websocket_origin::Sockets;

/// Starts an instance and waits until it works.
pub fn start(settings: &Settings, proxy: Proxy) -> Result<Proxy, String> {
    let directory = &proxy.directory;
    directory.write("pushpin.conf", &pushpin_conf(settings, &proxy, directory.path()));
    directory.write("zurl.conf", &zurl_conf(directory.path()));

    let mut zurl = Command::new("zurl");
    zurl.arg(format!("--config={}", directory.file("zurl.conf").display()));
    let zurl =
        Process::start(&zurl, Parting::Terminate, &directory.file("zurl.log")).map_err(not_installed)?;

    let mut pushpin = Command::new("pushpin");
    pushpin.arg("--merge-output").arg(format!("--config={}", directory.file("pushpin.conf").display()));
    // It has children of its own, in process groups of their own, that only it knows.
    let pushpin =
        Process::start(&pushpin, Parting::Terminate, &directory.file("log")).map_err(not_installed)?;
    let proxy = proxy.running(vec![pushpin, zurl])?;
    await_delivery(&proxy)?;
    Ok(proxy)
}

fn not_installed(error: String) -> String {
    format!(
        "{error}: GRIP_PROXY=pushpin needs Pushpin 1.36, condure and zurl (apt-get install pushpin zurl condure)"
    )
}

/// Publishes until a stream of the built-in test target gets the message.
fn await_delivery(proxy: &Proxy) -> Result<(), String> {
    let deadline = Instant::now() + patience();
    while Instant::now() < deadline {
        let mut client = Client::connect(proxy.http);
        client.send(get("/stream?channel=ready").host("builtin.test").header("Connection", "close").bytes());
        if !client.await_answer(Duration::from_secs(1)) || client.head().code != 200 {
            thread::sleep(Duration::from_millis(20)); // Between attempts: nothing announces that it is ready.
            continue;
        }
        client.expect_body("[stream opened]\n");
        proxy.publish(json!({"channel": "ready", "formats": {"http-stream": {"content": "ready"}}}));
        if client.body_within(Duration::from_secs(1)).is_some() {
            return await_origin(proxy, deadline);
        }
    }
    Err(format!("no message gets through; its log ends:\n{}", proxy.log().tail()))
}

/// Asks until an answer comes from the origin, by way of zurl.
fn await_origin(proxy: &Proxy, deadline: Instant) -> Result<(), String> {
    while Instant::now() < deadline {
        let mut client = Client::connect(proxy.http);
        client.send(get("/is-the-origin-there").bytes());
        if client.await_answer(Duration::from_secs(1)) && client.head().code == 404 {
            return await_sockets(proxy, deadline);
        }
    }
    Err(format!("the origin is not reached; its log ends:\n{}", proxy.log().tail()))
}

/// Opens WebSockets until a client's message reaches the application: what follows a handshake goes other ways.
fn await_sockets(proxy: &Proxy, deadline: Instant) -> Result<(), String> {
    let application = Sockets::accepting(&[]);
    while Instant::now() < deadline {
        let (mut client, mut server) = application.open(proxy, "pass.test");
        client.text("ready?");
        if server.hears_within(Duration::from_secs(1)) {
            return Ok(());
        }
    }
    Err(format!("no WebSocket passes; its log ends:\n{}", proxy.log().tail()))
}

fn pushpin_conf(settings: &Settings, proxy: &Proxy, directory: &Path) -> String {
    let forwarded_for = if settings.append_forwarded_for { "append" } else { "" };
    // With it, what has no content is never delivered.
    let block_size =
        settings.block_bytes.map(|bytes| format!("message_block_size={bytes}")).unwrap_or_default();
    format!(
        "[global]
include={{libdir}}/internal.conf
rundir={dir}
ipc_prefix=c-
[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port={http}
https_ports={https}
local_ports={dir}/clients
logdir={dir}
client_buffer_size=8192
client_maxconn=10000
[proxy]
routesfile=routes
debug={debug}
sig_iss=pushpin
sig_key={key}
x_forwarded_for={forwarded_for}
set_x_forwarded_protocol=proto-only
{more}zurl_out_specs=ipc://{dir}/zurl-in
zurl_out_stream_specs=ipc://{dir}/zurl-in-stream
zurl_in_specs=ipc://{dir}/zurl-out
updates_check=off
[handler]
push_in_http_addr={control_host}
push_in_http_port={control_port}
push_in_spec=ipc://{dir}/pull
push_in_sub_specs=ipc://{dir}/sub
command_spec=ipc://{dir}/command
stats_spec=ipc://{dir}/stats
stats_report_interval=1
prometheus_port={metrics}
prometheus_prefix=some_
message_rate=25000
message_hwm=25000
{block_size}
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
",
        dir = directory.display(),
        http = proxy.http,
        https = proxy.https,
        debug = settings.debug,
        key = settings.sig_key,
        more = settings.proxy.1,
        control_host = proxy.control.ip(),
        control_port = proxy.control.port(),
        metrics = proxy.metrics,
    )
}

fn zurl_conf(directory: &Path) -> String {
    format!(
        "[General]
in_spec=ipc://{dir}/zurl-in
in_stream_spec=ipc://{dir}/zurl-in-stream
out_spec=ipc://{dir}/zurl-out
in_req_spec=ipc://{dir}/zurl-req
ipc_file_mode=660
defpolicy=allow
allow=
deny=
max_open_requests=2000
buffer_size=200000
timeout=600
in_hwm=1000
out_hwm=1000
",
        dir = directory.display()
    )
}
