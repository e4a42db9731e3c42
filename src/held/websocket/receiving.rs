//! What a client sends, as it becomes whole.

use super::incoming::Incoming;
use super::socket::Socket;
use crate::held::Holds;
use crate::proto::grip::WebSocketEvent;
use crate::proto::websocket::ProtocolError;

impl Socket {
    /// Takes what the client sent out of `bytes` and what has arrived before, and gives it to `take` as it becomes whole,
    /// until that says it wants no more. Messages may have up to `message_bytes`.
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
            // The client was not read, which is not its fault.
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
