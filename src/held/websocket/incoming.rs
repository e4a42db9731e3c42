//! What a client is sending: a decoder and the message that is arriving. It exists only from the first byte of a frame to
//! the end of its message.

use crate::proto::grip::WebSocketEvent;
use crate::proto::websocket::{Decoder, FrameEvent, Kind, ProtocolError, inflate};
use bytes::{Bytes, BytesMut};

/// Bytes of a client that are not an event yet.
pub(super) struct Incoming {
    decoder: Decoder,
    message_bytes: usize,
    /// Tick of the first byte of what is not whole.
    pub begun: u32,
    /// Received, and not yet a whole frame or part of one.
    pub carry: BytesMut,
    /// The message whose frames are arriving.
    message: BytesMut,
}

impl Incoming {
    /// From the tick `now` on.
    pub fn new(message_bytes: usize, compression: bool, now: u32) -> Incoming {
        let decoder = Decoder::new(message_bytes as u64, compression);
        Incoming { decoder, message_bytes, begun: now, carry: BytesMut::new(), message: BytesMut::new() }
    }

    /// Bytes that it keeps.
    pub fn bytes(&self) -> usize {
        self.carry.capacity() + self.message.capacity()
    }

    /// Whether nothing is lost without it.
    pub fn is_idle(&self) -> bool {
        self.carry.is_empty() && self.decoder.is_between_messages()
    }

    /// What comes next, if it is whole, and the bytes that are done with; `None` when more must arrive.
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

    /// The message that has arrived.
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
