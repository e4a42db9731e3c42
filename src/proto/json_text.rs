//! Text within JSON that goes to a browser in another way than JSON does: as a script, or through what changes some
//! characters. `cross_origin` and `sockjs` say which those are.

use std::fmt;

/// Writes `text` as the inside of a JSON string; of what JSON lets stand, those that `also` names are escaped too. They
/// must be below U+10000.
pub(super) fn put(out: &mut impl fmt::Write, text: &str, also: impl Fn(char) -> bool) {
    let quoted = serde_json::Value::from(text).to_string();
    let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    for character in inside.chars() {
        // Neither buffer that is written to is ever full.
        let _ = match also(character) {
            true => write!(out, "\\u{:04x}", u32::from(character)),
            false => out.write_char(character),
        };
    }
}
