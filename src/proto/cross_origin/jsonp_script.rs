//! An answer as a script that calls a function with the answer. The script is written piece by piece, so an answer
//! may have any length. The comment before the call keeps the script from being read as another format.

use crate::proto::http1::Headers;
use crate::proto::script;
use bytes::{BufMut, BytesMut};
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The argument of the function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// An object with `code`, `reason`, `headers` and `body`, a string.
    #[default]
    Extended,
    /// The body unchanged; it must be an expression.
    Basic,
}

/// How an answer becomes a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    callback: Box<str>,
    mode: Mode,
}

/// A script that is being written.
pub struct Writer {
    mode: Mode,
    /// The end of the pushed bytes that cannot be written yet: a part of a character, or a line end that may be the
    /// last.
    held: Vec<u8>,
}

impl Mode {
    /// The method of requests that name none, as in Pushpin.
    pub(super) fn default_method(self) -> Method {
        match self {
            Mode::Extended => Method::GET,
            Mode::Basic => Method::POST,
        }
    }
}

impl Script {
    /// A call of `callback`.
    pub fn new(callback: &str, mode: Mode) -> Script {
        Script { callback: callback.into(), mode }
    }

    /// The headers of the script for an answer with `headers`. The script's status is 200, because a browser would
    /// not run it otherwise.
    pub fn headers(headers: &HeaderMap) -> HeaderMap {
        let mut own = HeaderMap::new();
        own.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/javascript"));
        if let Some(cache) = headers.get(header::CACHE_CONTROL) {
            own.insert(header::CACHE_CONTROL, cache.clone());
        }
        own
    }

    /// Writes the part before the body.
    pub fn begin(&self, out: &mut BytesMut, status: u16, reason: &str, headers: &Headers) -> Writer {
        let _ = write!(out, "/**/{}(", self.callback);
        if self.mode == Mode::Extended {
            let _ = write!(out, "{{\"code\": {status}, \"reason\": \"");
            put_text(out, reason);
            out.put_slice(b"\", \"headers\": {");
            for (index, name) in headers.keys().enumerate() {
                if index > 0 {
                    out.put_u8(b',');
                }
                put_header(out, name, headers);
            }
            out.put_slice(b"}, \"body\": \"");
        }
        Writer { mode: self.mode, held: Vec::new() }
    }
}

impl Writer {
    /// Writes a part of the body.
    pub fn push(&mut self, out: &mut BytesMut, part: &[u8]) {
        self.held.extend_from_slice(part);
        let ready = match self.mode {
            Mode::Extended => self.held.len() - cut_character(&self.held),
            Mode::Basic => without_line_end(&self.held),
        };
        let rest = self.held.split_off(ready);
        let ready = std::mem::replace(&mut self.held, rest);
        match self.mode {
            Mode::Extended => put_text(out, &String::from_utf8_lossy(&ready)),
            Mode::Basic => out.put_slice(&ready),
        }
    }

    /// Writes the part after the body. The end of the body's last line is left out, because it is not part of an
    /// expression.
    pub fn end(self, out: &mut BytesMut) {
        match self.mode {
            Mode::Extended => {
                put_text(out, &String::from_utf8_lossy(&self.held));
                out.put_slice(b"\"});\n");
            }
            Mode::Basic => out.put_slice(b");\n"),
        }
    }
}

/// How many bytes at the end begin a character without ending it.
fn cut_character(bytes: &[u8]) -> usize {
    let begins = |byte: &u8| *byte >= 0xc0;
    let last = bytes.iter().rev().take(3).position(begins).map_or(0, |back| back + 1);
    let start = bytes.get(bytes.len() - last..).unwrap_or_default();
    let wanted = match start.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..) => 4,
        _ => 0,
    };
    if last < wanted { last } else { 0 }
}

/// The length without the last line end, or without the bytes that begin one.
fn without_line_end(bytes: &[u8]) -> usize {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    line.strip_suffix(b"\r").unwrap_or(line).len()
}

fn put_header(out: &mut BytesMut, name: &HeaderName, headers: &Headers) {
    out.put_u8(b'"');
    headers.put_name(out, name);
    out.put_slice(b"\":\"");
    for (index, value) in headers.get_all(name).iter().enumerate() {
        if index > 0 {
            out.put_slice(b", ");
        }
        put_text(out, &String::from_utf8_lossy(value.as_bytes()));
    }
    out.put_u8(b'"');
}

/// Writes the inside of a JSON string. Two characters that JSON allows there are escaped, because they would end a
/// line of a script.
fn put_text(out: &mut BytesMut, text: &str) {
    script::put_text(out, text, |character| matches!(character, '\u{2028}' | '\u{2029}'));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn script(mode: Mode, parts: &[&[u8]]) -> String {
        let mut headers = Headers::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static("\"2\""));
        let mut out = BytesMut::new();
        let mut writer = Script::new("f", mode).begin(&mut out, 404, "Not Found", &headers);
        parts.iter().for_each(|part| writer.push(&mut out, part));
        writer.end(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn an_extended_script_says_all_of_an_answer() {
        assert_eq!(
            script(Mode::Extended, &["a\"\\\n\u{2028}".as_bytes(), b"\x01\xff"]),
            "/**/f({\"code\": 404, \"reason\": \"Not Found\", \"headers\": {\"X-A\":\"1, \\\"2\\\"\"}, \
             \"body\": \"a\\\"\\\\\\n\\u2028\\u0001\u{fffd}\"});\n"
        );
    }

    #[test]
    fn a_basic_script_is_the_body_without_its_last_line_end() {
        let bodies: [(&[&[u8]], &str); 6] = [
            (&[b"{}\r\n"], "{}"),
            (&[b"{}\r", b"\n"], "{}"),
            (&[b"1\n", b"+1\n\n"], "1\n+1\n"),
            (&[b"1\r\n", b"\r\n"], "1\r\n"),
            (&[b"1\r\r\n"], "1\r"),
            (&[], ""),
        ];
        for (parts, body) in bodies {
            assert_eq!(script(Mode::Basic, parts), format!("/**/f({body});\n"));
        }
    }

    proptest! {
        #[test]
        fn any_body_in_any_parts_reads_back(body in prop::collection::vec(any::<u8>(), 0..40), text in "\\PC{0,9}", cut in 0usize..60) {
            let body = [text.as_bytes(), &body].concat();
            let (start, rest) = body.split_at(cut.min(body.len()));
            let said = script(Mode::Extended, &[start, rest]);
            let json = said.strip_prefix("/**/f(").unwrap().strip_suffix(");\n").unwrap();
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            prop_assert_eq!(value["body"].as_str().unwrap(), String::from_utf8_lossy(&body));
        }
    }
}
