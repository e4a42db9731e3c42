//! Encodes frames for clients: whole frames without a mask.

use super::close::Close;
use super::header::{FrameHeader, Opcode, RSV1};
use bytes::{Bytes, BytesMut};

/// Appends a frame that is a whole message, or a part of one.
pub fn encode_frame(out: &mut BytesMut, opcode: Opcode, fin: bool, payload: &[u8]) {
    out.reserve(payload.len() + 10);
    FrameHeader::write(out, opcode, fin, payload.len() as u64);
    out.extend_from_slice(payload);
}

/// A frame that is a whole message.
pub fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    encode_frame(&mut out, opcode, true, payload);
    out.freeze()
}

/// Appends a client's frame that is a whole message. Its mask is all zeros. This is only for connections within one
/// process, because no intermediary between the ends can be misled by the unmasked content.
pub fn mask_frame(out: &mut BytesMut, opcode: Opcode, payload: &[u8]) {
    let start = out.len();
    FrameHeader::write(out, opcode, true, payload.len() as u64);
    if let Some(second) = out.get_mut(start + 1) {
        *second |= 0x80;
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// A frame that is a whole message, compressed (RFC 7692 section 7.2.1).
pub fn compressed_frame(opcode: Opcode, deflated: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(deflated.len() + FrameHeader::LONGEST);
    FrameHeader::write_reserved(&mut out, RSV1, opcode, true, deflated.len() as u64);
    out.extend_from_slice(deflated);
    out.freeze()
}

/// A close frame; `None` is a close without a code.
pub fn close_frame(close: Option<&Close>) -> Bytes {
    frame(Opcode::Close, &close.map(Close::payload).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_of_the_rfc() {
        assert_eq!(&frame(Opcode::Text, b"Hello")[..], b"\x81\x05Hello");
        assert_eq!(&frame(Opcode::Ping, b"Hello")[..], b"\x89\x05Hello");
        assert_eq!(&compressed_frame(Opcode::Text, b"\xf2\0")[..], b"\xc1\x02\xf2\0");
        assert_eq!(&close_frame(None)[..], b"\x88\x00");
        assert_eq!(&close_frame(Some(&Close::with(1000)))[..], b"\x88\x02\x03\xe8");
        let mut out = BytesMut::new();
        mask_frame(&mut out, Opcode::Text, b"Hello");
        assert_eq!(&out[..], b"\x81\x85\0\0\0\0Hello");
        let mut out = BytesMut::new();
        encode_frame(&mut out, Opcode::Text, false, b"Hel");
        encode_frame(&mut out, Opcode::Continuation, true, b"lo");
        assert_eq!(&out[..], b"\x01\x03Hel\x80\x02lo");
    }
}
