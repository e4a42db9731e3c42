//! Posts one message to a Unix socket that serves the calls of the control port, for `gripwire publish`. The connection
//! carries one request and one answer, and the server closes it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::outcome::{Outcome, PostError};
use super::post::{ANSWER_BYTES, PATIENCE};
use super::receipt;

/// Posts `body` as JSON. With `wait`, asks for a receipt and waits that long for it.
///
/// # Errors
/// The server cannot be reached, refused the message, or gave no receipt.
pub fn post(path: &Path, body: &[u8], wait: Option<Duration>) -> Result<Outcome, PostError> {
    let to = format!("unix://{}", path.display());
    let target = format!("/publish/{}", wait.map(receipt::query).unwrap_or_default());
    let answer = call(path, &target, body, PATIENCE + wait.unwrap_or_default());
    match answer.map_err(|source| PostError::Unsent { to: to.clone(), source })? {
        (200..=299, body) => Outcome::of_answer(to, &body, wait.is_some()),
        (403, body) => Err(PostError::NotAllowed { to, body }),
        (status, body) => Err(PostError::Refused { to, status, body }),
    }
}

/// Posts `body` as JSON to `target`, and returns the status and the body of the answer.
///
/// # Errors
/// The server cannot be reached, or does not answer within `patience`.
pub fn call(path: &Path, target: &str, body: &[u8], patience: Duration) -> io::Result<(u16, String)> {
    let answer = exchange(path, target, body, patience)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    Ok((status, body.to_owned()))
}

fn exchange(path: &Path, target: &str, body: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
    let mut socket = UnixStream::connect(path)?;
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    // A server that refuses the client may close before it has read the request. Its answer can still be read.
    let written = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body));
    let mut answer = Vec::new();
    let read = socket.take(ANSWER_BYTES).read_to_end(&mut answer);
    match answer.is_empty() {
        false => Ok(answer),
        true => written.and(read.map(drop)).and(Err(io::ErrorKind::UnexpectedEof.into())),
    }
}
