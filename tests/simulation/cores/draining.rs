//! Servers that are drained at a random moment: whoever has connected is answered, everything that is held ends properly and
//! without a gap, and cores answer the command when nothing is left.

use super::application::{self, ROUTES};
use super::cluster::{CLIENTS, CONTROL, Cluster};
use super::http::{Connection, dice};
use super::with_seed;
use bytes::BytesMut;
use gripwire::config::Config;
use gripwire::proto::websocket::{Opcode, mask_frame};
use gripwire::runtime;
use gripwire::simulation::Simulation;
use gripwire::wire::PortUse;
use serde_json::json;
use std::io;
use std::time::Duration;

const SEEDS: u64 = 40;
const CLIENTS_AT_MOST: usize = 30;

#[test]
fn whoever_has_connected_gets_a_proper_end() {
    for seed in 0..SEEDS {
        with_seed(seed, || {
            let simulation = Simulation::new(seed);
            let cores = 1 + dice(|dice| dice.below(3));
            let cluster = Cluster::start(&simulation, cores, Config::default(), ROUTES);
            let drained = simulation.run(async move {
                application::start();
                let mut lives = vec![runtime::spawn(publish())];
                let clients = 1 + dice(|dice| dice.below(CLIENTS_AT_MOST));
                lives.extend((0..clients).map(|_| runtime::spawn(live())));
                pause(3_000_000).await;
                cluster.drain(PortUse::Clients).await;
                cluster.drain(PortUse::Operators).await;
                for life in lives {
                    life.await;
                }
                cluster.emptied().await;
            });
            drained.expect("the drain comes to an end");
        });
    }
}

async fn pause(most_us: u64) {
    runtime::sleep(Duration::from_micros(dice(|dice| dice.within(1..most_us)))).await;
}

/// Connects at some time, and asks at once.
async fn live() {
    pause(3_000_000).await;
    let Ok(mut connection) = Connection::open(CLIENTS).await else { return };
    let kind = dice(|dice| *dice.pick(&["stream", "poll", "socket", "plain"]));
    let ended = match kind {
        "stream" => stream(&mut connection).await,
        "socket" => socket(&mut connection).await,
        _ => whole(&mut connection, kind).await,
    };
    ended.unwrap_or_else(|error| panic!("a client of {kind} is cut: {error}"));
}

async fn ask(connection: &mut Connection, kind: &str, headers: &str) -> io::Result<()> {
    let path = if kind == "plain" { "/?steady".to_owned() } else { format!("/{kind}/c?steady") };
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes()).await
}

async fn whole(connection: &mut Connection, kind: &str) -> io::Result<()> {
    ask(connection, kind, "").await?;
    let head = connection.head().await?;
    assert_eq!(head.status, 200);
    connection.body(&head).await.map(drop)
}

async fn stream(connection: &mut Connection) -> io::Result<()> {
    ask(connection, "stream", "").await?;
    assert_eq!(connection.head().await?.status, 200);
    let mut content = Vec::new();
    loop {
        let chunk = connection.chunk().await?;
        if chunk.is_empty() {
            break;
        }
        content.extend(chunk);
    }
    let content = String::from_utf8(content).expect("text");
    let items = content.strip_prefix("welcome;").expect("the opening");
    let numbers: Vec<u64> = items.split_terminator(';').map(|item| item.parse().expect("a number")).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap in {numbers:?}");
    Ok(())
}

async fn socket(connection: &mut Connection) -> io::Result<()> {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    ask(connection, "socket", upgrade).await?;
    assert_eq!(connection.head().await?.status, 101);
    loop {
        let (header, payload) = connection.frame().await?;
        if header.opcode == Some(Opcode::Close) {
            assert_eq!(payload, 1001u16.to_be_bytes());
            let mut close = BytesMut::new();
            mask_frame(&mut close, Opcode::Close, &payload);
            return connection.send(&close).await;
        }
    }
}

/// Publishes numbers until the control port is closed.
async fn publish() {
    let Ok(mut connection) = Connection::open(CONTROL).await else { return };
    for number in 0.. {
        let formats = json!({"http-stream": {"content": format!("{number};")}});
        let body = json!({"items": [{"channel": "c", "formats": formats}]}).to_string();
        let head =
            format!("POST /publish/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        if connection.send((head + &body).as_bytes()).await.is_err() {
            return;
        }
        let Ok(head) = connection.head().await else { return };
        assert_eq!(head.status, 200);
        if connection.body(&head).await.is_err() {
            return;
        }
        pause(50_000).await;
    }
}
