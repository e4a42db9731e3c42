//! The lines between the data of the chunked coding (RFC 9112 section 7.1): sizes with their extensions, and trailer
//! fields. `body` calls this with whole lines. Extensions and trailers have no meaning here, but must still follow
//! their grammar: if servers skip such a line leniently, two of them may find its end, and thus the next request, in
//! different places.

use super::grammar::is_token_byte;

/// The chunk size in `line`, which has no line end; `None` if the line is malformed. At most 16 digits.
pub(super) fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extensions) = line.split_at_checked(digits)?;
    // White space before extensions is refused, though the grammar has it (as "bad" white space).
    let is_followed = matches!(extensions.first(), None | Some(b';'));
    if !(1..=16).contains(&digits) || !is_followed || !are_extensions(extensions) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}

/// Whether `line` is a trailer field: a token, a colon and a value. The caller has checked the bytes of the value.
pub(super) fn is_trailer_field(line: &[u8]) -> bool {
    without_token(line).is_some_and(|rest| rest.first() == Some(&b':'))
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`
fn are_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        match extension(rest) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// The rest of `rest` after the extension at its front, if there is one.
fn extension(rest: &[u8]) -> Option<&[u8]> {
    let rest = without_space(rest).strip_prefix(b";")?;
    let rest = without_token(without_space(rest))?;
    match without_space(rest).strip_prefix(b"=") {
        None => Some(rest),
        Some(value) => without_value(without_space(value)),
    }
}

fn without_space(rest: &[u8]) -> &[u8] {
    let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    rest.get(space..).unwrap_or_default()
}

fn without_token(rest: &[u8]) -> Option<&[u8]> {
    let length = rest.iter().take_while(|byte| is_token_byte(**byte)).count();
    rest.get(length..).filter(|_| length > 0)
}

/// The rest after a token or a quoted string (RFC 9110 section 5.6.4). The caller has checked that all bytes are
/// valid in a line.
fn without_value(rest: &[u8]) -> Option<&[u8]> {
    let Some(mut rest) = rest.strip_prefix(b"\"") else { return without_token(rest) };
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', _, after @ ..] => after,
            [b'\\'] | [] => return None,
            [_, after @ ..] => after,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_follow_their_grammar() {
        let sound = [
            "1",
            "1;a",
            "1;a=b",
            "1;a=\"b;c\"",
            "1;a=\"\\\"\"",
            "1;a=\"\"",
            "1;a;b=c;d",
            "1; a = b ; c",
            "1;\ta",
        ];
        for line in sound {
            assert_eq!(chunk_size(line.as_bytes()), Some(1), "{line:?}");
        }
        let malformed = [
            "1;",
            "1;;a",
            "1;a=",
            "1;=b",
            "1;a=b c",
            "1;a=\"b",
            "1;a=\"b\"c",
            "1;a=\"\\",
            "1;a=\"\\\"",
            "1;a b",
            "1;a ",
            "1;(",
            "1;a=b=c",
            "1;a,b",
            "1 ",
            "1 ;a",
            "1\t;a",
            "1;\u{e9}",
        ];
        for line in malformed {
            assert_eq!(chunk_size(line.as_bytes()), None, "{line:?}");
        }
    }

    #[test]
    fn sizes_are_hexadecimal_and_bounded() {
        assert_eq!(chunk_size(b"00fF"), Some(255));
        assert_eq!(chunk_size(b"ffffffffffffffff"), Some(u64::MAX));
        for line in ["", "g", "+1", "-1", "0x1", " 1", "11111111111111111", ";a"] {
            assert_eq!(chunk_size(line.as_bytes()), None, "{line:?}");
        }
    }

    #[test]
    fn a_trailer_field_has_a_name_and_a_colon() {
        for line in ["a: b", "A:", "x-y:\"z\""] {
            assert!(is_trailer_field(line.as_bytes()), "{line}");
        }
        for line in ["", ":", "a", "a b: c", " a: b", "a : b", "GET / HTTP/1.1", "0"] {
            assert!(!is_trailer_field(line.as_bytes()), "{line}");
        }
    }
}
