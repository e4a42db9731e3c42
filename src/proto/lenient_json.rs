//! Accepts a deviation from JSON that other programs' readers accept and serde_json refuses: escapes of lone
//! surrogates (`"\ud83d"`), which JavaScript writes for one half of a split character. Pushpin accepts them from
//! publishers, applications and browsers. Readers call this for a text that serde_json refused, or that may contain
//! such escapes.

/// `json` with U+FFFD in place of each lone surrogate; `None` if there is none.
pub fn without_lone_surrogates(json: &[u8]) -> Option<Vec<u8>> {
    let mut repaired: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(offset) = memchr::memchr(b'\\', json.get(at..).unwrap_or_default()) {
        at += offset;
        match (surrogate(json, at), surrogate(json, at + ESCAPE)) {
            (Some(Surrogate::High), Some(Surrogate::Low)) => at += 2 * ESCAPE,
            (Some(_), _) => {
                let copy = repaired.get_or_insert_with(|| json.to_vec());
                if let Some(digits) = copy.get_mut(at + 2..at + ESCAPE) {
                    digits.copy_from_slice(b"fffd");
                }
                at += ESCAPE;
            }
            // Skips the backslash and the character that it escapes, which may be another backslash.
            (None, _) => at += 2,
        }
    }
    repaired
}

/// The length of `\uXXXX`.
const ESCAPE: usize = 6;

/// One half of a character beyond U+FFFF.
enum Surrogate {
    High,
    Low,
}

/// The surrogate whose escape is at `at`.
fn surrogate(json: &[u8], at: usize) -> Option<Surrogate> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    match digits.to_ascii_lowercase().as_slice() {
        [b'd', b'8'..=b'9' | b'a'..=b'b', x, y] if both_hex(*x, *y) => Some(Surrogate::High),
        [b'd', b'c'..=b'f', x, y] if both_hex(*x, *y) => Some(Surrogate::Low),
        _ => None,
    }
}

fn both_hex(x: u8, y: u8) -> bool {
    x.is_ascii_hexdigit() && y.is_ascii_hexdigit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_of_characters_are_replaced_and_whole_ones_kept() {
        let cases = [
            (r#""\ud83d""#, Some(r#""\ufffd""#)),
            (r#""\uDE00x""#, Some(r#""\ufffdx""#)),
            (r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\ude00\ud83d""#, Some(r#""\ufffd\ufffd""#)),
            (r#""\\\ud83d\\ud83d""#, Some(r#""\\\ufffd\\ud83d""#)),
            (r#""\ud83d\ude00""#, None),
            (r#""\\ud83d""#, None),
            (r#""\u00e9\ud8""#, None),
            (r#""\ud8zz""#, None),
            (r#""\"#, None),
        ];
        for (json, expected) in cases {
            let repaired = without_lone_surrogates(json.as_bytes());
            assert_eq!(repaired.as_deref(), expected.map(str::as_bytes), "{json}");
        }
    }

    proptest! {
        /// A text that serde_json reads is unchanged; a text that serde_json refuses only for its surrogates can then
        /// be read.
        #[test]
        fn any_text_of_escapes_is_read(units in prop::collection::vec(
            prop_oneof![any::<u16>(), 0xd800..0xe000u16], 0..12)
        ) {
            let escapes: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let json = format!("\"{escapes}\"");
            let repaired = without_lone_surrogates(json.as_bytes());
            prop_assert_eq!(repaired.is_some(), serde_json::from_str::<String>(&json).is_err());
            let read: String = serde_json::from_slice(repaired.as_deref().unwrap_or(json.as_bytes())).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }

        #[test]
        fn no_bytes_make_it_panic(json in prop::collection::vec(prop_oneof![Just(b'\\'), Just(b'u'), Just(b'd'),
            Just(b'8'), any::<u8>()], 0..40)) {
            let length = without_lone_surrogates(&json).map(|repaired| repaired.len());
            prop_assert!(length.is_none_or(|length| length == json.len()));
        }
    }
}
