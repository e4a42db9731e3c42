//! A buffered byte source over a socket, and the pieces of HTTP/1 framing both ends of a case read with it.
//!
//! Client and origin share it so that there is one strict reader: every line ends with CRLF, every chunk has
//! its size and its CRLF, and every wait ends after [`patience`] with an error that says what was awaited.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::deadline::patience;
use crate::socket;

/// Bytes from a socket, with those read too early kept for later.
pub struct Source {
    socket: TcpStream,
    ahead: Vec<u8>,
}

/// Why no more bytes came.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed, or reset, the connection.
    Closed,
    /// Nothing came within the time allowed.
    Silence,
}

impl Source {
    /// The bytes that come from `socket`.
    pub fn new(socket: TcpStream) -> Source {
        Source { socket, ahead: Vec::new() }
    }

    /// Everything up to and including `end`.
    pub fn until(&mut self, end: &[u8]) -> Result<Vec<u8>, End> {
        let deadline = Instant::now() + patience();
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|window| window == end) {
                return Ok(self.ahead.drain(..at + end.len()).collect());
            }
            self.fill_before(deadline)?;
        }
    }

    /// One line, without its CRLF.
    pub fn line(&mut self) -> Result<String, End> {
        let mut line = self.until(b"\r\n")?;
        line.truncate(line.len() - 2);
        Ok(String::from_utf8(line).expect("a line of UTF-8"))
    }

    /// Exactly `count` bytes.
    pub fn exactly(&mut self, count: usize) -> Result<Vec<u8>, End> {
        let deadline = Instant::now() + patience();
        while self.ahead.len() < count {
            self.fill_before(deadline)?;
        }
        Ok(self.ahead.drain(..count).collect())
    }

    /// Whatever has come, at least one byte of it and at most `limit`.
    pub fn some(&mut self, limit: usize) -> Result<Vec<u8>, End> {
        self.await_bytes(patience())?;
        let count = self.ahead.len().min(limit);
        Ok(self.ahead.drain(..count).collect())
    }

    /// The next chunk of a chunked body; empty after the last, whose trailers are dropped.
    pub fn chunk(&mut self) -> Result<Vec<u8>, End> {
        let line = self.line()?;
        let digits = line.split(';').next().unwrap_or_default().trim_end();
        let size =
            usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("bad chunk size line {line:?}"));
        if size == 0 {
            while !self.line()?.is_empty() {}
            return Ok(Vec::new());
        }
        let data = self.exactly(size)?;
        assert_eq!(self.exactly(2)?, b"\r\n", "a chunk's data ends with CRLF");
        Ok(data)
    }

    /// Waits until there is a byte to read, or the end.
    pub fn await_bytes(&mut self, patience: Duration) -> Result<(), End> {
        if self.ahead.is_empty() { self.fill(patience) } else { Ok(()) }
    }

    fn fill_before(&mut self, deadline: Instant) -> Result<(), End> {
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => self.fill(left),
            _ => Err(End::Silence),
        }
    }

    fn fill(&mut self, patience: Duration) -> Result<(), End> {
        let mut block = [0; 64 * 1024];
        self.socket.set_read_timeout(Some(patience)).expect("a read timeout");
        let count =
            socket::uninterrupted(|| self.socket.read(&mut block)).map_err(|error| match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => End::Silence,
                _ => End::Closed,
            })?;
        self.ahead.extend_from_slice(&block[..count]);
        if count > 0 { Ok(()) } else { Err(End::Closed) }
    }
}
