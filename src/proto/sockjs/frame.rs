//! SockJS frames for clients: `o` opens a session, `h` is a heartbeat, `a` has messages and `c` closes the session.
//! Clients send lists of messages. Contents are JSON.

use crate::proto::lenient_json::without_lone_surrogates;
use crate::proto::script;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// The session is open.
pub const OPEN: &str = "o";
/// A heartbeat: the session is alive.
pub const HEARTBEAT: &str = "h";
/// Only one request at a time may wait for messages.
pub const ANOTHER_CONNECTION: &str = "c[2010,\"Another connection still open\"]";

/// Messages, each of which is quoted already.
pub fn messages(quoted: &[Box<str>]) -> String {
    format!("a[{}]", quoted.join(","))
}

/// The session is closed.
pub fn close(code: u16, reason: &str) -> String {
    format!("c[{code},{}]", quoted(reason))
}

/// A text as a JSON string. Characters that some browsers change in transit are escaped, as the protocol demands.
pub fn quoted(text: &str) -> Box<str> {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    script::put_text(&mut out, text, |character| {
        matches!(
            character,
            '\u{200c}'..='\u{200f}'
                | '\u{2028}'..='\u{202f}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fff0}'..='\u{ffff}'
        )
    });
    out.push('"');
    out.into()
}

/// The messages that a client sent: a list of strings, or one string. `None` if `json` is neither.
pub fn said(json: &[u8]) -> Option<Vec<String>> {
    // A browser may send half of a character.
    let repaired = without_lone_surrogates(json);
    match serde_json::from_slice(repaired.as_deref().unwrap_or(json)).ok()? {
        Value::String(one) => Some(vec![one]),
        Value::Array(list) => list.into_iter().map(text).collect(),
        _ => None,
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// The messages in the field `d` of a form.
pub fn said_in_form(form: &[u8]) -> Option<Vec<String>> {
    let form = std::str::from_utf8(form).ok()?;
    let field = form.split('&').find_map(|field| field.strip_prefix("d="))?.replace('+', " ");
    said(&percent_decode_str(&field).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_are_those_of_the_protocol() {
        assert_eq!(
            messages(&[quoted("a\"b"), quoted("\u{2028}\u{ffff}\n")]),
            r#"a["a\"b","\u2028\uffff\n"]"#
        );
        assert_eq!(close(3000, "Go away!"), r#"c[3000,"Go away!"]"#);
    }

    #[test]
    fn a_client_says_texts_and_nothing_else() {
        let list = |texts: &[&str]| Some(texts.iter().map(|text| text.to_string()).collect::<Vec<_>>());
        assert_eq!(said(br#"["a","b"]"#), list(&["a", "b"]));
        assert_eq!(said(br#""a""#), list(&["a"]));
        assert_eq!(said(b"[]"), list(&[]));
        for odd in ["", "[1]", "{}", "[\"a\"", "x", "1"] {
            assert_eq!(said(odd.as_bytes()), None, "{odd}");
        }
        assert_eq!(said_in_form(b"x=1&d=%5B%22a+b%22%5D"), list(&["a b"]));
        assert_eq!(said_in_form(b"e=%5B%22a%22%5D"), None);
    }

    proptest! {
        #[test]
        fn any_text_reads_back(texts in prop::collection::vec(any::<String>(), 0..4)) {
            let frame = messages(&texts.iter().map(|text| quoted(text)).collect::<Vec<_>>());
            prop_assert_eq!(said(frame.strip_prefix('a').unwrap().as_bytes()), Some(texts));
        }
    }
}
