//! Sockets that the service manager opened (LISTEN_FDS, socket units of systemd).

use gripwire_harness::client::Client;
use gripwire_harness::port::Port;
use gripwire_harness::request::get;
use gripwire_harness::server::Launch;
use gripwire_harness::unique;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;

const CORES: usize = 4;

/// A file for a socket of the manager, which removes it.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new() -> SocketPath {
        SocketPath(std::env::temp_dir().join(unique("gripwire-socket")))
    }

    /// The path as a string of TOML.
    fn quoted(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("the server leaves the manager's file alone");
    }
}

fn listener() -> (Port, TcpListener) {
    let port = Port::claim();
    let listener = TcpListener::bind(port.address()).unwrap();
    (port, listener)
}

/// A datagram that publishes `content`.
fn item(channel: &str, content: &str) -> Vec<u8> {
    let item = json!({"channel": channel, "formats": {"http-stream": {"content": content}}});
    json!({ "items": [item] }).to_string().into_bytes()
}

#[test]
fn every_kind_of_port_is_served_on_the_socket_that_was_handed_over() {
    let ((clients, client_listener), (metrics, metrics_listener)) = (listener(), listener());
    let (local, stream, datagram) = (SocketPath::new(), SocketPath::new(), SocketPath::new());
    let settings = format!(
        "[http]\nunix_listen = [{}]\n[stats]\nprometheus = \"{}\"\n[ingest]\nunix_stream = {}\nunix_datagram = {}",
        local.quoted(),
        metrics.address(),
        stream.quoted(),
        datagram.quoted()
    );
    let datagrams = UnixDatagram::bind(&datagram.0).unwrap();
    let server = Launch::demo()
        .settings(&settings)
        .options(&["--listen", &clients.address().to_string()])
        .cores(CORES)
        .hand_over("metrics", metrics_listener)
        .hand_over("datagram", datagrams)
        .hand_over("local", UnixListener::bind(&local.0).unwrap())
        .hand_over("stream", UnixListener::bind(&stream.0).unwrap())
        .hand_over("clients", client_listener)
        .start();
    let mut held = Client::connect(clients.address());
    held.send(get("/hold?channel=news").bytes()).head();
    assert_eq!(Client::connect(metrics.address()).send(get("/healthz").bytes()).response().text(), "alive\n");
    for path in [&local.0, &stream.0] {
        let mut client = UnixStream::connect(path).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }
    server.await_stats(|stats| stats["subscriptions"] == 1);
    UnixDatagram::unbound().unwrap().send_to(&item("news", "by datagram\n"), &datagram.0).unwrap();
    held.expect_body("held\n");
    held.expect_body("by datagram\n");
    assert!(!server.log().has("ERROR"));
}

#[test]
fn a_udp_socket_that_was_handed_over_is_read_by_one_core() {
    let port = Port::claim();
    let address = port.address();
    let socket = UdpSocket::bind(address).unwrap();
    let server = Launch::demo().cores(CORES).hand_over("udp", socket).udp_at(port).start();
    let mut held = Client::connect(server.clients);
    held.send(get("/hold?channel=news").bytes()).head();
    server.await_stats(|stats| stats["subscriptions"] == 1);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    held.expect_body("held\n");
    for number in 0..50 {
        sender.send_to(&item("news", &format!("{number}\n")), address).unwrap();
        held.expect_body(format!("{number}\n"));
    }
}

#[test]
fn one_listener_serves_all_cores() {
    let (port, listener) = listener();
    let address = port.address();
    let server = Launch::demo()
        .options(&["--listen", &address.to_string()])
        .cores(CORES)
        .hand_over("clients", listener)
        .start();
    let clients: Vec<Client> = (0..CORES * 16 * 4).map(|_| hold(address)).collect();
    let channel = server.ask_control("GET /channels/news");
    let all = format!("\"subscribers\":{{\"http-response\":0,\"http-stream\":{},", clients.len());
    assert!(channel.contains(&all), "{channel}");
    for core in 0..CORES {
        let none = format!("{{\"core\":{core},\"subscribers\":{{\"http-response\":0,\"http-stream\":0,");
        assert!(!channel.contains(&none), "{channel}");
    }
}

fn hold(address: SocketAddr) -> Client {
    let mut client = Client::connect(address);
    client.send(get("/hold?channel=news").bytes()).head();
    client
}

#[test]
fn clients_that_connect_while_no_server_runs_are_answered_by_the_next() {
    let (port, listener) = listener();
    let launch = || {
        Launch::demo()
            .options(&["--listen", &port.address().to_string()])
            .hand_over("clients", listener.try_clone().unwrap())
    };
    let mut server = launch().start();
    assert_eq!(Client::connect(port.address()).send(get("/").bytes()).response().code, 200);
    server.end_by(libc::SIGTERM);
    let mut waiting: Vec<Client> = (0..20).map(|_| Client::connect(port.address())).collect();
    let _server = launch().start();
    for client in &mut waiting {
        assert_eq!(client.send(get("/").bytes()).response().code, 200);
    }
}

#[test]
fn a_socket_that_no_setting_names_ends_the_start_and_is_named() {
    let (port, listener) = listener();
    let why = Launch::demo().hand_over("web.socket", listener).try_start().err().expect("it does not start");
    let named = format!("the settings name no port for the socket {} (\"web.socket\")", port.address());
    assert!(why.contains(&named), "{why}");
    let (reader, _writer) = std::io::pipe().unwrap();
    let why = Launch::demo().hand_over("a.fifo", reader).try_start().err().expect("it does not start");
    assert!(
        why.contains("the socket \"a.fifo\" (descriptor 3) that was handed over cannot be used"),
        "{why}"
    );
}

#[test]
fn the_sockets_of_another_process_are_left_alone() {
    let server = Launch::demo().env("LISTEN_FDS", "1").env("LISTEN_PID", "1").start();
    assert_eq!(server.fetch(&get("/")).code, 200);
}
