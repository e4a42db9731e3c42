//! What an operator relies on who changes files of a running server: what is new comes into force, at SIGHUP or by
//! itself, nobody who is held is dropped, and files that cannot be used change nothing. Runs the real binary with its
//! built-in application, and reads its log.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long anything is awaited before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    child: Child,
    directory: PathBuf,
    log: Receiver<String>,
    clients: SocketAddr,
    control: SocketAddr,
}

impl Server {
    /// Starts with files; `CLIENTS` and `CONTROL` in the first, the configuration, are its ports.
    fn start(option: &str, files: &[(&str, &str)]) -> Server {
        let (clients, control) = (free_address(), free_address());
        let directory = std::env::temp_dir().join(format!("gripwire-reload-{}", clients.port()));
        std::fs::create_dir_all(&directory).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gripwire"));
        command.args(["serve", option]).arg(directory.join(files[0].0)).args(["--udp", "false"]);
        let (tell, log) = channel();
        let server = |child| Server { child, directory: directory.clone(), log, clients, control };
        for (name, text) in files {
            std::fs::write(directory.join(name), with_ports(text, clients, control)).unwrap();
        }
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let mut server = server(child);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(clients).is_err() || TcpStream::connect(control).is_err() {
            if server.child.try_wait().unwrap().is_some() {
                panic!("the server ended:\n{}", server.log.iter().collect::<Vec<_>>().join("\n"));
            }
            assert!(Instant::now() < deadline, "the server does not listen");
            std::thread::yield_now();
        }
        server
    }

    fn rewrite(&self, name: &str, text: &str) {
        std::fs::write(self.directory.join(name), with_ports(text, self.clients, self.control)).unwrap();
    }

    fn hang_up(&self) {
        let pid = libc::pid_t::try_from(self.child.id()).unwrap();
        // SAFETY: a signal to a child that was not waited for yet.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGHUP) }, 0);
    }

    /// Waits for a line of the log that has `text` in it.
    fn await_log(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            match self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no {text:?} in the log:\n{}", seen.join("\n")),
            }
        }
    }

    /// A client of the built-in application's stream, which has begun.
    fn hold(&self, host: &str) -> BufReader<TcpStream> {
        let mut client = TcpStream::connect(self.clients).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(client, "GET /stream?channel=c HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        let mut client = BufReader::new(client);
        await_line(&mut client, "[stream opened]");
        client
    }

    /// The answer to a client that asks `host` for its root.
    fn fetch(&self, host: &str) -> String {
        answer(self.clients, &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }

    /// Asks again and again, until a core that has taken over what is new answers, and each of them has.
    fn await_answers(&self, host: &str, expected: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut in_a_row = 0;
        while in_a_row < 16 {
            let answer = self.fetch(host);
            in_a_row = if answer.contains(expected) { in_a_row + 1 } else { 0 };
            assert!(Instant::now() < deadline, "{answer}");
        }
    }

    fn publish(&self, token: &str) -> String {
        let body = r#"{"items":[{"channel":"c","http-stream":{"content":"published\n"}}]}"#;
        let head = format!(
            "POST /publish/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        answer(self.control, &(head + body))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn with_ports(text: &str, clients: SocketAddr, control: SocketAddr) -> String {
    let text = text.replace("CLIENTS", &clients.to_string()).replace("CONTROL", &control.to_string());
    text.replace("CPORT", &control.port().to_string())
}

fn free_address() -> SocketAddr {
    // Free on every address, for a server that listens on all of them.
    let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    SocketAddr::from(([127, 0, 0, 4], port))
}

fn answer(address: SocketAddr, request: &str) -> String {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
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
    let server = Server::start("--config", &[("gripwire.toml", CONFIG), ("routes", routes)]);
    let mut held: Vec<_> = (0..20).map(|_| server.hold("old.test")).collect();
    assert!(!server.fetch("dead.test").contains("127.0.0.4:1"), "failures tell nothing yet");
    let more = "proxy.debug = true\nlog.level = \"gripwire=debug\"\nlimits.mesh_messages = 7\n";
    server.rewrite("gripwire.toml", &format!("{CONFIG}{more}"));
    server.rewrite("routes", "nonsense\nnew.test test\ndead.test 127.0.0.4:1\n");
    server.hang_up();
    server.await_log("routes:1: a target is missing");
    server.await_log("routes loaded with 2 entries");
    server.await_log("`limits.mesh_messages` has changed: restart to change it");
    // Cores may have taken over the last settings before the log had its new level.
    server.hang_up();
    server.await_log("DEBUG");
    server.await_answers("new.test", "Hello from the Pushpin test handler!");
    server.await_answers("dead.test", "127.0.0.4:1");
    server.await_answers("old.test", "Route not found");
    assert!(server.publish("").starts_with("HTTP/1.1 200 "));
    held.iter_mut().for_each(|client| await_line(client, "published"));
}

#[test]
fn files_that_cannot_be_used_change_nothing() {
    let server = Server::start("--config", &[("gripwire.toml", CONFIG), ("routes", "old.test test\n")]);
    let mut held = server.hold("old.test");
    server.rewrite("routes", "new.test test\n");
    server.rewrite("gripwire.toml", &format!("{CONFIG}proxy.debug = 7\n"));
    server.hang_up();
    server.await_log("the old settings stay in force: the configuration cannot be used");
    server.await_answers("old.test", "Hello from");
    server.rewrite("gripwire.toml", &format!("{CONFIG}proxy.sig_key = \"file:none.pem\"\n"));
    server.hang_up();
    server.await_log("the old settings stay in force: sig_key");
    std::fs::remove_file(server.directory.join("routes")).unwrap();
    server.hang_up();
    server.await_log("the old settings stay in force: cannot read");
    server.await_answers("old.test", "Hello from");
    server.rewrite("gripwire.toml", CONFIG);
    server.rewrite("routes", "new.test test\n");
    server.hang_up();
    server.await_log("routes loaded with 1 entries");
    server.await_answers("new.test", "Hello from");
    assert!(server.publish("").starts_with("HTTP/1.1 200 "));
    await_line(&mut held, "published");
}

#[test]
fn a_file_that_changes_is_read_by_itself() {
    let config = format!("{CONFIG}control.tokens_file = \"tokens\"\n");
    let files = [("gripwire.toml", &*config), ("routes", "old.test test\n"), ("tokens", "publish old\n")];
    let server = Server::start("--config", &files);
    assert!(server.publish("old").starts_with("HTTP/1.1 200 "));
    server.rewrite("tokens", "publish new\n");
    server.await_log("routes loaded with 1 entries");
    let deadline = Instant::now() + PATIENCE;
    while !server.publish("old").starts_with("HTTP/1.1 401 ") {
        assert!(Instant::now() < deadline, "the old token is still good");
    }
    // Another core may be a moment behind.
    while !server.publish("new").starts_with("HTTP/1.1 200 ") {
        assert!(Instant::now() < deadline, "the new token is not good");
    }
    server.rewrite("routes.new", "new.test test\nold.test test\n");
    std::fs::rename(server.directory.join("routes.new"), server.directory.join("routes")).unwrap();
    server.await_log("routes loaded with 2 entries");
    server.await_answers("new.test", "Hello from");
}

#[test]
fn a_pushpin_conf_is_read_again_too() {
    let config = "[runner]\nhttp_port=CLIENTS\n[proxy]\nroutesfile=routes\ndebug=false\n[handler]\n\
                  push_in_http_addr=127.0.0.4\npush_in_http_port=CPORT\n";
    let files = [("pushpin.conf", config), ("routes", "old.test test\ndead.test 127.0.0.4:1\n")];
    let server = Server::start("--pushpin-conf", &files);
    let mut held = server.hold("old.test");
    let changed =
        config.replace("debug=false", "debug=true").replace("[runner]", "[runner]\nclient_maxconn=7");
    server.rewrite("pushpin.conf", &changed);
    server.await_log("`limits.connections_per_core` has changed: restart to change it");
    server.await_answers("dead.test", "127.0.0.4:1");
    assert!(server.publish("").starts_with("HTTP/1.1 200 "));
    await_line(&mut held, "published");
}

#[test]
fn a_file_that_another_one_names_is_read_again_by_itself() {
    let config = "[global]\ninclude=more.conf\n[runner]\nhttp_port=CLIENTS\n[proxy]\nroutesfile=routes\n\
                  sig_key=file:own.hex\nupstream_key=file:upstream.hex\n[handler]\n\
                  push_in_http_addr=127.0.0.4\npush_in_http_port=CPORT\n";
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
    let server = Server::start("--pushpin-conf", &files);
    for name in ["own.hex", "upstream.hex", "route.hex"] {
        server.rewrite(name, "04");
        server.await_log("routes loaded with 2 entries");
    }
    let (cert, key) = certificate();
    server.rewrite("cert.pem", &cert);
    server.await_log("the old settings stay in force: client_cert and client_key of route");
    server.rewrite("key.pem", &key);
    server.await_log("routes loaded with 2 entries");
    server.rewrite("more.conf", "[proxy]\ndebug=true\n");
    server.await_answers("dead.test", "127.0.0.4:1");
}

#[test]
fn a_key_that_is_missing_is_awaited() {
    let server = Server::start("--config", &[("gripwire.toml", CONFIG), ("routes", "old.test test\n")]);
    server.rewrite("gripwire.toml", &format!("{CONFIG}proxy.sig_key = \"file:new.hex\"\n"));
    server.await_log("the old settings stay in force: sig_key");
    server.rewrite("new.hex", "01");
    server.await_log("routes loaded with 1 entries");
}

/// A certificate and its key, in PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["gripwire.test".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn a_port_that_is_open_to_others_keeps_its_secret() {
    let wide = CONFIG.replace("CONTROL", "0.0.0.0:CPORT");
    let config = format!("{wide}control.bearer_token = \"secret\"\n");
    let server = Server::start("--config", &[("gripwire.toml", &config), ("routes", "old.test test\n")]);
    server.rewrite("gripwire.toml", CONFIG);
    server.hang_up();
    server.await_log("the old settings stay in force: the control port 0.0.0.0");
    assert!(server.publish("").starts_with("HTTP/1.1 401 "));
    assert!(server.publish("secret").starts_with("HTTP/1.1 200 "));
}
