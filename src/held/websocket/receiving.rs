//! Decodes what a client sends.

use super::incoming::Incoming;
use super::socket::Socket;
use crate::held::Holds;
use crate::proto::grip::WebSocketEvent;
use crate::proto::websocket::ProtocolError;

impl Socket {
    /// Decodes `bytes` and the bytes that arrived before, and gives each complete event to `take`, until `take` returns
    /// false. Messages may have up to `message_bytes`.
    ///
    /// # Errors
    /// If the client has broken the protocol.
    pub(super) fn decode(
        &self,
        holds: &Holds,
        bytes: &[u8],
        message_bytes: usize,
        mut take: impl FnMut(WebSocketEvent) -> bool,
    ) -> Result<(), ProtocolError> {
        let incoming = self.busy().incoming.take();
        let mut incoming = incoming.unwrap_or_else(|| {
            Incoming::new(message_bytes, self.compression().is_some(), holds.context.now())
        });
        if bytes.is_empty() {
            // The client was paused, so its message is not late.
            incoming.begun = holds.context.now();
        }
        incoming.carry.extend_from_slice(bytes);
        let mut wants_more = true;
        while wants_more && let Some((event, used)) = incoming.next(|| holds.room_to_inflate())? {
            let _ = incoming.carry.split_to(used);
            if matches!(event, Some(WebSocketEvent::Text(_) | WebSocketEvent::Binary(_))) {
                incoming.begun = holds.context.now();
            }
            wants_more = event.is_none_or(&mut take);
        }
        if !incoming.is_idle() {
            self.busy().incoming = Some(incoming);
        }
        self.settle();
        Ok(())
    }
}
