//! TLS with one client as a plain value: received bytes go in; the client's data and the bytes to send in reply come
//! out. It uses rustls without rustls' buffers. Received bytes are decrypted in the memory they arrived in, and only
//! an incomplete record is kept until the rest of it has arrived, so an idle session keeps its keys and no buffer.

use rustls::Error;
use rustls::ServerConfig;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use std::hint::black_box;
use std::sync::Arc;

/// A handshake message may have 64 KiB (the limit of rustls' own buffers), and a record may follow it.
const PARTIAL_BYTES: usize = 84 * 1024;

/// A TLS session with one client.
pub struct Session {
    connection: UnbufferedServerConnection,
    /// Received bytes of an incomplete record or handshake message. rustls remembers offsets in it.
    partial: Vec<u8>,
    /// The client has sent something.
    has_begun: bool,
    is_broken: bool,
    /// No close_notify is to be sent.
    is_torn: bool,
}

/// The outcome of received bytes.
#[derive(Default)]
pub struct Heard {
    /// The data that the client sent, decrypted.
    pub plain: Vec<u8>,
    /// Bytes that must be sent to the client.
    pub reply: Vec<u8>,
    /// The client has sent close_notify: no data will follow.
    pub ended: bool,
}

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The client violated TLS, accepts nothing that is offered, or refuses the certificate.
    #[error(transparent)]
    Tls(#[from] Error),
    /// An incomplete handshake message or record is too long.
    #[error("a message of the TLS handshake is too long")]
    TooLong,
    /// The handshake is not complete, or the session has ended, so nothing can be sent.
    #[error("TLS cannot send: the handshake is not complete, or the session has ended")]
    Closed,
}

impl Session {
    /// Starts a session with a client that has sent nothing yet.
    ///
    /// # Errors
    /// If rustls refuses `config`.
    pub fn new(config: Arc<ServerConfig>) -> Result<Session, SessionError> {
        let connection = UnbufferedServerConnection::new(config)?;
        Ok(Session { connection, partial: Vec::new(), has_begun: false, is_broken: false, is_torn: false })
    }

    /// Takes `bytes` that the client has sent, and overwrites them. After an error too, `heard.reply` must be sent:
    /// it has the alert.
    ///
    /// # Errors
    /// If the client violates TLS, a handshake message is too long, or the session has failed before.
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

    /// Encrypts `data` and appends the result to `sealed`. All sealed bytes must be sent, in the order of sealing.
    ///
    /// # Errors
    /// If the handshake is not complete, or the session has ended.
    pub fn seal(&mut self, data: &[u8], sealed: &mut Vec<u8>) -> Result<(), SessionError> {
        self.write(sealed, |traffic, room| traffic.encrypt(data, room))
    }

    /// Appends a close_notify alert to `sealed`, unless it was sent before, must not be sent, or cannot be sent.
    pub fn close(&mut self, sealed: &mut Vec<u8>) {
        if !self.is_torn {
            let _ = self.write(sealed, |traffic, room| traffic.queue_close_notify(room));
        }
    }

    /// Prevents a close_notify, so that the client cannot mistake the end of the connection for the end of the data.
    pub fn tear(&mut self) {
        self.is_torn = true;
    }

    /// Reads some of the state that sealing will need, and does nothing with it.
    pub fn read_ahead(&self) {
        let connection = &self.connection;
        black_box((self.is_broken, connection.is_handshaking(), connection.wants_write()));
        black_box((connection.negotiated_cipher_suite().is_some(), connection.alpn_protocol().is_some()));
    }

    /// Bytes that are kept for an incomplete record or handshake message.
    pub fn partial_bytes(&self) -> usize {
        self.partial.capacity()
    }

    /// Whether the handshake is incomplete.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the client violated TLS, or began a handshake and has not completed it.
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
            // `partial` is passed because rustls remembers offsets in it. It has no complete record.
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
    /// Bytes of the input that are not needed any more.
    used: usize,
    error: Option<Error>,
}

/// Processes the complete records in `input`.
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

/// Collects the alerts of a session that has failed. It stops as soon as rustls has no more to send, because rustls
/// must not process `rest` again.
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

/// Appends the bytes that `write` produces, with more room if `write` asks for it; `None` if `write` fails.
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
