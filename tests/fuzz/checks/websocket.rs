//! What must hold for anything a client sends on a WebSocket, and for any list of events.

use bytes::{Bytes, BytesMut};
use gripwire::proto::grip::WebSocketEvent;
use gripwire::proto::websocket::{Decoder, FrameEvent, Relay, Relayed, inflate};

/// Frames: however they are cut, the same comes out, or the same error. The first byte says which settings apply.
pub fn check_frames(input: &[u8]) {
    let Some((settings, input)) = input.split_first() else { return };
    let compression = settings & 1 != 0;
    let prefix = (settings & 2 != 0).then_some("m:");
    let whole = (decoded(input, input.len().max(1), compression), relayed(input, input.len().max(1), prefix));
    for piece in [1, 2, 7] {
        let cut = (decoded(input, piece, compression), relayed(input, piece, prefix));
        assert_eq!(cut, whole, "in pieces of {piece}");
    }
}

/// Events: what was read is written so that it reads the same.
pub fn check_events(input: &[u8]) {
    let Ok(events) = WebSocketEvent::decode_all(Bytes::copy_from_slice(input)) else { return };
    let mut body = BytesMut::new();
    events.iter().for_each(|event| event.encode(&mut body));
    assert_eq!(WebSocketEvent::decode_all(body.freeze()), Ok(events));
}

/// What a client gets of an application's frames, and this server.
fn relayed(input: &[u8], piece: usize, prefix: Option<&str>) -> (BytesMut, Vec<Bytes>, bool) {
    let (mut relay, mut out, mut controls) =
        (Relay::new(prefix.map(Into::into)), BytesMut::new(), Vec::new());
    for mut part in input.chunks(piece) {
        while !part.is_empty() {
            controls.extend(relay.pass(&mut part, &mut out, &mut Relayed::default()));
        }
    }
    (out, controls, relay.is_between_messages())
}

/// What came out, messages joined, and how it ended.
fn decoded(input: &[u8], piece: usize, compression: bool) -> (Vec<String>, Option<String>) {
    let (mut decoder, mut carry) = (Decoder::new(1000, compression), Vec::new());
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
                Some(FrameEvent::Data { kind, bytes, ends, is_compressed }) => {
                    message.extend_from_slice(bytes);
                    if ends {
                        let message = std::mem::take(&mut message);
                        let inflated = is_compressed.then(|| inflate(&message, 1000));
                        out.push(format!("{kind:?} {message:?} {inflated:?}"));
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
