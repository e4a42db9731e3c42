//! Changing files of a running server: changes come into force at SIGHUP or by themselves, no held client is dropped, and a
//! file that cannot be used changes nothing. The tests run the real binary with its built-in application, and read its log.

use gripwire_harness::deadline::patience;
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::socket;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// Starts with files, of which the first is the configuration.
fn start(option: &str, files: &[(&str, &str)]) -> Server {
    let launch = Launch::configured(option, files[0].0);
    files.iter().fold(launch, |launch, (name, text)| launch.file(name, text)).start()
}

/// A client of the built-in application's stream, which has begun.
fn hold(server: &Server, host: &str) -> BufReader<TcpStream> {
    let mut client = server.connect();
    write!(client, "GET /stream?channel=c HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut client = BufReader::new(client);
    await_line(&mut client, "[stream opened]");
    client
}

/// The answer to a client that asks `host` for its root.
fn fetch(server: &Server, host: &str) -> String {
    answer(server.clients, &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

/// Asks again and again, until a core that has taken over what is new answers, and each of them has.
fn await_answers(server: &Server, host: &str, expected: &str) {
    let deadline = Instant::now() + patience();
    let mut in_a_row = 0;
    while in_a_row < 16 {
        let answer = fetch(server, host);
        in_a_row = if answer.contains(expected) { in_a_row + 1 } else { 0 };
        assert!(Instant::now() < deadline, "{answer}");
    }
}

fn publish(server: &Server, token: &str) -> String {
    let body = r#"{"items":[{"channel":"c","http-stream":{"content":"published\n"}}]}"#;
    let head = format!(
        "POST /publish/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    answer(server.control, &(head + body))
}

fn answer(address: SocketAddr, request: &str) -> String {
    let mut client = socket::connect(address);
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

fn await_line(client: &mut BufReader<TcpStream>, expected: &str) {
    let mut line = String::new();
    while line.trim_end() != expected {
        line.clear();
        assert!(client.read_line(&mut line).unwrap() > 0, "the stream ends before {expected:?}");
    }
}

const CONFIG: &str = "\
cores = 2
http.listen = \"CLIENTS\"
control.listen = \"CONTROL\"
proxy.routes_file = \"routes\"
";

#[test]
fn a_hangup_brings_what_is_new_into_force_and_drops_nobody() {
    let routes = "old.test test\ndead.test 127.0.0.4:1\n";
    let server = start("--config", &[("gripwire.toml", CONFIG), ("routes", routes)]);
    let mut held: Vec<_> = (0..20).map(|_| hold(&server, "old.test")).collect();
    assert!(!fetch(&server, "dead.test").contains("127.0.0.4:1"), "failures tell nothing yet");
    let more = "proxy.debug = true\nlog.level = \"gripwire=debug\"\nlimits.mesh_messages = 7\n";
    server.rewrite("gripwire.toml", &format!("{CONFIG}{more}"));
    server.rewrite("routes", "nonsense\nnew.test test\ndead.test 127.0.0.4:1\n");
    server.signal(libc::SIGHUP);
    server.log().await_next("routes:1: a target is missing");
    server.log().await_next("routes loaded with 2 entries");
    server.log().await_next("`limits.mesh_messages` has changed: restart the server to apply the change");
    // Cores may have taken over the last settings before the log had its new level.
    server.signal(libc::SIGHUP);
    server.log().await_next("DEBUG");
    await_answers(&server, "new.test", "Hello from the Pushpin test handler!");
    await_answers(&server, "dead.test", "127.0.0.4:1");
    await_answers(&server, "old.test", "Route not found");
    assert!(publish(&server, "").starts_with("HTTP/1.1 200 "));
    held.iter_mut().for_each(|client| await_line(client, "published"));
}

#[test]
fn files_that_cannot_be_used_change_nothing() {
    let server = start("--config", &[("gripwire.toml", CONFIG), ("routes", "old.test test\n")]);
    let mut held = hold(&server, "old.test");
    server.rewrite("routes", "new.test test\n");
    server.rewrite("gripwire.toml", &format!("{CONFIG}proxy.debug = 7\n"));
    server.signal(libc::SIGHUP);
    server.log().await_next("the old settings stay in force: the configuration cannot be used");
    await_answers(&server, "old.test", "Hello from");
    server.rewrite("gripwire.toml", &format!("{CONFIG}proxy.sig_key = \"file:none.pem\"\n"));
    server.signal(libc::SIGHUP);
    server.log().await_next("the old settings stay in force: sig_key");
    std::fs::remove_file(server.file("routes")).unwrap();
    server.signal(libc::SIGHUP);
    server.log().await_next("the old settings stay in force: cannot read");
    await_answers(&server, "old.test", "Hello from");
    server.rewrite("gripwire.toml", CONFIG);
    server.rewrite("routes", "new.test test\n");
    server.signal(libc::SIGHUP);
    server.log().await_next("routes loaded with 1 entries");
    await_answers(&server, "new.test", "Hello from");
    assert!(publish(&server, "").starts_with("HTTP/1.1 200 "));
    await_line(&mut held, "published");
}

#[test]
fn a_file_that_changes_is_read_by_itself() {
    let config = format!("{CONFIG}control.tokens_file = \"tokens\"\n");
    let files = [("gripwire.toml", &*config), ("routes", "old.test test\n"), ("tokens", "publish old\n")];
    let server = start("--config", &files);
    assert!(publish(&server, "old").starts_with("HTTP/1.1 200 "));
    server.rewrite("tokens", "publish new\n");
    server.log().await_next("routes loaded with 1 entries");
    let deadline = Instant::now() + patience();
    while !publish(&server, "old").starts_with("HTTP/1.1 401 ") {
        assert!(Instant::now() < deadline, "the old token is still good");
    }
    // Another core may be a moment behind.
    while !publish(&server, "new").starts_with("HTTP/1.1 200 ") {
        assert!(Instant::now() < deadline, "the new token is not good");
    }
    server.rewrite("routes.new", "new.test test\nold.test test\n");
    std::fs::rename(server.file("routes.new"), server.file("routes")).unwrap();
    server.log().await_next("routes loaded with 2 entries");
    await_answers(&server, "new.test", "Hello from");
}

#[test]
fn a_pushpin_conf_is_read_again_too() {
    let config = "[runner]\nhttp_port=CLIENTS\n[proxy]\nroutesfile=routes\ndebug=false\n[handler]\n\
                  push_in_http_addr=HOST\npush_in_http_port=CONTROL_PORT\n";
    let files = [("pushpin.conf", config), ("routes", "old.test test\ndead.test 127.0.0.4:1\n")];
    let server = start("--pushpin-conf", &files);
    let mut held = hold(&server, "old.test");
    let changed =
        config.replace("debug=false", "debug=true").replace("[runner]", "[runner]\nclient_maxconn=7");
    server.rewrite("pushpin.conf", &changed);
    server
        .log()
        .await_next("`limits.connections_per_core` has changed: restart the server to apply the change");
    await_answers(&server, "dead.test", "127.0.0.4:1");
    assert!(publish(&server, "").starts_with("HTTP/1.1 200 "));
    await_line(&mut held, "published");
}

#[test]
fn a_file_that_another_one_names_is_read_again_by_itself() {
    let config = "[global]\ninclude=more.conf\n[runner]\nhttp_port=CLIENTS\n[proxy]\nroutesfile=routes\n\
                  sig_key=file:own.hex\nupstream_key=file:upstream.hex\n[handler]\n\
                  push_in_http_addr=HOST\npush_in_http_port=CONTROL_PORT\n";
    let routes = "old.test,sig_key=file:route.hex test\ndead.test 127.0.0.4:1,ssl,client_cert=cert.pem,client_key=key.pem\n";
    let (cert, key) = certificate();
    let files = [
        ("pushpin.conf", config),
        ("more.conf", "[proxy]\ndebug=false\n"),
        ("routes", routes),
        ("own.hex", "01"),
        ("upstream.hex", "02"),
        ("route.hex", "03"),
        ("cert.pem", &cert),
        ("key.pem", &key),
    ];
    let server = start("--pushpin-conf", &files);
    for name in ["own.hex", "upstream.hex", "route.hex"] {
        server.rewrite(name, "04");
        server.log().await_next("routes loaded with 2 entries");
    }
    let (cert, key) = certificate();
    server.rewrite("cert.pem", &cert);
    server.log().await_next("the old settings stay in force: client_cert and client_key of route");
    server.rewrite("key.pem", &key);
    server.log().await_next("routes loaded with 2 entries");
    server.rewrite("more.conf", "[proxy]\ndebug=true\n");
    await_answers(&server, "dead.test", "127.0.0.4:1");
}

#[test]
fn a_key_that_is_missing_is_awaited() {
    let server = start("--config", &[("gripwire.toml", CONFIG), ("routes", "old.test test\n")]);
    server.rewrite("gripwire.toml", &format!("{CONFIG}proxy.sig_key = \"file:new.hex\"\n"));
    server.log().await_next("the old settings stay in force: sig_key");
    server.rewrite("new.hex", "01");
    server.log().await_next("routes loaded with 1 entries");
}

/// A certificate and its key, in PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["gripwire.test".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn a_port_that_is_open_to_others_keeps_its_secret() {
    let wide = CONFIG.replace("CONTROL", "0.0.0.0:CONTROL_PORT");
    let config = format!("{wide}control.bearer_token = \"secret\"\n");
    let server = start("--config", &[("gripwire.toml", &config), ("routes", "old.test test\n")]);
    server.rewrite("gripwire.toml", CONFIG);
    server.signal(libc::SIGHUP);
    server.log().await_next("the old settings stay in force: the control port 0.0.0.0");
    assert!(publish(&server, "").starts_with("HTTP/1.1 401 "));
    assert!(publish(&server, "secret").starts_with("HTTP/1.1 200 "));
}
