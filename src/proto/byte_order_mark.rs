//! The byte order mark that some editors, and .NET, write before a text in UTF-8 (RFC 3629 section 6). Readers of
//! files and JSON from other programs skip the mark.

/// `text` without a byte order mark at its beginning.
pub fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_at_the_beginning_is_skipped() {
        for (text, rest) in
            [("\u{feff}{}", "{}"), ("{}\u{feff}", "{}\u{feff}"), ("\u{feff}\u{feff}", "\u{feff}")]
        {
            assert_eq!(without_bom(text.as_bytes()), rest.as_bytes());
        }
        assert_eq!(without_bom(b"\xef\xbb"), b"\xef\xbb");
    }
}
