//! Connections to a port that expects the PROXY protocol: from anybody, endless, malformed, or left half way.

use crate::DEADLINE;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::socket::patient;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Proxies are believed that connect from 127.0.0.9 to the port for TLS; innocents come by the other port.
fn server() -> Server {
    let settings =
        "[http]\nproxy_protocol = [\"TLS\"]\ntrusted_proxies = [\"127.0.0.9\"]\nhead_timeout_ms = 500";
    Launch::route(Innocent::ROUTE).settings(settings).tls().start()
}

fn connect_from(host: u8, server: &Server) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
    socket.connect(&server.tls.unwrap().into()).unwrap();
    patient(socket.into())
}

/// Everything that comes until the end, which may be a reset.
fn answer(mut client: &TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    answer
}

#[test]
fn nobody_but_named_proxies_gets_a_word_and_headers_that_never_end_are_not_kept() {
    let server = server();
    let innocent = Innocent::beside(&server);
    let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 8192]].concat();
    let too_long = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff], &[0; 8192]].concat();
    let cut = [SIGNATURE, &[0x21, 0x11, 0x0f, 0x00], &[0; 2000]].concat();
    let starts: [&[u8]; 6] = [b"", b"PROXY ", b"GET / HTTP/1.1\r\n\r\n", &endless, &too_long, &cut];
    let mut clients = Vec::new();
    for start in starts.iter().cycle().take(120) {
        for host in [8, 9] {
            let mut client = connect_from(host, &server);
            let _ = client.write_all(start);
            clients.push(client);
        }
    }
    innocent.await_round();
    for client in &clients {
        assert_eq!(answer(client), b"", "no word for whoever sends no header");
    }
    assert!(server.stats()["untrusted_proxies_total"] >= 120);
    innocent.expect_unharmed(DEADLINE);
    drop(clients);
    server.await_empty();
}
