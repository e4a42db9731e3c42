//! The INI dialect of `pushpin.conf`, which is Qt's QSettings format: a value is a list separated by commas, quotes
//! protect commas and spaces, backslashes escape, and a backslash at the end of a line joins the next line to it.
//! `pushpin` calls [`parse`], which reports each line that is neither an entry, a section, a comment nor blank.

/// One `key=value` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name of the section that contains the line; empty before the first section.
    pub section: String,
    /// The key.
    pub key: String,
    /// The parts of the value. The list has at least one part; a part may be empty text.
    pub values: Vec<String>,
    /// The line number, from 1.
    pub line: usize,
}

/// A line that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// `[` without `]`.
    #[error("a section without its closing `]`")]
    OpenSection,
    /// The line has no `=`.
    #[error("not `key=value`, a `[section]` or a `#` comment")]
    NotAnEntry,
    /// A quote that is not closed.
    #[error("a quote that is not closed")]
    OpenQuote,
}

/// Reads all entries, and returns the line numbers that are not readable beside them.
pub fn parse(text: &str) -> (Vec<Entry>, Vec<(usize, BadLine)>) {
    let (mut entries, mut bad) = (Vec::new(), Vec::new());
    let mut section = String::new();
    for (number, line) in logical_lines(text) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            match rest.split_once(']') {
                Some((name, _)) => section = name.trim().to_owned(),
                None => bad.push((number, BadLine::OpenSection)),
            }
            continue;
        }
        match entry(line) {
            Ok((key, values)) => entries.push(Entry { section: section.clone(), key, values, line: number }),
            Err(error) => bad.push((number, error)),
        }
    }
    (entries, bad)
}

fn entry(line: &str) -> Result<(String, Vec<String>), BadLine> {
    let (key, value) = line.split_once('=').ok_or(BadLine::NotAnEntry)?;
    match key.trim() {
        "" => Err(BadLine::NotAnEntry),
        key => Ok((key.to_owned(), split_values(value)?)),
    }
}

/// Lines with their numbers. A line that ends in a backslash is joined to the next line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut joining = false;
    for (index, line) in text.lines().enumerate() {
        // Two backslashes at the end are one escaped backslash and join nothing. A comment is never joined.
        let trailing = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
        let comment = !joining && line.trim_start().starts_with(['#', ';']);
        let joins_next = trailing % 2 == 1 && !comment;
        let body = if joins_next { &line[..line.len() - 1] } else { line };
        match lines.last_mut() {
            Some((_, last)) if joining => last.push_str(body),
            _ => lines.push((index + 1, body.to_owned())),
        }
        joining = joins_next;
    }
    lines
}

/// The parts of a value, unquoted and unescaped. Spaces around a part are dropped unless quoted.
fn split_values(text: &str) -> Result<Vec<String>, BadLine> {
    let mut values = Vec::new();
    let mut value = Part::default();
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                quoted = !quoted;
                value.keep_spaces();
            }
            '\\' => value.push_kept(unescape(&mut letters)),
            ',' if !quoted => values.push(std::mem::take(&mut value).finish()),
            _ if quoted => value.push_kept(letter),
            _ => value.push(letter),
        }
    }
    if quoted {
        return Err(BadLine::OpenQuote);
    }
    values.push(value.finish());
    Ok(values)
}

/// The character that an escape stands for; `letters` begins after the backslash. An unknown escape gives its letter.
fn unescape(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> char {
    match letters.next() {
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('x') => {
            let mut code = 0;
            while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(16)) {
                code = (code << 4 | digit) & 0xffff;
                letters.next();
            }
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        Some(letter) => letter,
        None => '\\',
    }
}

/// A part while it is read. The first `kept` bytes of `text` are not trimmed.
#[derive(Default)]
struct Part {
    text: String,
    kept: usize,
}

impl Part {
    fn push(&mut self, letter: char) {
        let leading = self.text.is_empty() && self.kept == 0;
        if !(leading && letter.is_whitespace()) {
            self.text.push(letter);
        }
    }

    fn push_kept(&mut self, letter: char) {
        self.text.push(letter);
        self.kept = self.text.len();
    }

    fn keep_spaces(&mut self) {
        self.kept = self.text.len();
    }

    fn finish(mut self) -> String {
        let end = self.text.trim_end().len().max(self.kept);
        self.text.truncate(end);
        self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<String> {
        split_values(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn entries_know_their_section_and_line() {
        let (entries, bad) = parse("top=1\n[proxy] \n# note\n; note\n\nsig_key = base64:AA==\r\n");
        let told: Vec<_> = entries
            .iter()
            .map(|e| (e.section.as_str(), e.key.as_str(), e.values[0].as_str(), e.line))
            .collect();
        assert_eq!(told, [("", "top", "1", 1), ("proxy", "sig_key", "base64:AA==", 6)]);
        assert_eq!(bad, []);
    }

    #[test]
    fn values_are_lists_with_quotes_and_escapes() {
        assert_eq!(values(""), [""]);
        assert_eq!(values(" a , b,c "), ["a", "b", "c"]);
        assert_eq!(values("\"a, b\" , \" c \""), ["a, b", " c "]);
        assert_eq!(values(r#"a\"b,c\\d,\x41,\n"#), ["a\"b", "c\\d", "A", "\n"]);
        assert_eq!(values("a=b"), ["a=b"]);
    }

    #[test]
    fn a_backslash_at_the_end_joins_the_next_line() {
        let (entries, _) = parse("a=1,\\\n2\nb=3\n# c\\\nd=4\n");
        assert_eq!(entries[0].values, ["1", "2"]);
        let lines: Vec<_> = entries.iter().map(|entry| (entry.key.as_str(), entry.line)).collect();
        assert_eq!(lines, [("a", 1), ("b", 3), ("d", 5)]);
    }

    #[test]
    fn lines_that_are_nothing_are_reported() {
        let (entries, bad) = parse("[open\nword\n=x\nk=\"open\n");
        assert_eq!(entries, []);
        let wanted = [
            (1, BadLine::OpenSection),
            (2, BadLine::NotAnEntry),
            (3, BadLine::NotAnEntry),
            (4, BadLine::OpenQuote),
        ];
        assert_eq!(bad, wanted);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            parse(&text);
        }

        #[test]
        fn no_line_of_syntax_makes_the_parser_panic(text in r#"[\[\]=,;#"\\x a\n]{0,40}"#) {
            let (entries, _) = parse(&text);
            prop_assert!(entries.iter().all(|entry| !entry.values.is_empty()));
        }
    }
}
