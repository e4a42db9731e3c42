//! What must hold for anything a client sends on a WebSocket, and for any list of events.

use bytes::{Bytes, BytesMut};
use gripwire::proto::grip::WebSocketEvent;
use gripwire::proto::websocket::{Decoder, Event};

/// Frames: however they are cut, the same comes out, or the same error.
pub fn check_frames(input: &[u8]) {
    let whole = decoded(input, input.len().max(1));
    for piece in [1, 2, 7] {
        assert_eq!(decoded(input, piece), whole, "in pieces of {piece}");
    }
}

/// Events: what was read is written so that it reads the same.
pub fn check_events(input: &[u8]) {
    let Ok(events) = WebSocketEvent::decode_all(Bytes::copy_from_slice(input)) else { return };
    let mut body = BytesMut::new();
    events.iter().for_each(|event| event.encode(&mut body));
    assert_eq!(WebSocketEvent::decode_all(body.freeze()), Ok(events));
}

/// What came out, messages joined, and how it ended.
fn decoded(input: &[u8], piece: usize) -> (Vec<String>, Option<String>) {
    let (mut decoder, mut carry) = (Decoder::new(1000), Vec::new());
    let (mut out, mut message) = (Vec::new(), Vec::new());
    for part in input.chunks(piece) {
        carry.extend_from_slice(part);
        loop {
            let step = match decoder.decode(&mut carry) {
                Ok(step) => step,
                Err(error) => return (out, Some(error.to_string())),
            };
            let used = step.used;
            match step.event {
                Some(Event::Data { kind, bytes, ends }) => {
                    message.extend_from_slice(bytes);
                    if ends {
                        out.push(format!("{kind:?} {:?}", std::mem::take(&mut message)));
                    }
                }
                Some(event) => out.push(format!("{event:?}")),
                None if used == 0 => break,
                None => {}
            }
            carry.drain(..used);
        }
    }
    (out, None)
}
