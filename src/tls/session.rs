//! One client's TLS as a plain value: received bytes in; what they say, and what is to be sent because of them, out. It is
//! rustls without its buffers: an idle session keeps keys and nothing else, as what it decrypts is in the memory that the
//! bytes came in, and only the beginning of a record is kept until the rest has come.

use rustls::Error;
use rustls::ServerConfig;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use std::sync::Arc;

/// A message of the handshake may have 64 KiB (as rustls allows where it keeps it itself), and a record follow it.
const PARTIAL_BYTES: usize = 84 * 1024;

/// TLS with one client.
pub struct Session {
    connection: UnbufferedServerConnection,
    /// What was received and is not whole: of a record, or of a message of the handshake. rustls knows places in it.
    partial: Vec<u8>,
    /// The client has sent something.
    has_begun: bool,
    is_broken: bool,
    /// Its end is not to be told.
    is_torn: bool,
}

/// What came of received bytes.
#[derive(Default)]
pub struct Heard {
    /// What the client said.
    pub plain: Vec<u8>,
    /// What must be sent to it.
    pub reply: Vec<u8>,
    /// It will say nothing more.
    pub ended: bool,
}

/// A session that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The client broke the rules of TLS, agrees to nothing that is offered, or refuses the certificate.
    #[error(transparent)]
    Tls(#[from] Error),
    /// What is not whole is too long.
    #[error("a message of the handshake is too long")]
    TooLong,
    /// Nothing can be sent before the handshake, or any more.
    #[error("nothing can be sent now")]
    Closed,
}

impl Session {
    /// With a client that has sent nothing yet.
    pub fn new(config: Arc<ServerConfig>) -> Result<Session, SessionError> {
        let connection = UnbufferedServerConnection::new(config)?;
        Ok(Session { connection, partial: Vec::new(), has_begun: false, is_broken: false, is_torn: false })
    }

    /// The client has sent `bytes`, which are overwritten. What is to be sent is in `heard` after an error too: an alert.
    pub fn receive(&mut self, bytes: &mut [u8], heard: &mut Heard) -> Result<(), SessionError> {
        if self.is_broken {
            return Err(SessionError::Closed);
        }
        self.has_begun |= !bytes.is_empty();
        let outcome = match self.partial.is_empty() {
            true => {
                let outcome = process(&mut self.connection, bytes, heard);
                self.partial.extend_from_slice(bytes.get(outcome.used..).unwrap_or_default());
                outcome
            }
            false => {
                self.partial.extend_from_slice(bytes);
                let outcome = process(&mut self.connection, &mut self.partial, heard);
                self.partial.drain(..outcome.used.min(self.partial.len()));
                outcome
            }
        };
        if self.partial.is_empty() {
            self.partial = Vec::new();
        }
        let result = match outcome.error {
            Some(error) => Err(error.into()),
            None if self.partial.len() > PARTIAL_BYTES => Err(SessionError::TooLong),
            None => Ok(()),
        };
        self.is_broken |= result.is_err();
        result
    }

    /// Appends `data` to `sealed` as the client is to be sent it. What is sealed must be sent, in this order.
    pub fn seal(&mut self, data: &[u8], sealed: &mut Vec<u8>) -> Result<(), SessionError> {
        self.write(sealed, |traffic, room| traffic.encrypt(data, room))
    }

    /// Appends the alert that nothing more will be sent; nothing if that was said, or cannot be.
    pub fn close(&mut self, sealed: &mut Vec<u8>) {
        if !self.is_torn {
            let _ = self.write(sealed, |traffic, room| traffic.queue_close_notify(room));
        }
    }

    /// The client is not to take the end of its connection for that of what it was sent.
    pub fn tear(&mut self) {
        self.is_torn = true;
    }

    /// Bytes that are kept of a record or a message that is not whole.
    pub fn partial_bytes(&self) -> usize {
        self.partial.capacity()
    }

    /// Whether the handshake is not done.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the client broke its rules, or began a handshake that is not done.
    pub fn has_failed(&self) -> bool {
        self.is_broken || self.has_begun && self.is_handshaking()
    }

    fn write(
        &mut self,
        sealed: &mut Vec<u8>,
        mut write: impl FnMut(
            &mut WriteTraffic<'_, ServerConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> Result<(), SessionError> {
        if self.is_broken {
            return Err(SessionError::Closed);
        }
        loop {
            // With what is kept, as rustls knows places in it; there is nothing in it to go on with.
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut self.partial);
            match state? {
                ConnectionState::EncodeTlsData(data) => encode(data, sealed),
                ConnectionState::TransmitTlsData(sent) => sent.done(),
                ConnectionState::PeerClosed => {}
                ConnectionState::WriteTraffic(mut traffic) => {
                    let written = fill(sealed, |room| match write(&mut traffic, room) {
                        Err(EncryptError::InsufficientSize(more)) => Err(Some(more)),
                        Err(EncryptError::EncryptExhausted) => Err(None),
                        Ok(written) => Ok(written),
                    });
                    return written.ok_or(SessionError::Closed);
                }
                _ => return Err(SessionError::Closed),
            }
        }
    }
}

struct Outcome {
    /// Bytes that are done with.
    used: usize,
    error: Option<Error>,
}

/// Takes what is whole in `input`.
fn process(connection: &mut UnbufferedServerConnection, input: &mut [u8], heard: &mut Heard) -> Outcome {
    let mut used = 0;
    loop {
        let rest = input.get_mut(used..).unwrap_or_default();
        let UnbufferedStatus { mut discard, state } = connection.process_tls_records(rest);
        let goes_on = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(Ok(record)) = traffic.next_record() {
                    heard.plain.extend_from_slice(record.payload);
                    discard += record.discard;
                }
                true
            }
            Ok(ConnectionState::EncodeTlsData(data)) => {
                encode(data, &mut heard.reply);
                true
            }
            Ok(ConnectionState::TransmitTlsData(sent)) => {
                sent.done();
                true
            }
            Ok(ConnectionState::PeerClosed) => {
                heard.ended = true;
                true
            }
            Ok(_) => false,
            Err(error) => {
                used += discard;
                take_alerts(connection, input.get_mut(used..).unwrap_or_default(), heard);
                return Outcome { used, error: Some(error) };
            }
        };
        used += discard;
        if !goes_on {
            return Outcome { used, error: None };
        }
    }
}

/// What a session that has failed still has to say. It must not be made to look at `rest` again, so it is asked no more
/// often than it has something.
fn take_alerts(connection: &mut UnbufferedServerConnection, rest: &mut [u8], heard: &mut Heard) {
    while connection.wants_write() {
        match connection.process_tls_records(rest).state {
            Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut heard.reply),
            _ => return,
        }
    }
}

fn encode(mut data: EncodeTlsData<'_, ServerConnectionData>, out: &mut Vec<u8>) {
    let _ = fill(out, |room| match data.encode(room) {
        Err(EncodeError::InsufficientSize(more)) => Err(Some(more)),
        Err(EncodeError::AlreadyEncoded) => Err(None),
        Ok(written) => Ok(written),
    });
}

/// Appends what `write` writes, which says when it needs more room; `None` if it cannot.
fn fill(
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> Option<()> {
    let start = out.len();
    loop {
        let outcome = write(out.get_mut(start..).unwrap_or_default());
        match outcome {
            Ok(written) => {
                out.truncate(start + written);
                return Some(());
            }
            Err(Some(InsufficientSizeError { required_size })) if out.len() - start < required_size => {
                out.resize(start + required_size, 0);
            }
            Err(_) => {
                out.truncate(start);
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
