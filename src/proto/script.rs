//! Parts of scripts for browsers: function names, and text within JSON. Used by `cross_origin` and `sockjs`.

use std::fmt;

/// Whether `text` is only the name of a function, a member or an element: `f`, `a.b`, `calls[3]`.
pub fn is_name(text: &str) -> bool {
    let stands = |byte: u8| byte.is_ascii_alphanumeric() || b"_$.[]".contains(&byte);
    !text.is_empty() && text.bytes().all(stands)
}

/// Writes `text` as the inside of a JSON string. Characters that JSON allows but `also` selects are escaped too; they
/// must be below U+10000.
pub(super) fn put_text(out: &mut impl fmt::Write, text: &str, also: impl Fn(char) -> bool) {
    let quoted = serde_json::Value::from(text).to_string();
    let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    for character in inside.chars() {
        // Both buffers that this is called with grow as needed, so writing does not fail.
        let _ = match also(character) {
            true => write!(out, "\\u{:04x}", u32::from(character)),
            false => out.write_char(character),
        };
    }
}
