//! What orchestrators and load balancers ask: `/healthz` and `/readyz`.

use gripwire_harness::client::{Client, Response};
use gripwire_harness::port::Port;
use gripwire_harness::request::request;
use gripwire_harness::server::Launch;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

fn ask(address: SocketAddr, method: &str, path: &str) -> Response {
    Client::connect(address).send(request(method, path).host("some.pod").bytes()).response()
}

#[test]
fn probes_are_answered_on_the_control_port_and_the_metrics_port_without_a_token() {
    let port = Port::claim();
    let settings = format!(
        "[control]\nbearer_token = \"secret\"\n[stats]\nprometheus = \"{}\"\n[ingest]\nunix_stream = \"ingest\"",
        port.address()
    );
    let server = Launch::demo().settings(&settings).start();
    for address in [server.control, port.address()] {
        for (path, text) in [("/healthz", "alive\n"), ("/readyz", "ready\n"), ("/readyz?a=b", "ready\n")] {
            let answer = ask(address, "GET", path);
            assert_eq!((answer.code, answer.text()), (200, text), "{path}");
        }
    }
    let mut client = Client::connect(server.control);
    let head = "HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(client.send(head).head().code, 200);
    // The connection goes on with the next answer, so the last one had no content.
    assert_eq!(client.send(request("GET", "/healthz").bytes()).response().code, 200);
    // All other calls need the token, and all other paths of the metrics port are the page.
    for (method, path) in [("GET", "/stats"), ("POST", "/healthz"), ("GET", "/healthz/")] {
        let call = request(method, path).host("localhost").header("Content-Length", "0");
        assert_eq!(Client::connect(server.control).send(call.bytes()).response().code, 401, "{path}");
    }
    assert!(ask(port.address(), "GET", "/readyz/x").text().starts_with("# HELP"));
    let mut publisher = UnixStream::connect(server.file("ingest")).unwrap();
    publisher.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    publisher.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nready\n"), "{answer}");
}

#[test]
fn a_probe_is_read_not_written() {
    let server = Launch::demo().start();
    let call = request("POST", "/readyz").host("localhost").body("x");
    let answer = Client::connect(server.control).send(call.bytes()).response();
    assert_eq!((answer.code, answer.headers.get("Allow")), (405, Some("GET, HEAD")));
}
