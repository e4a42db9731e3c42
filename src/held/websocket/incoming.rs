//! The message that a client is sending, and its decoder. It exists only from the first byte of a frame to the end of
//! its message.

use crate::proto::grip::WebSocketEvent;
use crate::proto::websocket::{Decoder, FrameEvent, Kind, ProtocolError, inflate};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// Received bytes of a client that are no complete event yet.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Incoming {
    decoder: Decoder,
    message_bytes: usize,
    /// The tick at which the first byte of the incomplete message came.
    pub begun: u32,
    /// Received bytes that were not decoded yet.
    pub carry: BytesMut,
    /// The message whose frames are arriving.
    message: BytesMut,
}

impl Incoming {
    /// Begins at the tick `now`.
    pub fn new(message_bytes: usize, compression: bool, now: u32) -> Incoming {
        let decoder = Decoder::new(message_bytes as u64, compression);
        Incoming { decoder, message_bytes, begun: now, carry: BytesMut::new(), message: BytesMut::new() }
    }

    /// Bytes that are kept here.
    pub fn bytes(&self) -> usize {
        self.carry.capacity() + self.message.capacity()
    }

    /// Whether this value can be dropped without losing anything.
    pub fn is_idle(&self) -> bool {
        self.carry.is_empty() && self.decoder.is_between_messages()
    }

    /// The next event, if one is complete, and the number of bytes that were used up; `None` if more bytes must arrive.
    ///
    /// # Errors
    /// If the client has broken the protocol.
    pub fn next(
        &mut self,
        room: impl Fn() -> usize,
    ) -> Result<Option<(Option<WebSocketEvent>, usize)>, ProtocolError> {
        let decoded = self.decoder.decode(&mut self.carry)?;
        let used = decoded.used;
        let event = match decoded.event {
            None if used == 0 => return Ok(None),
            None => None,
            Some(FrameEvent::Data { kind, bytes, ends, is_compressed }) => {
                self.message.extend_from_slice(bytes);
                match ends {
                    true => Some(self.message(kind, is_compressed, room)?),
                    false => None,
                }
            }
            Some(FrameEvent::Ping(content)) => Some(WebSocketEvent::Ping(Bytes::copy_from_slice(content))),
            Some(FrameEvent::Pong(content)) => Some(WebSocketEvent::Pong(Bytes::copy_from_slice(content))),
            Some(FrameEvent::Close(close)) => Some(WebSocketEvent::Close(close)),
        };
        Ok(Some((event, used)))
    }

    /// The complete message.
    fn message(
        &mut self,
        kind: Kind,
        is_compressed: bool,
        room: impl Fn() -> usize,
    ) -> Result<WebSocketEvent, ProtocolError> {
        let mut content = self.message.split().freeze();
        if is_compressed {
            content = inflate(&content, self.message_bytes.min(room()))?;
            if kind == Kind::Text && std::str::from_utf8(&content).is_err() {
                return Err(ProtocolError::NotUtf8);
            }
        }
        Ok(match kind {
            Kind::Text => WebSocketEvent::Text(content),
            Kind::Binary => WebSocketEvent::Binary(content),
        })
    }
}
