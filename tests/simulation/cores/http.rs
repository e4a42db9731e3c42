//! HTTP as clients, publishers and applications of a simulation speak it: bytes that are cut anywhere on their way out,
//! and heads and bodies on their way in.

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use gripwire::proto::websocket::FrameHeader;
use gripwire::runtime;
use gripwire::simulation::{self, Random, Stream, current};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// One end of a connection, and what has arrived there and was not taken.
pub struct Connection {
    pub stream: Stream,
    input: Vec<u8>,
}

/// The head of a request or of an answer.
#[derive(Debug)]
pub struct Head {
    /// The first line.
    pub line: String,
    pub headers: Vec<(String, String)>,
    /// Of an answer; 0 of a request.
    pub status: u16,
}

/// A random choice.
pub fn dice<T>(throw: impl FnOnce(&mut Random) -> T) -> T {
    current().expect("a simulation").dice(throw)
}

/// How long the world has gone on.
pub fn elapsed() -> Duration {
    current().expect("a simulation").elapsed()
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl Connection {
    pub fn new(stream: Stream) -> Connection {
        Connection { stream, input: Vec::new() }
    }

    pub async fn open(address: SocketAddr) -> io::Result<Connection> {
        simulation::connect(address).await.map(Connection::new)
    }

    /// Sends `bytes`, mostly in one piece.
    pub async fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let is_cut = dice(|dice| dice.chance(20));
            let length = if is_cut { 1 + dice(|dice| dice.below(bytes.len())) } else { bytes.len() };
            let (piece, rest) = bytes.split_at(length);
            self.stream.write_all(piece).await?;
            bytes = rest;
            if !bytes.is_empty() {
                runtime::sleep(Duration::from_micros(dice(|dice| dice.within(1..20_000)))).await;
            }
        }
        Ok(())
    }

    /// Waits for more; an error at the end.
    async fn more(&mut self) -> io::Result<()> {
        let mut part = [0; 4096];
        let room = if dice(|dice| dice.chance(10)) { 1 + dice(|dice| dice.below(50)) } else { part.len() };
        match self.stream.read(&mut part[..room]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.input.extend_from_slice(&part[..count]);
                Ok(())
            }
        }
    }

    /// The next `count` bytes.
    pub async fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.input.len() < count {
            self.more().await?;
        }
        Ok(self.input.drain(..count).collect())
    }

    /// The next line, without its end.
    pub async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.input.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.more().await?;
        }
    }

    pub async fn head(&mut self) -> io::Result<Head> {
        let line = self.line().await?;
        let mut headers = Vec::new();
        loop {
            let field = self.line().await?;
            if field.is_empty() {
                break;
            }
            let (name, value) = field.split_once(':').expect("a field");
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        Ok(Head { line, headers, status: status.unwrap_or_default() })
    }

    /// The next chunk; empty at the end of the body.
    pub async fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let size = self.line().await?;
        let size =
            usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("the size of a chunk is {size:?}"));
        let content = self.take(size).await?;
        let end = self.line().await?;
        assert!(end.is_empty(), "a chunk ends with {end:?}");
        Ok(content)
    }

    /// The body that follows `head`.
    pub async fn body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        if head.header("Transfer-Encoding").is_some() {
            let mut body = Vec::new();
            loop {
                let chunk = self.chunk().await?;
                if chunk.is_empty() {
                    return Ok(body);
                }
                body.extend(chunk);
            }
        }
        let length = head.header("Content-Length").and_then(|length| length.parse().ok());
        self.take(length.unwrap_or(0)).await
    }

    /// The next frame of a WebSocket, which is whole.
    pub async fn frame(&mut self) -> io::Result<(FrameHeader, Vec<u8>)> {
        loop {
            if let Some((header, used)) = FrameHeader::read(&self.input) {
                self.take(used).await?;
                let payload = self.take(header.length as usize).await?;
                return Ok((header, payload));
            }
            self.more().await?;
        }
    }
}
