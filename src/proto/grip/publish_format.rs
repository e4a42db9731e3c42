//! Reads the formats of a published item: its parts for long polls, streams and WebSockets. `publish` calls this for
//! each format of an item. Codes, reasons and headers are checked here, so that all parts can be sent unchanged.

use super::formats::{ResponseBody, ResponseFormat, ResponseMessage, SocketFormat, StreamFormat};
use super::json::{FieldError, Fields, Json};
use super::message_type;
use super::sendable::{self, STATUS_CODES};
use crate::proto::websocket::Close;
use bytes::Bytes;

/// Reads `http-response`. The actions `close` and `refresh` have no meaning for a long poll.
///
/// # Errors
/// What is wrong with the format.
pub(super) fn http_response(json: &Json) -> Result<Option<ResponseFormat>, FieldError> {
    let fields = Fields::of(json, "'http-response'")?;
    match action(&fields)? {
        Action::Send => response_message(&fields).map(|message| Some(ResponseFormat::Send(message.into()))),
        Action::Hint => Ok(Some(ResponseFormat::Hint)),
        Action::Close | Action::Refresh => Ok(None),
    }
}

/// Reads `http-stream`. The action `refresh` has no meaning for a stream.
///
/// # Errors
/// What is wrong with the format.
pub(super) fn http_stream(json: &Json) -> Result<Option<StreamFormat>, FieldError> {
    let fields = Fields::of(json, "'http-stream'")?;
    match action(&fields)? {
        Action::Send => {
            content_filters(&fields)?;
            let content = fields.bytes("content", "content-bin")?;
            content.map(|content| Some(StreamFormat::Content(content))).ok_or_else(|| fields.missing(CONTENT))
        }
        Action::Hint => Ok(Some(StreamFormat::Hint)),
        Action::Close => Ok(Some(StreamFormat::Close)),
        Action::Refresh => Ok(None),
    }
}

/// Reads `ws-message`. The action `hint` has no meaning for a WebSocket.
///
/// # Errors
/// What is wrong with the format.
pub(super) fn ws_message(json: &Json) -> Result<Option<SocketFormat>, FieldError> {
    let fields = Fields::of(json, "'ws-message'")?;
    match action(&fields)? {
        Action::Send => ws_content(&fields).map(Some),
        Action::Close => {
            let code = fields.integer("code", 0..=i64::MAX)?.unwrap_or(Close::NORMAL.into());
            let code = u16::try_from(code).ok().filter(|code| Close::may_be_sent(*code));
            let code = code.ok_or_else(|| fields.invalid("code"))?;
            let reason = fields.text("reason")?.unwrap_or_default();
            Ok(Some(SocketFormat::Close(Close { code, reason: reason.into() })))
        }
        Action::Refresh => Ok(Some(SocketFormat::Refresh)),
        Action::Hint => Ok(None),
    }
}

/// The action of a format.
enum Action {
    Send,
    Hint,
    Close,
    Refresh,
}

fn action(fields: &Fields) -> Result<Action, FieldError> {
    match fields.text("action")? {
        None | Some("send") => Ok(Action::Send),
        Some("hint") => Ok(Action::Hint),
        Some("close") => Ok(Action::Close),
        Some("refresh") => Ok(Action::Refresh),
        Some(_) => Err(fields.unknown("action")),
    }
}

fn response_message(fields: &Fields) -> Result<ResponseMessage, FieldError> {
    let code = fields.integer("code", STATUS_CODES)?.unwrap_or(200);
    let code = u16::try_from(code).map_err(|_| fields.invalid("code"))?;
    let reason = sendable::reason(fields.text("reason")?.unwrap_or_default());
    let reason = reason.ok_or_else(|| fields.invalid("reason"))?;
    let mut headers = sendable::headers_member(fields)?.unwrap_or_default();
    sendable::strip_from_published(&mut headers);
    headers.forget_absent();
    content_filters(fields)?;
    Ok(ResponseMessage { code, reason, headers, body: response_body(fields)? })
}

fn response_body(fields: &Fields) -> Result<ResponseBody, FieldError> {
    if let Some(body) = fields.bytes("body", "body-bin")? {
        return Ok(ResponseBody::Whole(body));
    }
    if fields.list("body-patch")?.is_none() {
        return Err(fields.missing("'body', 'body-bin', or 'body-patch'"));
    }
    let operations = fields.get("body-patch").map(Json::to_value).unwrap_or_default();
    // An invalid operation applies to no body at all, so it is the publisher's error, rather than a failure of each
    // poll.
    let patch = serde_json::from_value(operations).map_err(|_| fields.invalid("body-patch"))?;
    Ok(ResponseBody::Patch(patch))
}

fn ws_content(fields: &Fields) -> Result<SocketFormat, FieldError> {
    let opcode = message_type::opcode(fields, "type")?;
    content_filters(fields)?;
    let content = match fields.bytes("content", "content-bin")? {
        Some(content) => content,
        None if opcode.is_control() => Bytes::new(),
        None => return Err(fields.missing(CONTENT)),
    };
    // A message that breaks RFC 6455 would end the connection of every subscriber.
    let sendable = opcode.can_hold(&content);
    let name = if fields.get("content").is_some() { "content" } else { "content-bin" };
    sendable.then_some(SocketFormat::Message { opcode, content }).ok_or_else(|| fields.invalid(name))
}

/// The content filters that a subscription must have to get the content. A format that sends nothing has no content.
///
/// # Errors
/// The member has the wrong type.
pub(super) fn expected_filters(json: &Json) -> Result<Option<Box<[Box<str>]>>, FieldError> {
    let fields = Fields::of(json, "a format")?;
    if fields.get("content-filters").is_none() {
        return Ok(None);
    }
    match action(&fields)? {
        Action::Send => content_filters(&fields),
        Action::Hint | Action::Close | Action::Refresh => Ok(None),
    }
}

fn content_filters(fields: &Fields) -> Result<Option<Box<[Box<str>]>>, FieldError> {
    let Some(filters) = fields.list("content-filters")? else { return Ok(None) };
    let names = filters.iter().map(|filter| filter.text().map(Box::from)).collect::<Option<_>>();
    names.map(Some).ok_or(FieldError::Shape("content-filters contains element with wrong type"))
}

const CONTENT: &str = "'content' or 'content-bin'";

#[cfg(test)]
mod tests {
    use super::super::json::read;
    use super::*;
    use crate::proto::websocket::Opcode;

    fn response(json: &str) -> Result<Option<ResponseFormat>, String> {
        http_response(&read(json.as_bytes()).unwrap()).map_err(|e| e.to_string())
    }

    fn stream(json: &str) -> Result<Option<StreamFormat>, String> {
        http_stream(&read(json.as_bytes()).unwrap()).map_err(|e| e.to_string())
    }

    fn ws(json: &str) -> Result<String, String> {
        let read = ws_message(&read(json.as_bytes()).unwrap());
        read.map(|format| format!("{format:?}")).map_err(|e| e.to_string())
    }

    #[test]
    fn responses() {
        let Some(ResponseFormat::Send(message)) = response(r#"{"body":"x"}"#).unwrap() else { panic!() };
        assert_eq!((message.code, message.reason, message.headers.len()), (200, None, 0));
        let json = r#"{"body":"x","body-bin":"aGk=","code":"404","headers":{"Grip-Expose-Headers":"a","Grip-X":"b"}}"#;
        let Some(ResponseFormat::Send(message)) = response(json).unwrap() else { panic!() };
        assert!(matches!(message.body, ResponseBody::Whole(body) if body == "hi"));
        assert_eq!((message.code, message.headers.len()), (404, 1));
        assert!(matches!(response(r#"{"action":"hint"}"#), Ok(Some(ResponseFormat::Hint))));
        assert!(matches!(response(r#"{"action":"close"}"#), Ok(None)));
        let patch = response(r#"{"body-patch":[{"op":"remove","path":"/a"}]}"#).unwrap();
        let Some(ResponseFormat::Send(message)) = patch else { panic!() };
        let ResponseBody::Patch(patch) = message.body else { panic!() };
        assert_eq!(patch.len(), 1);
    }

    #[test]
    fn response_errors() {
        let table = [
            ("1", "'http-response' is not an object"),
            (r#"{"action":1}"#, "'http-response' contains 'action' with wrong type"),
            (r#"{"action":"x"}"#, "'http-response' contains 'action' with unknown value"),
            (r#"{"code":[]}"#, "'http-response' contains 'code' with wrong type"),
            (r#"{"code":1000}"#, "'http-response' contains 'code' with invalid value"),
            (r#"{"code":100}"#, "'http-response' contains 'code' with invalid value"),
            (r#"{"reason":1}"#, "'http-response' contains 'reason' with wrong type"),
            (r#"{"reason":"a\r\nb"}"#, "'http-response' contains 'reason' with invalid value"),
            (r#"{"headers":1}"#, "'http-response' contains 'headers' with wrong type"),
            (r#"{"headers":{"a":"b\r\nc: d"}}"#, "headers contains 'a' with invalid value"),
            (r#"{"content-filters":1}"#, "'http-response' contains 'content-filters' with wrong type"),
            (r#"{"content-filters":[1]}"#, "content-filters contains element with wrong type"),
            (r#"{"body":1}"#, "'http-response' contains 'body' with wrong type"),
            (r#"{"body-bin":"*"}"#, "'http-response' contains 'body-bin' with invalid value"),
            (r#"{"body-patch":{}}"#, "'http-response' contains 'body-patch' with wrong type"),
            (r#"{"body-patch":[{"op":"x"}]}"#, "'http-response' contains 'body-patch' with invalid value"),
            ("{}", "'http-response' does not contain 'body', 'body-bin', or 'body-patch'"),
        ];
        for (json, error) in table {
            assert_eq!(response(json).unwrap_err(), error, "{json}");
        }
    }

    #[test]
    fn streams() {
        assert!(matches!(stream(r#"{"content":""}"#), Ok(Some(StreamFormat::Content(b))) if b.is_empty()));
        assert!(
            matches!(stream(r#"{"content-bin":"/w"}"#), Ok(Some(StreamFormat::Content(b))) if b[..] == [0xff])
        );
        assert!(matches!(stream(r#"{"action":"hint"}"#), Ok(Some(StreamFormat::Hint))));
        assert!(matches!(stream(r#"{"action":"close"}"#), Ok(Some(StreamFormat::Close))));
        assert!(matches!(stream(r#"{"action":"refresh"}"#), Ok(None)));
        let table = [
            ("[]", "'http-stream' is not an object"),
            ("{}", "'http-stream' does not contain 'content' or 'content-bin'"),
            (r#"{"content":1}"#, "'http-stream' contains 'content' with wrong type"),
            (r#"{"content-bin":1}"#, "'http-stream' contains 'content-bin' with wrong type"),
            (r#"{"action":"x"}"#, "'http-stream' contains 'action' with unknown value"),
        ];
        for (json, error) in table {
            assert_eq!(stream(json).unwrap_err(), error, "{json}");
        }
    }

    #[test]
    fn web_socket_messages() {
        let message = |opcode, content: &'static str| {
            format!("{:?}", Some(SocketFormat::Message { opcode, content: content.into() }))
        };
        let close = |code, reason: &str| {
            format!("{:?}", Some(SocketFormat::Close(Close { code, reason: reason.into() })))
        };
        let good = [
            (r#"{"content":"x"}"#, message(Opcode::Text, "x")),
            (r#"{"content-bin":"eA=="}"#, message(Opcode::Binary, "x")),
            (r#"{"content-bin":"eA==","type":"text"}"#, message(Opcode::Text, "x")),
            (r#"{"type":"ping"}"#, message(Opcode::Ping, "")),
            (r#"{"type":"pong","content":"x","action":"send"}"#, message(Opcode::Pong, "x")),
            (r#"{"action":"close"}"#, close(1000, "")),
            (r#"{"action":"close","code":4001,"reason":"gone"}"#, close(4001, "gone")),
            (r#"{"action":"refresh"}"#, format!("{:?}", Some(SocketFormat::Refresh))),
            (r#"{"action":"hint"}"#, "None".into()),
        ];
        for (json, expected) in good {
            assert_eq!(ws(json), Ok(expected), "{json}");
        }
        let table = [
            ("{}", "'ws-message' does not contain 'content' or 'content-bin'"),
            (r#"{"type":"binary"}"#, "'ws-message' does not contain 'content' or 'content-bin'"),
            (r#"{"type":"x"}"#, "'ws-message' contains 'type' with unknown value"),
            (r#"{"content":1}"#, "'ws-message' contains 'content' with wrong type"),
            (r#"{"action":"close","code":-1}"#, "'ws-message' contains 'code' with invalid value"),
            (r#"{"action":"close","code":1005}"#, "'ws-message' contains 'code' with invalid value"),
            (
                r#"{"type":"text","content-bin":"/w=="}"#,
                "'ws-message' contains 'content-bin' with invalid value",
            ),
            (r#"{"action":"close","reason":1}"#, "'ws-message' contains 'reason' with wrong type"),
        ];
        for (json, error) in table {
            assert_eq!(ws(json), Err(error.to_string()), "{json}");
        }
    }
}
