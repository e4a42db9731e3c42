//! Control messages, which an application sends within a WebSocket: text messages that begin with `c:`, followed by a
//! JSON object with a `type`. A control message that is invalid or has an unknown type is ignored; the WebSocket goes
//! on.

use super::json::{FieldError, Fields, read};
use super::keep_alive::KeepAliveMode;
use super::message_type;
use crate::proto::websocket::Opcode;
use bytes::Bytes;

/// A control message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ControlMessage {
    /// Subscribe to this channel.
    Subscribe {
        /// The channel's name, without any route prefix.
        channel: String,
        /// Filters, in order.
        filters: Vec<String>,
    },
    /// Unsubscribe from this channel.
    Unsubscribe {
        /// The channel's name.
        channel: String,
    },
    /// The application ends its part; the client still gets published items.
    Detach,
    /// Set or delete a variable.
    SetMeta {
        /// The variable's name.
        name: String,
        /// The variable's value; `None` deletes the variable.
        value: Option<String>,
    },
    /// Send this message while the connection is quiet; `None` stops keep-alives.
    KeepAlive(Option<SocketKeepAlive>),
    /// Send this message after a delay.
    SendDelayed(Delayed),
    /// Send the delayed message now.
    FlushDelayed,
}

/// A message that is sent after a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delayed {
    /// Text, binary, ping or pong.
    pub opcode: Opcode,
    /// The message's content.
    pub content: Bytes,
    /// Seconds until the message is sent.
    pub timeout_s: u64,
}

/// A message that is sent repeatedly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketKeepAlive {
    /// The message, and how often it is sent: at most once a second.
    pub message: Delayed,
    /// What the time counts from.
    pub mode: KeepAliveMode,
}

impl ControlMessage {
    /// Reads the text after `c:`; `None` if it is invalid or has an unknown type.
    pub fn parse(text: &[u8]) -> Option<ControlMessage> {
        let json = read(text).ok()?;
        let fields = Fields::of(&json, "control message").ok()?;
        parse_fields(&fields).ok().flatten()
    }
}

fn parse_fields(fields: &Fields) -> Result<Option<ControlMessage>, FieldError> {
    let name = |key| Ok(fields.text(key)?.filter(|name| !name.is_empty()).map(str::to_owned));
    Ok(match fields.text("type")? {
        Some("subscribe") => match name("channel")? {
            Some(channel) => Some(ControlMessage::Subscribe { channel, filters: filters(fields)? }),
            None => None,
        },
        Some("unsubscribe") => name("channel")?.map(|channel| ControlMessage::Unsubscribe { channel }),
        Some("detach") => Some(ControlMessage::Detach),
        Some("set-meta") => {
            let value = fields.text("value")?.map(str::to_owned);
            name("name")?.map(|name| ControlMessage::SetMeta { name, value })
        }
        Some("keep-alive") => keep_alive(fields).map(ControlMessage::KeepAlive).map(Some)?,
        Some("send-delayed") => message(fields, DELAY_S)?.map(ControlMessage::SendDelayed),
        Some("flush-delayed") => Some(ControlMessage::FlushDelayed),
        _ => None,
    })
}

fn filters(fields: &Fields) -> Result<Vec<String>, FieldError> {
    let filters = fields.list("filters")?.unwrap_or_default();
    let texts = filters.iter().map(|filter| filter.text().map(str::to_owned));
    texts.collect::<Option<_>>().ok_or_else(|| fields.invalid("filters"))
}

fn keep_alive(fields: &Fields) -> Result<Option<SocketKeepAlive>, FieldError> {
    let mode = match fields.text("mode")? {
        None | Some("idle") => KeepAliveMode::Idle,
        Some("interval") => KeepAliveMode::Interval,
        Some(_) => return Err(fields.unknown("mode")),
    };
    Ok(message(fields, KEEP_ALIVE_S)?.map(|message| SocketKeepAlive { message, mode }))
}

/// The message of `content` or `content-bin`; the latter is binary unless `message-type` says otherwise.
fn message(fields: &Fields, default_s: u64) -> Result<Option<Delayed>, FieldError> {
    let Some(content) = fields.bytes("content", "content-bin")? else { return Ok(None) };
    let opcode = message_type::opcode(fields, "message-type")?;
    let timeout_s = fields.integer("timeout", 0..=i32::MAX.into())?.map_or(default_s, i64::unsigned_abs);
    // Text that is not UTF-8, or a ping that is too long, would break the client's connection.
    let sendable = opcode.can_hold(&content);
    Ok(sendable.then_some(Delayed { opcode, content, timeout_s: timeout_s.max(1) }))
}

const KEEP_ALIVE_S: u64 = 55;
const DELAY_S: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<ControlMessage> {
        ControlMessage::parse(text.as_bytes())
    }

    #[test]
    fn each_type_is_read() {
        let subscribe = |filters: &[&str]| {
            let filters = filters.iter().map(|filter| filter.to_string()).collect();
            Some(ControlMessage::Subscribe { channel: "a".into(), filters })
        };
        let meta = |value: Option<&str>| {
            Some(ControlMessage::SetMeta { name: "n".into(), value: value.map(str::to_owned) })
        };
        let cases = [
            (r#"{"type":"subscribe","channel":"a"}"#, subscribe(&[])),
            (r#"{"type":"subscribe","channel":"a","filters":["x","y"]}"#, subscribe(&["x", "y"])),
            (
                r#"{"type":"unsubscribe","channel":"a"}"#,
                Some(ControlMessage::Unsubscribe { channel: "a".into() }),
            ),
            (r#"{"type":"detach"}"#, Some(ControlMessage::Detach)),
            (r#"{"type":"set-meta","name":"n","value":"v"}"#, meta(Some("v"))),
            (r#"{"type":"set-meta","name":"n"}"#, meta(None)),
            (r#"{"type":"keep-alive"}"#, Some(ControlMessage::KeepAlive(None))),
            (r#"{"type":"flush-delayed"}"#, Some(ControlMessage::FlushDelayed)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn messages_by_the_clock_have_their_defaults() {
        let delayed =
            |opcode, content: &'static str, timeout_s| Delayed { opcode, content: content.into(), timeout_s };
        let cases = [
            (r#""content":"x""#, delayed(Opcode::Text, "x", 1)),
            (r#""content-bin":"eA==""#, delayed(Opcode::Binary, "x", 1)),
            (r#""content-bin":"eA==","message-type":"text","timeout":7"#, delayed(Opcode::Text, "x", 7)),
            (r#""content":"","message-type":"ping","timeout":0"#, delayed(Opcode::Ping, "", 1)),
        ];
        for (members, expected) in cases {
            let text = format!(r#"{{"type":"send-delayed",{members}}}"#);
            assert_eq!(parse(&text), Some(ControlMessage::SendDelayed(expected)), "{text}");
        }
        let keep_alive = parse(r#"{"type":"keep-alive","content":"x","mode":"interval"}"#);
        let message = delayed(Opcode::Text, "x", 55);
        let expected = SocketKeepAlive { message, mode: KeepAliveMode::Interval };
        assert_eq!(keep_alive, Some(ControlMessage::KeepAlive(Some(expected))));
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let long_ping =
            format!(r#"{{"type":"send-delayed","message-type":"ping","content":"{}"}}"#, "x".repeat(126));
        for text in [
            "",
            "[]",
            "{}",
            r#"{"type":"set-hold"}"#,
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","channel":""}"#,
            r#"{"type":"subscribe","channel":"a","filters":[1]}"#,
            r#"{"type":"send-delayed"}"#,
            r#"{"type":"send-delayed","content":"x","message-type":"y"}"#,
            r#"{"type":"send-delayed","content-bin":"/w==","message-type":"text"}"#,
            &long_ping,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
