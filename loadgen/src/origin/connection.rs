//! One connection of the origin. It answers all requests of one read at once.

use super::answer::{self, Request};
use crate::sys;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

pub(super) struct Connection {
    stream: TcpStream,
    /// Input that is not yet a complete request.
    partial: Vec<u8>,
    /// Answers that are not yet sent.
    unsent: Vec<u8>,
}

impl Connection {
    pub fn new(stream: TcpStream) -> Connection {
        Connection { stream, partial: Vec::new(), unsent: Vec::new() }
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Whether answers wait to be sent.
    pub fn is_behind(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Reads, answers and sends as much as possible now. An error ends the connection.
    pub fn advance(&mut self, input: &mut [u8]) -> io::Result<()> {
        self.flush()?;
        // Nothing is read while answers wait to be sent.
        if self.is_behind() {
            return Ok(());
        }
        match sys::receive(self.stream.as_fd(), input)? {
            None => return Ok(()),
            Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(length) => self.partial.extend_from_slice(&input[..length]),
        }
        let mut used = 0;
        while let Some(length) = self.answer_one(used)? {
            used += length;
        }
        self.partial.drain(..used);
        if self.partial.len() > REQUEST_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.flush()
    }

    /// Answers the request at `from`. Returns its length, if it is complete.
    fn answer_one(&mut self, from: usize) -> io::Result<Option<usize>> {
        let input = &self.partial[from..];
        let Some((request, length)) = read(input).ok_or(io::ErrorKind::InvalidData)? else { return Ok(None) };
        answer::write(&request, &mut self.unsent);
        Ok(Some(length))
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(sent) = (!self.unsent.is_empty()).then(|| sys::send(self.stream.as_fd(), &self.unsent))
        {
            match sent? {
                Some(sent) => drop(self.unsent.drain(..sent)),
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

/// The first request and its length, once it is complete. The outer `None` means that the input is not a request.
fn read(input: &[u8]) -> Option<Option<(Request<'_>, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let head = match request.parse(input).ok()? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Some(None),
    };
    let field = |name: &str| {
        let mut found = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        found.next().and_then(|field| std::str::from_utf8(field.value).ok())
    };
    if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return chunked(request.method?, request.path?, input, head);
    }
    let body: usize = field("content-length").map_or(Some(0), |length| length.trim().parse().ok())?;
    if input.len() < head + body {
        return Some(None);
    }
    let body = input[head..head + body].to_vec();
    let length = head + body.len();
    Some(Some((Request { method: request.method?, path: request.path?, body }, length)))
}

fn chunked<'a>(
    method: &'a str,
    path: &'a str,
    input: &'a [u8],
    head: usize,
) -> Option<Option<(Request<'a>, usize)>> {
    let (mut framing, mut body) = (crate::decode::body::Body::chunked(), input[head..].to_vec());
    let taken = framing.take(&mut body).ok()?;
    body.truncate(taken.body);
    Some(framing.ended().then_some((Request { method, path, body }, head + taken.used)))
}

/// Most bytes of a request; those of a GRIP proxy are smaller.
const REQUEST_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_found_wherever_the_input_is_cut() {
        let plain = &b"POST /socket?channel=a HTTP/1.1\r\nContent-Length: 6\r\n\r\nOPEN\r\n"[..];
        let chunked = &b"POST /socket?channel=a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nOPEN\r\n\r\n0\r\n\r\n"[..];
        for wire in [plain, chunked] {
            for cut in 0..wire.len() {
                assert!(matches!(read(&wire[..cut]), Some(None)), "{cut}");
            }
            let two = [wire, b"GET"].concat();
            let (request, length) = read(&two).unwrap().unwrap();
            assert_eq!((request.method, request.path), ("POST", "/socket?channel=a"));
            assert_eq!((&request.body[..], length), (&b"OPEN\r\n"[..], wire.len()));
        }
        assert!(read(b"nonsense\r\n\r\n").is_none());
    }
}
