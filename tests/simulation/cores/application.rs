//! The application of a simulation: holds what it is asked to hold, at its own pace, and at times fails.

use super::http::{Connection, Head, dice};
use gripwire::runtime;
use gripwire::simulation;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where it listens.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);
/// The routes that lead to it.
pub const ROUTES: &str = "*,path_beg=/socket/ 127.0.0.1:8000,over_http\n* 127.0.0.1:8000\n";

/// How it answers one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Answers,
    Fails,
    Closes,
    Stalls,
    /// Says half of an answer, and closes.
    Breaks,
}

/// Starts it.
pub fn start() {
    let listener = simulation::listen(ADDRESS);
    runtime::spawn(async move {
        loop {
            let stream = listener.accept().await;
            runtime::spawn(async move {
                // The server may close the connection whenever it likes.
                let _ = serve(Connection::new(stream)).await;
            })
            .detach();
        }
    })
    .detach();
}

async fn serve(mut connection: Connection) -> io::Result<()> {
    loop {
        let head = connection.head().await?;
        let body = connection.body(&head).await?;
        let path = head.line.split(' ').nth(1).expect("a target").to_owned();
        let mood = mood_for(&path);
        if dice(|dice| dice.chance(60)) {
            let delay = if dice(|dice| dice.chance(10)) { 1..3_000_000 } else { 1..30_000 };
            runtime::sleep(Duration::from_micros(dice(|dice| dice.within(delay)))).await;
        }
        match mood {
            Mood::Answers => connection.send(&answer(&path, &head, &body)).await?,
            Mood::Fails => {
                connection.send(b"HTTP/1.1 500 Sorry\r\nContent-Length: 5\r\n\r\nsorry").await?;
            }
            Mood::Closes => return Ok(()),
            Mood::Stalls => runtime::sleep(Duration::from_secs(20)).await,
            Mood::Breaks => {
                let answer = answer(&path, &head, &body);
                return connection.send(&answer[..answer.len() / 2]).await;
            }
        }
    }
}

/// Whoever asks for what is steady is answered always.
fn mood_for(path: &str) -> Mood {
    if path.ends_with("?steady") || dice(|dice| dice.chance(85)) {
        return Mood::Answers;
    }
    dice(|dice| *dice.pick(&[Mood::Fails, Mood::Closes, Mood::Stalls, Mood::Breaks]))
}

fn answer(path: &str, head: &Head, body: &[u8]) -> Vec<u8> {
    let path = path.split('?').next().unwrap_or(path);
    let Some((kind, channel)) = path.trim_start_matches('/').split_once('/') else {
        return with_body("", b"hello");
    };
    match kind {
        "stream" => with_body(&format!("Grip-Hold: stream\r\nGrip-Channel: {channel}\r\n"), b"welcome;"),
        "poll" => with_body(
            &format!("Grip-Hold: response\r\nGrip-Channel: {channel}\r\nGrip-Timeout: 5\r\n"),
            b"timeout;",
        ),
        "socket" => {
            assert_eq!(head.header("Content-Type"), Some("application/websocket-events"));
            with_body(
                "Content-Type: application/websocket-events\r\nSec-WebSocket-Extensions: grip\r\n",
                &events(channel, body),
            )
        }
        _ => panic!("the application is asked for {path}"),
    }
}

/// What it says to the events of a WebSocket: accepts, subscribes, and echoes.
fn events(channel: &str, body: &[u8]) -> Vec<u8> {
    let events = std::str::from_utf8(body).expect("events are texts here");
    let mut answer = String::new();
    let mut rest = events;
    while let Some((line, after)) = rest.split_once("\r\n") {
        rest = after;
        let (kind, length) = line.split_once(' ').map_or((line, None), |(kind, length)| (kind, Some(length)));
        let length = length.map(|length| usize::from_str_radix(length, 16).expect("a length"));
        let content = length.map(|length| &rest[..length]);
        rest = length.map_or(rest, |length| &rest[length + 2..]);
        match (kind, content) {
            ("OPEN", _) => {
                let subscribe = format!(r#"c:{{"type":"subscribe","channel":"{channel}"}}"#);
                answer += &format!("OPEN\r\nTEXT {:X}\r\n{subscribe}\r\n", subscribe.len());
            }
            ("TEXT", Some(content)) => answer += &format!("TEXT {:X}\r\nm:{content}\r\n", content.len() + 2),
            ("CLOSE", _) => answer += "CLOSE\r\n",
            ("DISCONNECT", _) => answer += "DISCONNECT\r\n",
            _ => panic!("the application is told {line}"),
        }
    }
    answer.into_bytes()
}

fn with_body(headers: &str, body: &[u8]) -> Vec<u8> {
    let is_chunked = dice(|dice| dice.chance(30));
    let mut answer = format!("HTTP/1.1 200 OK\r\n{headers}").into_bytes();
    match is_chunked {
        true => {
            answer.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for part in body.chunks(7) {
                answer.extend(format!("{:x}\r\n", part.len()).as_bytes());
                answer.extend(part);
                answer.extend(b"\r\n");
            }
            answer.extend(b"0\r\n\r\n");
        }
        false => {
            answer.extend(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            answer.extend(body);
        }
    }
    answer
}
