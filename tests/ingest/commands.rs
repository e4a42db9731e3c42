//! `gripwire publish` by each way, and what `gripwire serve` says when a socket cannot be had.

use gripwire_harness::port::Port;
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::subscriber::Subscriber;
use std::net::UdpSocket;
use std::process::Output;

fn gripwire(arguments: &[&str]) -> Output {
    gripwire_harness::server::gripwire().args(arguments).output().unwrap()
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_message_is_published_by_each_way() {
    let settings = "[ingest]\nunix_stream = \"s\"\nunix_datagram = \"d\"\n";
    let server = Launch::demo().settings(settings).udp().start();
    let (mut stream, mut websocket) =
        (Subscriber::stream(&server, "news"), Subscriber::websocket(&server, "news"));
    let file = |name| server.file(name).display().to_string();
    for (spec, said) in [
        (format!("http://{}", server.control), "Published\n"),
        (format!("unix://{}", file("s")), "Published\n"),
        (format!("unixgram://{}", file("d")), "Sent\n"),
        (format!("udp://{}", server.udp.unwrap()), "Sent\n"),
    ] {
        let output = gripwire(&["publish", "--spec", &spec, "news", &spec, "--id", &spec]);
        assert_eq!(told(&output), (Some(0), said.into(), String::new()));
        stream.expect_chunk(&format!("{spec}\n"));
        let length = u8::try_from(spec.len()).unwrap();
        websocket.expect(&[&[0x81, length], spec.as_bytes()].concat());
    }
}

#[test]
fn a_receipt_says_whom_a_message_has_reached() {
    let server = Server::start("* demo,over_http", "[ingest]\nunix_stream = \"s\"\n");
    let (_stream, _websocket) = (Subscriber::stream(&server, "news"), Subscriber::websocket(&server, "news"));
    for spec in [format!("http://{}", server.control), format!("unix://{}", server.file("s").display())] {
        let output = gripwire(&["publish", "--spec", &spec, "news", "hi", "--also", "olds", "--receipt"]);
        let said = "Published\nnews: delivered, long polls 0, streams 1, WebSockets 1, dropped 0\n\
                    olds: delivered, long polls 0, streams 0, WebSockets 0, dropped 0\n";
        assert_eq!(told(&output), (Some(0), said.into(), String::new()));
    }
    let (code, _, err) =
        told(&gripwire(&["publish", "--spec", "udp://127.0.0.1:9", "news", "hi", "--receipt"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("udp://127.0.0.1:9 gives no receipts"), "{err}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let free = Port::claim();
    for spec in [&format!("udp://{}", free.address()), "unix:///nowhere/s", "unixgram:///nowhere/s"] {
        let (code, out, err) = told(&gripwire(&["publish", "--spec", spec, "news", "hi"]));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{spec}");
        assert!(
            err.starts_with(&format!("gripwire: cannot publish to {spec}; check that the server")),
            "{err}"
        );
    }
}

#[test]
fn what_a_server_would_refuse_is_not_sent() {
    let code = ["--code", "100"];
    let arguments = [&["publish", "--spec", "udp://127.0.0.1:9", "news", "hi"], &code[..]].concat();
    let (code, _, err) = told(&gripwire(&arguments));
    assert_eq!(code, Some(1));
    assert!(err.contains("contains 'code' with invalid value"), "{err}");
}

#[test]
fn a_socket_that_cannot_be_had_ends_the_start_with_what_to_change() {
    let taken = UdpSocket::bind("127.0.0.3:0").unwrap();
    let ports = [Port::claim(), Port::claim()];
    let [listen, control] = ports.each_ref().map(|port| port.address().to_string());
    let udp = taken.local_addr().unwrap().to_string();
    let serve = ["serve", "--demo", "--listen", &listen, "--control", &control, "--udp", &udp];
    let (code, _, err) = told(&gripwire(&serve));
    assert_eq!(code, Some(1));
    assert!(err.contains(&format!("cannot listen on UDP {udp}: ")), "{err}");
    assert!(err.contains("set `udp` in [ingest] (or --udp) to another port, or to false"), "{err}");
    let wide = ["serve", "--demo", "--listen", &listen, "--control", &control, "--udp", "0.0.0.0:5565"];
    let (code, _, err) = told(&gripwire(&wide));
    assert_eq!(code, Some(1));
    assert!(err.contains("udp_allow_remote"), "{err}");
}
