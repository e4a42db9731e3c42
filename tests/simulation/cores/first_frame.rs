//! The pause between the head of a WebSocket and its first frame, where requests may name their route: clients with
//! which such servers are tried out drop frames that they read together with the head. Here no machine is too busy to
//! see the pause.

use super::cluster::{CLIENTS, Cluster};
use super::http::{Connection, elapsed};
use futures_lite::AsyncWriteExt;
use gripwire::config::Config;
use gripwire::runtime;
use gripwire::simulation::{self, Simulation};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const APPLICATION: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);
const HANDSHAKE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// A route, and what the application behind it answers: in both cases it opens the WebSocket and welcomes the client.
const KINDS: [(&str, &[u8]); 2] = [
    (
        "* 127.0.0.1:8000,over_http",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/websocket-events\r\nContent-Length: 23\r\n\r\n\
          OPEN\r\nTEXT 7\r\nwelcome\r\n",
    ),
    (
        "* 127.0.0.1:8000",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x07welcome",
    ),
];
/// The network carries nearly all bytes within a tenth of this, so such a gap was made by the server.
const APART: Duration = Duration::from_millis(4);
const CLIENTS_IN_TURN: usize = 40;

#[test]
fn the_first_frame_of_a_websocket_comes_after_its_head_where_requests_may_name_their_route() {
    for (route, answer) in KINDS {
        let [paused, unpaused] = [true, false].map(|may_name_route| apart(may_name_route, route, answer));
        // The network holds one piece in twenty back: the head, so that the frame is close behind it, or the frame.
        assert!(paused > CLIENTS_IN_TURN * 3 / 4, "{route}: {paused} of {CLIENTS_IN_TURN} apart");
        assert!(unpaused < CLIENTS_IN_TURN / 4, "{route}: {unpaused} of {CLIENTS_IN_TURN} apart for nothing");
    }
}

/// How many clients get the first frame of their WebSocket at least [`APART`] after its head.
fn apart(may_name_route: bool, route: &str, answer: &'static [u8]) -> usize {
    let simulation = Simulation::new(1);
    let mut settings = Config::default();
    settings.proxy.accept_pushpin_route = may_name_route;
    Cluster::start(&simulation, 1, settings, route);
    let apart = simulation.run(async move {
        serve(answer);
        let mut apart = 0;
        for _ in 0..CLIENTS_IN_TURN {
            apart += usize::from(gap().await.expect("the client is welcomed") >= APART);
        }
        apart
    });
    apart.expect("all clients get their frame")
}

/// How long after the head of its WebSocket a client gets the first frame.
async fn gap() -> io::Result<Duration> {
    let mut client = Connection::open(CLIENTS).await?;
    client.send(HANDSHAKE).await?;
    assert_eq!(client.head().await?.status, 101);
    let opened = elapsed();
    assert_eq!(client.frame().await?.1, b"welcome");
    Ok(elapsed() - opened)
}

/// Starts an application that gives every request this answer.
fn serve(answer: &'static [u8]) {
    let listener = simulation::listen(APPLICATION);
    runtime::spawn(async move {
        loop {
            let connection = Connection::new(listener.accept().await);
            // The server may close the connection whenever it likes.
            runtime::spawn(async move { drop(answer_all(connection, answer).await) }).detach();
        }
    })
    .detach();
}

async fn answer_all(mut connection: Connection, answer: &[u8]) -> io::Result<()> {
    loop {
        let head = connection.head().await?;
        connection.body(&head).await?;
        connection.stream.write_all(answer).await?;
    }
}
