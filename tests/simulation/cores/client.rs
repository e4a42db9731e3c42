//! Clients of a simulation. Each subscribes, listens, and leaves in one of several ways; some do not read for a while.

use super::cluster::CLIENTS;
use super::deliveries::{Deliveries, Kind, Record};
use super::http::{Connection, dice, elapsed};
use super::scenario::{END, STOP};
use futures_lite::FutureExt;
use gripwire::proto::websocket::{Opcode, mask_frame};
use gripwire::runtime;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// How a client leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaving {
    Closes,
    Resets,
    Vanishes,
    /// Stays to the end.
    Stays,
}

/// Subscribes again and again; those who stay in the end do so until all is over.
pub async fn live(deliveries: Rc<Deliveries>, channels: usize) {
    while elapsed() < STOP {
        let kind = dice(|dice| *dice.pick(&[Kind::Stream, Kind::Poll, Kind::Socket]));
        let channel = dice(|dice| dice.below(channels));
        let leaving =
            dice(|dice| *dice.pick(&[Leaving::Closes, Leaving::Resets, Leaving::Vanishes, Leaving::Stays]));
        let until = match leaving {
            Leaving::Stays => END,
            _ => elapsed() + Duration::from_micros(dice(|dice| dice.within(1..8_000_000))),
        };
        visit(&deliveries, Record::new(kind, channel), until, leaving).await;
    }
}

/// Subscribed to `channel` from now until all is over, by way of an application that does not fail.
pub async fn witness(deliveries: Rc<Deliveries>, channel: usize) {
    visit(&deliveries, Record::new(Kind::Witness, channel), END, Leaving::Stays).await;
}

async fn visit(deliveries: &Deliveries, mut record: Record, until: Duration, leaving: Leaving) {
    let Ok(mut connection) = Connection::open(CLIENTS).await else { return };
    let lives = async {
        let outcome = match record.kind {
            Kind::Witness | Kind::Stream => stream(&mut connection, &mut record).await,
            Kind::Poll => polls(&mut connection, &mut record).await,
            Kind::Socket => socket(&mut connection, &mut record).await,
        };
        outcome.err()
    };
    let leaves = async {
        runtime::sleep(until.saturating_sub(elapsed())).await;
        None
    };
    let cut = lives.or(leaves).await;
    record.stayed = leaving == Leaving::Stays && cut.is_none() && elapsed() >= until;
    deliveries.record(record);
    match leaving {
        _ if cut.is_some() => {}
        Leaving::Closes | Leaving::Stays => {}
        Leaving::Resets => connection.stream.reset(),
        Leaving::Vanishes => connection.stream.vanish(),
    }
}

async fn stream(connection: &mut Connection, record: &mut Record) -> io::Result<()> {
    let is_witness = record.kind == Kind::Witness;
    let steady = if is_witness { "?steady" } else { "" };
    let request = format!("GET /stream/{}{steady} HTTP/1.1\r\nHost: a\r\n\r\n", record.channel);
    connection.send(request.as_bytes()).await?;
    let head = connection.head().await?;
    if head.status != 200 {
        connection.body(&head).await?;
        return refused(is_witness);
    }
    let mut is_open = false;
    loop {
        let chunk = connection.chunk().await?;
        if chunk.is_empty() {
            return refused(is_witness);
        }
        match is_open {
            true => record.take(&chunk),
            false => {
                let rest =
                    chunk.strip_prefix(b"welcome;").expect("the application's beginning of the stream");
                (is_open, record.opened) = (true, Some(elapsed()));
                if !rest.is_empty() {
                    record.take(rest);
                }
            }
        }
        if !is_witness && elapsed() < STOP && dice(|dice| dice.chance(2)) {
            runtime::sleep(Duration::from_micros(dice(|dice| dice.within(1..3_000_000)))).await;
        }
    }
}

/// An answer that is none, or the end of one.
fn refused(is_witness: bool) -> io::Result<()> {
    assert!(!is_witness, "a witness is refused, or its stream ends");
    Err(io::Error::other("refused"))
}

async fn polls(connection: &mut Connection, record: &mut Record) -> io::Result<()> {
    loop {
        let request = format!("GET /poll/{} HTTP/1.1\r\nHost: a\r\n\r\n", record.channel);
        connection.send(request.as_bytes()).await?;
        let head = connection.head().await?;
        let body = connection.body(&head).await?;
        match head.status {
            200 if body == b"timeout;" => {}
            200 => record.take(&body),
            500.. => return Err(io::Error::other("refused")),
            status => panic!("a poll is answered with {status}"),
        }
        if dice(|dice| dice.chance(30)) {
            runtime::sleep(Duration::from_micros(dice(|dice| dice.within(1..100_000)))).await;
        }
    }
}

async fn socket(connection: &mut Connection, record: &mut Record) -> io::Result<()> {
    let request = format!(
        "GET /socket/{} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        record.channel
    );
    connection.send(request.as_bytes()).await?;
    let head = connection.head().await?;
    if head.status != 101 {
        return Err(io::Error::other("refused"));
    }
    let (mut said, mut echoed) = (0, 0);
    loop {
        if dice(|dice| dice.chance(10)) {
            let mut frame = bytes::BytesMut::new();
            mask_frame(&mut frame, Opcode::Text, format!("echo {said}").as_bytes());
            connection.send(&frame).await?;
            said += 1;
        }
        let (header, payload) = connection.frame().await?;
        match header.opcode {
            Some(Opcode::Text) => match payload.strip_prefix(b"echo ") {
                Some(number) => {
                    assert_eq!(number, echoed.to_string().as_bytes(), "echoes are in order");
                    echoed += 1;
                }
                None => record.take(&payload),
            },
            Some(Opcode::Close) => return Err(io::Error::other("closed")),
            Some(Opcode::Ping) => {
                let mut frame = bytes::BytesMut::new();
                mask_frame(&mut frame, Opcode::Pong, &payload);
                connection.send(&frame).await?;
            }
            opcode => panic!("a frame of {opcode:?}"),
        }
    }
}
