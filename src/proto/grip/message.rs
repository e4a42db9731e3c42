//! A message of ZeroMQ: one published item, as JSON after the byte `J`, or as a tagged netstring with or without a
//! `T` before it (Pushpin's PULL and SUB sockets). `zeromq` calls this for each message. A channel in a part of its
//! own overrides the item's channel.

use super::json::{self, FieldError, Json};
use super::publication::Publication;
use super::publish;
use crate::proto::tnetstring::{self, Malformed};

/// Why a message is not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The bytes after `J` are not JSON.
    #[error("it is not valid JSON")]
    NotJson,
    /// The message is neither JSON nor a tagged netstring.
    #[error(transparent)]
    Tnetstring(#[from] Malformed),
    /// The item is invalid.
    #[error("{0}")]
    Item(#[from] FieldError),
    /// The message has the wrong number of parts.
    #[error("it has {0} parts")]
    Parts(usize),
    /// The part with the channel is not UTF-8.
    #[error("its channel is not UTF-8")]
    Channel,
}

/// Reads a message; `channel` overrides the item's own.
///
/// # Errors
/// Why the message is not published.
pub fn parse(message: &[u8], channel: Option<&str>) -> Result<Publication, MessageError> {
    let json = match message.split_first() {
        Some((b'J', json)) => json::read(json).map_err(|_| MessageError::NotJson)?,
        Some((b'T', rest)) => Json::from(tnetstring::decode(rest)?),
        _ => Json::from(tnetstring::decode(message)?),
    };
    Ok(publish::publication(&json, channel)?)
}

#[cfg(test)]
mod tests {
    use super::super::formats::{ResponseBody, ResponseFormat, SocketFormat};
    use super::*;
    use crate::proto::tnetstring::Value;
    use crate::proto::websocket::Opcode;
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn tnetstring(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    fn error(message: &[u8]) -> String {
        parse(message, None).unwrap_err().to_string()
    }

    #[test]
    fn the_three_forms_say_the_same() {
        let json = br#"J{"channel":"c","id":"1","http-stream":{"content":"x"}}"#;
        let stream = Value::map([("content", Value::text("x"))]);
        let item =
            Value::map([("channel", Value::text("c")), ("id", Value::text("1")), ("http-stream", stream)]);
        let bare = tnetstring(&item);
        let tagged = [b"T", &bare[..]].concat();
        for message in [&json[..], &bare, &tagged] {
            let publication = parse(message, None).unwrap();
            assert_eq!((&*publication.channel, publication.id.as_deref()), ("c", Some("1")));
            assert_eq!(publication.stream_content().map(|content| &content[..]), Some(&b"x"[..]));
            assert_eq!(&*parse(message, Some("d")).unwrap().channel, "d");
        }
    }

    #[test]
    fn tnetstrings_carry_bytes_as_they_are() {
        let bytes = || Value::Bytes(Cow::Borrowed(b"\xff\x00"));
        let item = Value::map([
            ("channel", Value::text("c")),
            ("http-response", Value::map([("code", Value::Integer(201)), ("body", bytes())])),
            ("http-stream", Value::map([("content", bytes())])),
            ("ws-message", Value::map([("content-bin", bytes())])),
        ]);
        let publication = parse(&tnetstring(&item), None).unwrap();
        assert_eq!(publication.stream_content().map(|content| &content[..]), Some(&b"\xff\x00"[..]));
        let Some(ResponseFormat::Send(response)) = &publication.response else { panic!("a response") };
        assert!(matches!(&response.body, ResponseBody::Whole(body) if body[..] == *b"\xff\x00"));
        assert_eq!(response.code, 201);
        let Some(SocketFormat::Message { opcode: Opcode::Binary, content }) = &publication.socket else {
            panic!("a binary message")
        };
        assert_eq!(&content[..], b"\xff\x00");
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(error(b""), "it is not a tagged netstring");
        assert_eq!(error(b"{}"), "it is not a tagged netstring");
        assert_eq!(error(b"J{"), "it is not valid JSON");
        assert_eq!(error(b"J[]"), "publish item object is not an object");
        assert_eq!(error(b"T0:}"), "publish item object does not contain 'channel'");
        assert_eq!(error(b"14:7:channel,1:c,}"), "no formats specified");
        assert_eq!(error(b"14:7:channel,1:1#}"), "publish item object contains 'channel' with wrong type");
        let content = Value::map([("content", Value::Bytes(Cow::Borrowed(b"\xff")))]);
        let text = Value::map([("channel", Value::text("c")), ("ws-message", content)]);
        assert_eq!(error(&tnetstring(&text)), "'ws-message' contains 'content' with invalid value");
    }

    proptest! {
        #[test]
        fn any_message_is_read_without_panic(message in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&message, None);
        }
    }
}
