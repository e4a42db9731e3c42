//! Applications written with GRIP's libraries: their instructions are followed, they find their requests signed, and
//! what they publish arrives, by ZeroMQ too. And a WebSocket library that compresses.

use crate::{folder, run};
use gripwire_harness::program::find;
use gripwire_harness::server::Server;
use gripwire_harness::socket::read_head;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;

#[test]
fn an_application_with_the_library_for_python_holds_and_publishes() {
    let Some(python) = find(folder().join(".venv/bin/python"), "run tests/clients/install") else { return };
    holds_and_publishes(Command::new(python).arg("library.py"));
}

#[test]
fn the_library_for_python_publishes_by_zeromq() {
    let Some(python) = find(folder().join(".venv/bin/python"), "run tests/clients/install") else { return };
    let server = zeromq_server();
    let mut stream = held(&server);
    let command = format!("ipc://{}", server.file("command").display());
    let mut publisher = run(Command::new(python).arg("zeromq.py").arg(command));
    assert_eq!(chunk(&mut stream), "pushed\n");
    publisher.tell("go on");
    assert_eq!(chunk(&mut stream), "published\n");
}

#[test]
fn pushpins_own_command_publishes_by_zeromq() {
    let Some(program) = find("pushpin-publish", "install it from the system's packages") else { return };
    let server = zeromq_server();
    let mut stream = held(&server);
    let spec = format!("ipc://{}", server.file("pull").display());
    let output = Command::new(program).args(["--spec", &spec, "library", "héllo"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(chunk(&mut stream), "héllo\n");
}

#[test]
fn an_application_with_the_library_for_node_holds_and_publishes() {
    let Some(node) = find("node", "install it from the system's packages") else { return };
    let Some(_) = find(folder().join("node_modules/@fanoutio/grip"), "run tests/clients/install") else {
        return;
    };
    holds_and_publishes(Command::new(node).arg("library.mjs"));
}

#[test]
fn a_client_that_offers_compression_gets_what_is_published_compressed() {
    let Some(python) = find(folder().join(".venv/bin/python"), "run tests/clients/install") else { return };
    let server = Server::start("* demo,over_http", "[websocket]\ncompression = true\n");
    let url = format!("ws://{}/socket?channel=demo", server.clients);
    let mut client = run(Command::new(python).arg("compressed.py").arg(url));
    assert_eq!(client.line(), "a long message came back compressed");
}

fn holds_and_publishes(command: &mut Command) {
    let mut application = run(command);
    let route = format!("* 127.0.0.1:{}", application.line());
    let server = Server::start(&route, "sig_key = \"changeme\"");
    let mut client = server.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut reader = BufReader::new(client);
    let head = read_head(&mut reader);
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/plain"), "{head}");
    assert_eq!(chunk(&mut reader), "opened\n");
    application.tell(&format!("http://{} published", server.control));
    assert_eq!(chunk(&mut reader), "published\n");
}

fn zeromq_server() -> Server {
    let settings = "[zeromq]\npull = \"ipc://pull\"\nsub = \"ipc://sub\"\ncommand = \"ipc://command\"\n";
    Server::start("* demo,over_http", settings)
}

/// A stream that is held on the channel `library`.
fn held(server: &Server) -> BufReader<TcpStream> {
    let mut client = server.connect();
    client.write_all(b"GET /hold?channel=library HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut reader = BufReader::new(client);
    let head = read_head(&mut reader);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(chunk(&mut reader), "held\n");
    reader
}

/// A chunk that is one line.
fn chunk(reader: &mut impl BufRead) -> String {
    let (mut size, mut line, mut end) = (String::new(), String::new(), String::new());
    for text in [&mut size, &mut line, &mut end] {
        reader.read_line(text).unwrap();
    }
    assert_eq!((usize::from_str_radix(size.trim(), 16), end.as_str()), (Ok(line.len()), "\r\n"));
    line
}
