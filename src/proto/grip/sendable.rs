//! Checks that values may be written to a client. Origins and publishers name status codes, reasons and headers. A
//! line break in one of them could forge a response, and a framing header would contradict the header that this
//! server writes. All code in this room that makes an `Answer` or a published response calls this, so that both are
//! safe to encode unchanged.

use super::json::{FieldError, Fields, Json};
use crate::proto::http1::{Headers, HopByHop};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Status codes of final responses: three digits, and not 1xx, which would announce another response (RFC 9110
/// section 15.2).
pub(super) const STATUS_CODES: std::ops::RangeInclusive<i64> = 200..=999;

/// A reason phrase; `Some(None)` if it is empty, `None` if it is invalid in a status line (RFC 9112 section 4).
pub(super) fn reason(text: &str) -> Option<Option<String>> {
    let stands = text.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f));
    stands.then(|| (!text.is_empty()).then(|| text.to_string()))
}

/// The `headers` member of `fields`, an object or a list of pairs, without the headers that [`strip_hop_by_hop`]
/// removes.
///
/// # Errors
/// A header is invalid.
pub(super) fn headers_member(fields: &Fields) -> Result<Option<Headers>, FieldError> {
    let mut headers = Headers::new();
    match fields.get("headers") {
        None => return Ok(None),
        Some(Json::List(list)) => {
            for pair in list {
                let (name, value) = header_pair(pair)?;
                headers.append_as(name.as_bytes(), value).map_err(|_| fields.invalid("headers"))?;
            }
        }
        Some(Json::Object(members)) => {
            for (key, value) in members {
                let value = header_member(key, value)?;
                headers.append_as(key.as_bytes(), value).map_err(|_| fields.invalid("headers"))?;
            }
        }
        Some(_) => return Err(fields.wrong_type("headers")),
    }
    strip_hop_by_hop(&mut headers);
    Ok(Some(headers))
}

/// Removes hop-by-hop headers (RFC 9110 section 7.6.1) and Content-Length, which is written anew.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    HopByHop::of(headers).remove_from(headers);
    headers.remove(header::CONTENT_LENGTH);
}

/// Removes `Grip-*`, which is between the origin and this server.
pub(super) fn strip_grip(headers: &mut HeaderMap) {
    let grip: Vec<HeaderName> = headers.keys().filter(|name| is_grip_name(name)).cloned().collect();
    for name in &grip {
        headers.remove(name);
    }
}

/// Removes headers that a published response must not contain: hop-by-hop headers, and `Grip-*` except for
/// Grip-Expose-Headers, which the merge uses and removes.
pub(super) fn strip_from_published(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    let exposed: Vec<_> = headers.get_all(GRIP_EXPOSE_HEADERS).iter().cloned().collect();
    strip_grip(headers);
    for line in exposed {
        // The map is never full, because the lines were in it before.
        let _ = headers.try_append(GRIP_EXPOSE_HEADERS, line);
    }
}

/// Whether a header is one of GRIP's.
pub(super) fn is_grip_name(name: &HeaderName) -> bool {
    name.as_str().starts_with("grip-")
}

/// Keeps only the headers that Grip-Expose-Headers lists, if `headers` has that field. Each of its lines names one
/// header, or several separated by commas.
pub(super) fn keep_exposed(headers: &mut HeaderMap) {
    if !headers.contains_key(GRIP_EXPOSE_HEADERS) {
        return;
    }
    let mut kept = HeaderMap::new();
    let lines = headers.get_all(GRIP_EXPOSE_HEADERS).iter();
    for token in lines.flat_map(|line| line.as_bytes().split(|&b| b == b',')) {
        let Ok(name) = HeaderName::from_bytes(token.trim_ascii()) else { continue };
        if kept.contains_key(&name) {
            continue;
        }
        for value in headers.get_all(&name) {
            // The map is never full, because `kept` holds a part of `headers`.
            let _ = kept.try_append(name.clone(), value.clone());
        }
    }
    *headers = kept;
}

/// A `[name, value]` pair.
fn header_pair<'p>(pair: &'p Json<'_>) -> Result<(&'p str, HeaderValue), FieldError> {
    let Json::List(pair) = pair else {
        return Err(FieldError::Shape("headers contains element with wrong type"));
    };
    let [name, value] = pair.as_slice() else {
        return Err(FieldError::Shape("headers contains list with wrong number of elements"));
    };
    let name = name.text().ok_or(FieldError::Shape("header contains name element with wrong type"))?;
    let value = value.text().ok_or(FieldError::Shape("header contains value element with wrong type"))?;
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| FieldError::Shape("header contains name element with invalid value"))?;
    let value = HeaderValue::from_bytes(value.trim_ascii().as_bytes())
        .map_err(|_| FieldError::Shape("header contains value element with invalid value"))?;
    Ok((name, value))
}

/// The value of a `name: value` member.
fn header_member(key: &str, value: &Json) -> Result<HeaderValue, FieldError> {
    let wrong_type = || FieldError::WrongType { parent: "headers", name: key.to_string() };
    let invalid = || FieldError::InvalidValue { parent: "headers", name: key.to_string() };
    let value = value.text().ok_or_else(wrong_type)?;
    HeaderName::from_bytes(key.as_bytes()).map_err(|_| invalid())?;
    HeaderValue::from_bytes(value.trim_ascii().as_bytes()).map_err(|_| invalid())
}

pub(super) const GRIP_EXPOSE_HEADERS: &str = "grip-expose-headers";

#[cfg(test)]
mod tests {
    use super::super::json::read;
    use super::*;

    fn headers(json: &str) -> Result<Headers, String> {
        let json = read(json.as_bytes()).unwrap();
        let fields = Fields::of(&json, "response").unwrap();
        headers_member(&fields).map(Option::unwrap_or_default).map_err(|e| e.to_string())
    }

    #[test]
    fn headers_are_an_object_or_pairs() {
        let object = headers(r#"{"headers":{"A":"1","Content-Length":"9"}}"#).unwrap();
        let pairs = headers(r#"{"headers":[["A","1"],["Connection","x-y"],["X-Y","2"]]}"#).unwrap();
        assert_eq!(object, pairs);
        assert_eq!(object.len(), 1);
    }

    #[test]
    fn bad_headers_say_what_is_bad() {
        let table = [
            (r#"{"headers":1}"#, "response contains 'headers' with wrong type"),
            (r#"{"headers":["A"]}"#, "headers contains element with wrong type"),
            (r#"{"headers":[["A"]]}"#, "headers contains list with wrong number of elements"),
            (r#"{"headers":[[1,"b"]]}"#, "header contains name element with wrong type"),
            (r#"{"headers":[["a",1]]}"#, "header contains value element with wrong type"),
            (r#"{"headers":[["a b","1"]]}"#, "header contains name element with invalid value"),
            (
                r#"{"headers":[["a","1\r\nSet-Cookie: x"]]}"#,
                "header contains value element with invalid value",
            ),
            (r#"{"headers":{"A":1}}"#, "headers contains 'A' with wrong type"),
            (r#"{"headers":{"A":"1\n2"}}"#, "headers contains 'A' with invalid value"),
            (r#"{"headers":{"":"1"}}"#, "headers contains '' with invalid value"),
        ];
        for (json, error) in table {
            assert_eq!(headers(json), Err(error.to_string()), "{json}");
        }
    }

    #[test]
    fn more_headers_than_a_map_holds_are_an_error() {
        let members: Vec<String> = (0..40_000).map(|n| format!("\"x{n}\":\"\"")).collect();
        let error = headers(&format!("{{\"headers\":{{{}}}}}", members.join(","))).unwrap_err();
        assert_eq!(error, "response contains 'headers' with invalid value");
    }

    #[test]
    fn a_reason_stays_on_its_line() {
        assert_eq!(reason("Très bien"), Some(Some("Très bien".into())));
        assert_eq!(reason(""), Some(None));
        for bad in ["a\r\nb", "a\nb", "\0", "\x7f"] {
            assert_eq!(reason(bad), None);
        }
    }

    #[test]
    fn exposed_headers_are_listed_by_line_or_by_comma() {
        let mut map = HeaderMap::new();
        for (name, value) in [("a", "1"), ("b", "2"), ("b", "3"), ("c", "4"), ("d", "5")] {
            map.append(name, HeaderValue::from_static(value));
        }
        map.append(GRIP_EXPOSE_HEADERS, HeaderValue::from_static("A, b"));
        map.append(GRIP_EXPOSE_HEADERS, HeaderValue::from_static("d"));
        keep_exposed(&mut map);
        assert_eq!(map.keys().map(|k| k.as_str()).collect::<Vec<_>>(), ["a", "b", "d"]);
        assert_eq!(map.get_all("b").iter().count(), 2);
    }
}
