//! The JSON form of an instruction, `application/grip-instruct`. `instruct` calls this after reading the headers:
//! `hold` overrides or adds to the headers, and `response` alone makes the response for the client. The headers and
//! body of the response that carried the instruct are dropped.

use super::answer::Answer;
use super::hold::HoldDraft;
use super::instruct_error::InstructError;
use super::json::{self, Fields};
use super::sendable::{self, STATUS_CODES};
use crate::proto::http1::Headers;

/// Reads the JSON in `response.body` into `hold` and replaces `response` by the described response.
///
/// # Errors
/// The JSON is invalid, or one of its members is.
pub(super) fn read(hold: &mut HoldDraft, response: &mut Answer) -> Result<(), InstructError> {
    let body = std::mem::take(&mut response.body);
    response.headers = Headers::new();
    let json = json::read(&body).map_err(|_| InstructError::NotJson)?;
    let instruct = Fields::of(&json, "instruct").map_err(|_| InstructError::NotObject)?;
    if let Some(fields) = instruct.object("hold", "hold")? {
        hold.read_json(&fields)?;
    }
    if let Some(fields) = instruct.object("response", "response")? {
        read_response(&fields, response)?;
    }
    Ok(())
}

fn read_response(fields: &Fields, response: &mut Answer) -> Result<(), InstructError> {
    if let Some(code) = fields.integer("code", STATUS_CODES)? {
        response.status = u16::try_from(code).map_err(|_| fields.invalid("code"))?;
        // The reason phrase of the carrying response belongs to another code.
        response.reason = None;
    }
    if let Some(text) = fields.text("reason")? {
        let reason = sendable::reason(text).ok_or_else(|| fields.invalid("reason"))?;
        response.reason = reason.or(response.reason.take());
    }
    if let Some(mut headers) = sendable::headers_member(fields)? {
        sendable::strip_grip(&mut headers);
        response.headers = headers;
    }
    response.body = fields.bytes("body", "body-bin")?.unwrap_or_default();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::hold::Mode;
    use super::super::instruct::Instruct;
    use super::super::keep_alive::{KeepAlive, KeepAliveMode};
    use super::*;
    use bytes::Bytes;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn parse_with(lines: &[(&'static str, &'static str)], body: &str) -> Result<Instruct, String> {
        let mut headers = Headers::new();
        headers.insert("content-type", HeaderValue::from_static("application/grip-instruct"));
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Instruct::parse(200, Some("OK"), &headers, Bytes::copy_from_slice(body.as_bytes()))
            .map_err(|e| e.to_string())
    }

    fn parse(body: &str) -> Result<Instruct, String> {
        parse_with(&[], body)
    }

    #[test]
    fn a_hold_and_its_response() {
        let body = r#"{"hold":{"channels":[{"name":"a","prev-id":"1","filters":["skip-self"]}],"timeout":7,
            "meta":{"user":"u"}},"response":{"code":201,"headers":{"X-Z":"1","Grip-X":"2"},"body":"t\n"}}"#;
        let instruct = parse(body).unwrap();
        let hold = instruct.hold.unwrap();
        assert_eq!((hold.mode, hold.timeout_s), (Mode::Response, 7));
        assert_eq!((hold.channels[0].name.as_str(), hold.channels[0].prev_id.as_deref()), ("a", Some("1")));
        assert_eq!(hold.meta, [("user".to_string(), "u".to_string())]);
        let response = instruct.response;
        assert_eq!((response.status, response.reason, &response.body[..]), (201, None, &b"t\n"[..]));
        assert_eq!(response.headers.len(), 1);
        assert_eq!(response.headers["x-z"], "1");
    }

    #[test]
    fn the_body_overrides_the_mode_and_adds_channels() {
        let lines = [("grip-hold", "response"), ("grip-channel", "h"), ("grip-status", "404"), ("x-a", "1")];
        let body = r#"{"hold":{"mode":"stream","channels":[{"name":"j"}],
            "keep-alive":{"content-bin":"Cg==","timeout":0}}}"#;
        let instruct = parse_with(&lines, body).unwrap();
        let hold = instruct.hold.unwrap();
        assert_eq!(hold.mode, Mode::Stream);
        assert_eq!(hold.channels.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["h", "j"]);
        let data = Bytes::from_static(b"\n");
        assert_eq!(hold.keep_alive, Some(KeepAlive { data, timeout_s: 1, mode: KeepAliveMode::Idle }));
        let response = instruct.response;
        assert_eq!((response.status, response.headers.len(), response.body.len()), (404, 0, 0));
    }

    #[test]
    fn an_empty_instruct_is_an_empty_answer() {
        let instruct = parse("{}").unwrap();
        assert!(instruct.hold.is_none());
        assert_eq!((instruct.response.status, instruct.response.reason.as_deref()), (200, Some("OK")));
        assert!(instruct.response.headers.is_empty() && instruct.response.body.is_empty());
    }

    #[test]
    fn errors() {
        let table = [
            ("", "failed to parse application/grip-instruct content as JSON"),
            ("[]", "instruct must be an object"),
            (r#"{"hold":1}"#, "instruct contains 'hold' with wrong type"),
            (r#"{"hold":{"mode":"x"}}"#, "hold 'mode' must be set to either 'response' or 'stream'"),
            (r#"{"hold":{"mode":1}}"#, "hold contains 'mode' with wrong type"),
            (r#"{"hold":{}}"#, "hold does not contain 'channels'"),
            (r#"{"hold":{"channels":{}}}"#, "hold contains 'channels' with wrong type"),
            (r#"{"hold":{"channels":[1]}}"#, "channel is not an object"),
            (r#"{"hold":{"channels":[{}]}}"#, "channel does not contain 'name'"),
            (r#"{"hold":{"channels":[{"name":1}]}}"#, "channel contains 'name' with wrong type"),
            (
                r#"{"hold":{"channels":[{"name":"a","filters":[1]}]}}"#,
                "filters contains value with wrong type",
            ),
            (
                r#"{"hold":{"channels":[{"name":"a","filters":["1","2","3","4","5","6"]}]}}"#,
                "too many filters for channel 'a'",
            ),
            (r#"{"hold":{"channels":[],"timeout":[]}}"#, "hold contains 'timeout' with wrong type"),
            (r#"{"hold":{"channels":[],"timeout":-1}}"#, "hold contains 'timeout' with invalid value"),
            (r#"{"hold":{"channels":[],"keep-alive":1}}"#, "hold contains 'keep-alive' with wrong type"),
            (
                r#"{"hold":{"channels":[],"keep-alive":{"timeout":-1}}}"#,
                "keep-alive contains 'timeout' with invalid value",
            ),
            (
                r#"{"hold":{"channels":[],"keep-alive":{"mode":"x"}}}"#,
                "keep-alive contains 'mode' with unknown value",
            ),
            (r#"{"hold":{"channels":[],"meta":{"k":1}}}"#, "'meta' contains 'k' with wrong type"),
            (r#"{"response":1}"#, "instruct contains 'response' with wrong type"),
            (r#"{"response":{"code":1000}}"#, "response contains 'code' with invalid value"),
            (r#"{"response":{"code":[]}}"#, "response contains 'code' with wrong type"),
            (r#"{"response":{"reason":"a\r\nb"}}"#, "response contains 'reason' with invalid value"),
            (r#"{"response":{"body":1}}"#, "response contains 'body' with wrong type"),
            (r#"{"response":{"body-bin":"*"}}"#, "response contains 'body-bin' with invalid value"),
        ];
        for (body, error) in table {
            assert_eq!(parse(body).unwrap_err(), error, "{body}");
        }
    }

    #[test]
    fn the_carrying_response_must_be_200() {
        let mut headers = Headers::new();
        headers.insert("content-type", HeaderValue::from_static("application/grip-instruct"));
        let error = Instruct::parse(201, None, &headers, Bytes::from_static(b"{}")).unwrap_err();
        assert_eq!(error.to_string(), "response code for application/grip-instruct content must be 200");
    }

    proptest! {
        #[test]
        fn any_json_is_read_without_panic(
            key in "(hold|response|x)", inner in "(channels|mode|timeout|keep-alive|meta|code|headers|body|reason)",
            value in r#"(1|-7|"stream"|"\\n"|null|\[\]|\[1\]|\[\[\]\]|\[\{"name":"a"\}\]|\{\}|\{"a":"b"\}|true)"#,
        ) {
            let _ = parse(&format!("{{\"{key}\":{{\"channels\":[],\"{inner}\":{value}}}}}"));
        }
    }
}
