//! Pushpin with condure and zurl, with the load generator's application. Its limits on connections and message rates are
//! raised so that they do not affect the measurement.

use super::running::{Directory, PATIENCE, Running, free_address};
use crate::process::Process;
use anyhow::ensure;
use gripwire_loadgen::{Origin, Target};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

pub fn start() -> anyhow::Result<Running> {
    let origin = Origin::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1)?;
    let (clients, publish) = (free_address()?, free_address()?);
    let directory = Directory::new("pushpin", clients.port())?;
    let files = [
        ("routes", format!("* {},over_http\n", origin.address())),
        ("pushpin.conf", pushpin_conf(&directory.0, clients, publish)),
        ("zurl.conf", zurl_conf(&directory.0)),
    ];
    for (name, text) in files {
        std::fs::write(directory.0.join(name), text)?;
    }
    let config = |name: &str| format!("--config={}", directory.0.join(name).display());
    let zurl = Process::start(Command::new("zurl").arg(config("zurl.conf")))?;
    let pushpin = Process::start(Command::new("pushpin").arg("--merge-output").arg(config("pushpin.conf")))?;
    let mut running = Running {
        target: Target::Pushpin,
        clients,
        publish,
        udp: None,
        processes: vec![pushpin.with_children(), zurl],
        _origin: Some(origin),
        _directory: Some(directory),
    };
    running.await_listening()?;
    await_origin(clients)?;
    Ok(running)
}

/// Waits until a request reaches the application: Pushpin's processes connect to each other some time after the ports are
/// open.
fn await_origin(clients: SocketAddrV4) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut client = TcpStream::connect(clients)?;
        client.set_read_timeout(Some(Duration::from_secs(1)))?;
        client.write_all(b"GET /hold?channel=ready HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        let mut answer = [0; 12];
        if client.read_exact(&mut answer).is_ok() && answer.ends_with(b"200") {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "pushpin does not reach its application");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn pushpin_conf(directory: &Path, clients: SocketAddrV4, publish: SocketAddrV4) -> String {
    format!(
        "[global]
include={{libdir}}/internal.conf
rundir={dir}
ipc_prefix=bench-
[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port={clients}
logdir={dir}
log_level=0
client_buffer_size=8192
client_maxconn=19000
[proxy]
routesfile=routes
sig_key=changeme
zurl_out_specs=ipc://{dir}/zurl-in
zurl_out_stream_specs=ipc://{dir}/zurl-in-stream
zurl_in_specs=ipc://{dir}/zurl-out
updates_check=off
[handler]
push_in_http_addr={host}
push_in_http_port={port}
message_rate=100000000
message_hwm=100000000
connection_subscription_max=20
",
        dir = directory.display(),
        host = publish.ip(),
        port = publish.port(),
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
in_hwm=100000
out_hwm=100000
",
        dir = directory.display()
    )
}
