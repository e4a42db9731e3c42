//! Instructions of origins: reads a response that carries GRIP (headers, or an `application/grip-instruct` body) into
//! a [`Hold`] and the [`Answer`] for the client. The core calls this once for each origin response that [`is_grip`].
//! The answer never has `Grip-*` or hop-by-hop headers, and its status is valid.

use super::answer::Answer;
use super::filter::IdRenderer;
use super::hold::{Hold, HoldDraft};
use super::instruct_body;
use super::instruct_error::InstructError;
use super::link::Link;
use super::sendable::{self, STATUS_CODES, is_grip_name};
use crate::proto::http1::Headers;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The instructions in an origin's response.
#[derive(Clone, Debug)]
pub struct Instruct {
    /// The hold; without one the response is sent at once.
    pub hold: Option<Hold>,
    /// The link that continues the response, if there is no hold. A hold has its own link.
    pub next_link: Option<Link>,
    /// For a response hold the timeout answer, for a stream hold the beginning of the stream, and without a hold the
    /// answer.
    pub response: Answer,
    /// The renderer of the response's body, for bodies that continue the response.
    pub renderer: Option<IdRenderer>,
}

/// Whether GRIP applies to a response: its content is an instruct, or it has a `Grip-` header. GRIP never applies to
/// interim responses (1xx).
pub fn is_grip(status: u16, headers: &HeaderMap) -> bool {
    status >= 200 && (has_instruct_body(headers) || headers.keys().any(is_grip_name))
}

impl Instruct {
    /// Reads a whole response.
    ///
    /// # Errors
    /// A header or the instruct body is invalid.
    pub fn parse(
        status: u16,
        reason: Option<&str>,
        headers: &Headers,
        body: Bytes,
    ) -> Result<Instruct, InstructError> {
        let mut hold = HoldDraft::from_headers(headers)?;
        let reason = reason.and_then(sendable::reason).flatten();
        let mut response = Answer { status, reason, headers: Headers::new(), body };
        if let Some((status, reason)) = status_header(headers)? {
            (response.status, response.reason) = (status, reason);
        }
        if has_instruct_body(headers) {
            if status != 200 {
                return Err(InstructError::BodyStatus(status));
            }
            instruct_body::read(&mut hold, &mut response)?;
        } else {
            response.headers = headers_for_client(headers);
        }
        let renderer = hold.renderer();
        if let Some(renderer) = renderer.clone().filter(|_| !response.body.is_empty()) {
            response.body = renderer.render(&response.body)?;
        }
        let next_link = hold.next_link_without_hold();
        Ok(Instruct { hold: hold.finish()?, next_link, response, renderer })
    }
}

/// Whether the content type of a response is that of an instruct.
pub fn has_instruct_body(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE) else { return false };
    let media_type = content_type.as_bytes().split(|&b| b == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(b"application/grip-instruct")
}

/// Reads Grip-Status, `code [reason]`. Without a reason the standard phrase of the code applies, not the origin's.
fn status_header(headers: &HeaderMap) -> Result<Option<(u16, Option<String>)>, InstructError> {
    let Some(line) = headers.get("grip-status").filter(|line| !line.is_empty()) else { return Ok(None) };
    let line = String::from_utf8_lossy(line.as_bytes());
    let (code, reason) = line.split_once(' ').unwrap_or((&line, ""));
    let code = code.parse().ok().filter(|code: &u16| STATUS_CODES.contains(&i64::from(*code)));
    let code = code.ok_or(InstructError::Status)?;
    let reason = sendable::reason(reason.trim()).ok_or(InstructError::Status)?;
    Ok(Some((code, reason)))
}

fn headers_for_client(headers: &Headers) -> Headers {
    let mut headers = headers.clone();
    sendable::strip_hop_by_hop(&mut headers);
    sendable::keep_exposed(&mut headers);
    sendable::strip_grip(&mut headers);
    headers
}

#[cfg(test)]
mod tests {
    use super::super::hold::{Channel, Mode};
    use super::super::keep_alive::KeepAliveMode;
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn headers(lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn parse(lines: &[(&str, &str)]) -> Result<Instruct, String> {
        Instruct::parse(200, Some("Fine"), &headers(lines), Bytes::from_static(b"timed out\n"))
            .map_err(|e| e.to_string())
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(|name| name.as_str()).collect()
    }

    #[test]
    fn a_response_is_grip_by_content_type_or_by_header() {
        assert!(is_grip(200, &headers(&[("grip-anything", "")])));
        assert!(is_grip(200, &headers(&[("Content-Type", "application/grip-instruct; charset=utf-8")])));
        assert!(!is_grip(200, &headers(&[("Content-Type", "application/grip-instructor"), ("gripe", "")])));
        assert!(!is_grip(103, &headers(&[("grip-hold", "stream")])));
    }

    #[test]
    fn a_response_hold() {
        let lines = [
            ("Grip-Hold", "response"),
            ("Grip-Channel", "c1"),
            ("Grip-Timeout", "5"),
            ("X-A", "1"),
            ("Content-Length", "10"),
            ("Connection", "keep-alive, X-Private"),
            ("X-Private", "1"),
            ("Keep-Alive", "timeout=5"),
        ];
        let instruct = parse(&lines).unwrap();
        let hold = instruct.hold.unwrap();
        assert_eq!((hold.mode, hold.timeout_s), (Mode::Response, 5));
        assert_eq!(hold.channels, [Channel { name: "c1".into(), prev_id: None, filters: vec![] }]);
        assert_eq!(names(&instruct.response.headers), ["x-a"]);
        assert_eq!((instruct.response.status, instruct.response.reason.as_deref()), (200, Some("Fine")));
        assert_eq!(instruct.response.body, "timed out\n");
    }

    #[test]
    fn a_stream_hold_with_everything() {
        let lines = [
            ("Grip-Hold", "stream"),
            ("Grip-Channel", "a; prev-id=\"1,2\"; filter=build-id; filter=skip-self, b"),
            ("Grip-Channel", "c"),
            ("Grip-Keep-Alive", r"event: keep-alive\n\n; format=cstring; timeout=20"),
            ("Grip-Set-Meta", "user=\"al, ice\", id_format=x"),
            ("Grip-Set-Meta", "user=bob"),
            ("Grip-Link", "</next?x=1>; rel=next; timeout=30"),
        ];
        let hold = parse(&lines).unwrap().hold.unwrap();
        assert_eq!(hold.channels.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(hold.channels[0].prev_id.as_deref(), Some("1,2"));
        assert_eq!(hold.channels[0].filters, ["build-id", "skip-self"]);
        let keep_alive = hold.keep_alive.unwrap();
        assert_eq!((keep_alive.timeout_s, keep_alive.mode), (20, KeepAliveMode::Idle));
        assert_eq!(keep_alive.data, "event: keep-alive\n\n");
        assert_eq!(hold.meta, [("id_format".into(), "x".into()), ("user".into(), "bob".into())]);
        assert_eq!(hold.next_link, Some(Link { uri: "/next?x=1".into(), timeout_s: 30 }));
        assert_eq!(hold.timeout_s, 55);
    }

    #[test]
    fn without_a_hold_only_the_answer_is_left() {
        let instruct =
            parse(&[("Grip-Status", "404 Gone Fishing"), ("Grip-Channel", "a"), ("X-A", "1")]).unwrap();
        assert!(instruct.hold.is_none());
        assert_eq!(
            (instruct.response.status, instruct.response.reason.as_deref()),
            (404, Some("Gone Fishing"))
        );
        assert_eq!(names(&instruct.response.headers), ["x-a"]);
        assert_eq!(instruct.next_link, None);
        let next = parse(&[("Grip-Link", "</next>; rel=next")]).unwrap().next_link;
        assert_eq!(next, Some(Link { uri: "/next".into(), timeout_s: 120 }));
        let instruct = parse(&[("Grip-Status", "201")]).unwrap();
        assert_eq!((instruct.response.status, instruct.response.reason), (201, None));
    }

    #[test]
    fn a_beginning_is_rendered_where_a_channel_builds_ids_and_a_timeout_answer_is_not() {
        let parse = |hold: Option<(&'static str, &'static str)>, format: &'static str, body: &'static str| {
            let lines = [("Grip-Channel", "a; filter=build-id"), ("Grip-Set-Meta", format)];
            let lines: Vec<_> = lines.into_iter().chain(hold).collect();
            let instruct = Instruct::parse(200, None, &headers(&lines), Bytes::from_static(body.as_bytes()));
            instruct
                .map(|it| String::from_utf8_lossy(&it.response.body).into_owned())
                .map_err(|e| e.to_string())
        };
        let stream = Some(("Grip-Hold", "stream"));
        assert_eq!(parse(stream, "id_format=x", "%(k)I %%").as_deref(), Ok("k %"));
        assert_eq!(parse(None, "id_format=x", "%(k)I %%").as_deref(), Ok("k %"));
        assert_eq!(parse(Some(("Grip-Hold", "response")), "x=y", "%%").as_deref(), Ok("%%"));
        assert_eq!(parse(stream, "x=y", "").as_deref(), Ok(""));
        assert_eq!(
            parse(stream, "x=y", "%%").unwrap_err(),
            "filter error: build-id: no sub meta 'id_format'"
        );
    }

    #[test]
    fn keep_alives_are_for_streams_and_timeouts_have_a_floor() {
        let hold = parse(&[("Grip-Hold", "response"), ("Grip-Timeout", "0"), ("Grip-Keep-Alive", "x")]);
        let hold = hold.unwrap().hold.unwrap();
        assert_eq!((hold.timeout_s, hold.keep_alive), (5, None));
    }

    #[test]
    fn exposed_headers_are_all_that_is_kept() {
        let lines = [("Grip-Expose-Headers", "X-A, grip-hold, Content-Length"), ("X-A", "1"), ("X-B", "2")];
        assert_eq!(names(&parse(&lines).unwrap().response.headers), ["x-a"]);
    }

    #[test]
    fn errors() {
        let six = "c; filter=1; filter=2; filter=3; filter=4; filter=5; filter=6";
        let table: &[(&[(&str, &str)], &str)] = &[
            (&[("Grip-Hold", "Response")], "Grip-Hold must be set to either 'response' or 'stream'"),
            (&[("Grip-Channel", six)], "too many filters for channel 'c'"),
            (&[("Grip-Timeout", "x")], "failed to parse Grip-Timeout"),
            (&[("Grip-Timeout", "99999999999")], "failed to parse Grip-Timeout"),
            (&[("Grip-Timeout", "-1")], "Grip-Timeout has invalid value"),
            (&[("Grip-Status", "abc")], "Grip-Status contains invalid status code"),
            (&[("Grip-Status", "1000")], "Grip-Status contains invalid status code"),
            (&[("Grip-Status", "101")], "Grip-Status contains invalid status code"),
            (
                &[("Grip-Hold", "stream"), ("Grip-Channel", "c; prev-id=1")],
                "channel 'c' specifies prev-id, but no next link found",
            ),
        ];
        for (lines, error) in table {
            assert_eq!(parse(lines).unwrap_err(), *error, "{lines:?}");
        }
    }

    fn grip_line() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
        let name = prop::sample::select(vec![
            "grip-hold",
            "grip-channel",
            "grip-timeout",
            "grip-keep-alive",
            "grip-set-meta",
            "grip-link",
            "grip-status",
            "grip-expose-headers",
            "content-type",
            "connection",
            "x-a",
        ]);
        let byte = prop::sample::select(b"streampon=;,\"\\<>/-015 x\xff".to_vec());
        (name, prop::collection::vec(byte, 0..30))
    }

    proptest! {
        #[test]
        fn any_headers_and_body_are_read_without_panic(
            lines in prop::collection::vec(grip_line(), 0..6), body in ".{0,40}", instruct: bool, stream: bool,
        ) {
            let mut map = Headers::new();
            for (name, value) in lines {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    map.append(name, value);
                }
            }
            if instruct {
                map.insert("content-type", HeaderValue::from_static("application/grip-instruct"));
            }
            if stream {
                map.insert("grip-hold", HeaderValue::from_static("stream"));
            }
            if let Ok(instruct) = Instruct::parse(200, None, &map, Bytes::from(body)) {
                prop_assert!(!instruct.response.headers.keys().any(is_grip_name));
                prop_assert!(instruct.hold.is_none_or(|hold| hold.timeout_s >= 5));
            }
        }

        #[test]
        fn a_printed_channel_reads_back(
            name in "[a-z][a-z0-9 _.-]{0,10}[a-z]", id in proptest::option::of("[ -~]{1,12}"),
            filters in prop::collection::vec("[a-z-]{1,8}", 0..=5),
        ) {
            let mut line = name.clone();
            if let Some(id) = &id {
                line += &format!("; prev-id=\"{}\"", id.replace('\\', "\\\\").replace('"', "\\\""));
            }
            for filter in &filters {
                line += &format!("; filter={filter}");
            }
            let hold = parse(&[("Grip-Hold", "response"), ("Grip-Channel", &line)]).unwrap().hold.unwrap();
            prop_assert_eq!(hold.channels, vec![Channel { name, prev_id: id, filters }]);
        }
    }
}
