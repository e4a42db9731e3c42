//! Reads WebSocket frames as a client (RFC 6455 section 5): complete data messages, pings to answer, and the close frame. A
//! message in fragments is assembled from the bytes that the caller carries over, so no other state is kept for it.

use super::{CARRY_BYTES, Malformed};

/// An event in a server's frames.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// A whole message.
    Message(&'a [u8]),
    /// A ping, which has to be answered with a pong with the same payload.
    Ping(&'a [u8]),
    /// The close frame.
    Closed,
}

/// Calls `arrival` for all complete messages and frames in `input`. Returns the number of bytes that were read.
///
/// # Errors
/// A frame is masked, oversized or of an unknown kind.
pub fn take(input: &[u8], arrival: &mut dyn FnMut(Arrival)) -> Result<usize, Malformed> {
    let (mut done, mut from) = (0, 0);
    let mut fragments: Vec<u8> = Vec::new();
    while let Some(frame) = read(&input[from..])? {
        let payload = &input[from + frame.head..from + frame.head + frame.payload];
        from += frame.head + frame.payload;
        match (frame.opcode, frame.last) {
            (CONTINUATION | TEXT | BINARY, false) => fragments.extend_from_slice(payload),
            (CONTINUATION, true) => {
                fragments.extend_from_slice(payload);
                arrival(Arrival::Message(&fragments));
                fragments.clear();
            }
            (TEXT | BINARY, true) => arrival(Arrival::Message(payload)),
            // A ping between fragments is reported again with each call until the message is complete. Further pongs are
            // harmless.
            (PING, true) => arrival(Arrival::Ping(payload)),
            (PONG, true) => {}
            (CLOSE, true) => arrival(Arrival::Closed),
            _ => return Err(Malformed::Frame),
        }
        if fragments.is_empty() {
            done = from;
        }
    }
    Ok(done)
}

/// A pong with a short payload, masked with zeros, so that masking does not change the payload.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(125)];
    let mut frame = vec![0x80 | PONG, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

struct Frame {
    opcode: u8,
    last: bool,
    head: usize,
    payload: usize,
}

/// The frame at the start of `input`; `None` until it is complete.
fn read(input: &[u8]) -> Result<Option<Frame>, Malformed> {
    let &[first, second, ref rest @ ..] = input else { return Ok(None) };
    if second & 0x80 != 0 || first & 0x70 != 0 {
        return Err(Malformed::Frame);
    }
    let (head, payload) = match (second, rest) {
        (126, &[a, b, ..]) => (4, usize::from(u16::from_be_bytes([a, b]))),
        (127, &[a, b, c, d, e, f, g, h, ..]) => {
            let length = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            (10, usize::try_from(length).map_err(|_| Malformed::Frame)?)
        }
        (126 | 127, _) => return Ok(None),
        (length, _) => (2, usize::from(length)),
    };
    if payload > CARRY_BYTES {
        return Err(Malformed::Endless);
    }
    let whole = input.len() - head >= payload;
    Ok(whole.then_some(Frame { opcode: first & 0x0f, last: first & 0x80 != 0, head, payload }))
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(length as u8),
            length @ 126..=65_535 => {
                frame.push(126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                frame.push(127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }

    fn decode(wire: &[u8], cut: usize) -> Result<(Vec<Vec<u8>>, usize), Malformed> {
        let mut messages = Vec::new();
        let mut each = |arrival: Arrival| {
            if let Arrival::Message(message) = arrival {
                messages.push(message.to_vec());
            }
        };
        let used = take(&wire[..cut], &mut each)?;
        let rest = take(&wire[used..], &mut each)?;
        Ok((messages, wire.len() - used - rest))
    }

    proptest! {
        #[test]
        fn messages_are_the_same_wherever_the_input_is_cut(
            lengths in prop::collection::vec(prop_oneof![0usize..10, 120usize..140], 1..4),
        ) {
            let (mut wire, mut expected) = (Vec::new(), Vec::new());
            for length in lengths {
                let message = vec![b'm'; length];
                wire.extend(frame(0x81, &message));
                wire.extend(frame(0x01, &message));
                wire.extend(frame(0x89, b"ping"));
                wire.extend(frame(0x80, b"end"));
                expected.push(message.clone());
                expected.push([&message[..], b"end"].concat());
            }
            for cut in 0..wire.len() {
                prop_assert_eq!(decode(&wire, cut), Ok((expected.clone(), 0)));
            }
        }
    }

    #[test]
    fn a_frame_with_the_longest_kind_of_length_is_read() {
        let message = vec![b'm'; 65_536];
        let wire = frame(0x82, &message);
        for cut in [0, 1, 2, 9, 10, 11, wire.len() - 1] {
            assert_eq!(decode(&wire, cut), Ok((vec![message.clone()], 0)), "{cut}");
        }
    }

    #[test]
    fn pings_are_answered_and_the_end_is_noticed() {
        let wire = [frame(0x89, b"a"), frame(0x8a, b""), frame(0x88, b"\x03\xe8")].concat();
        let mut heard = Vec::new();
        let used = take(&wire, &mut |arrival| heard.push(format!("{arrival:?}"))).unwrap();
        assert_eq!((used, heard), (wire.len(), vec!["Ping([97])".into(), "Closed".into()]));
        assert_eq!(pong(b"a"), b"\x8a\x81\0\0\0\0a");
    }

    #[test]
    fn frames_no_server_may_send_are_malformed() {
        for wire in [&[0x81, 0x81, 0, 0, 0, 0, b'a'][..], &[0xc1, 0], &[0x83, 0], &[0x09, 0]] {
            assert_eq!(take(wire, &mut |_| {}), Err(Malformed::Frame), "{wire:?}");
        }
        let endless = [0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(take(&endless, &mut |_| {}), Err(Malformed::Endless));
    }
}
