//! List headers with parameters, `value; name=token; name="quoted"`, repeated or separated by commas: the common
//! syntax of Grip-Channel, Grip-Keep-Alive, Grip-Set-Meta and Grip-Link. Called by their readers only. A malformed or
//! empty element is left out (RFC 9110 section 5.6.1.2); nothing here fails.

use http::HeaderMap;
use std::borrow::Cow;

/// One element of a list header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// The part before the first semicolon, trimmed, quotes included.
    pub value: &'a [u8],
    parameters: Vec<Parameter<'a>>,
}

/// A parameter's name and unquoted value; a bare name has an empty value.
pub(super) type Parameter<'a> = (&'a [u8], Cow<'a, [u8]>);

impl<'a> Element<'a> {
    /// Reads a whole header line as one element.
    pub fn parse(line: &'a [u8]) -> Option<Element<'a>> {
        Element::with_value_end(line, find(line, b';', 0))
    }

    /// The value of the first parameter of this name, in any case.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|p| p.0.eq_ignore_ascii_case(name.as_bytes())).map(|p| &*p.1)
    }

    /// The values of all parameters of exactly this name.
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e [u8]> {
        self.parameters.iter().filter(move |p| p.0 == name.as_bytes()).map(|p| &*p.1)
    }

    /// Whether there are any parameters.
    pub fn has_parameters(&self) -> bool {
        !self.parameters.is_empty()
    }

    fn with_value_end(input: &'a [u8], end: usize) -> Option<Element<'a>> {
        let (value, rest) = input.split_at(end.min(input.len()));
        let parameters = parameters(rest.strip_prefix(b";").unwrap_or(rest))?;
        Some(Element { value: value.trim_ascii(), parameters })
    }
}

/// The elements of all headers called `name`.
pub(super) fn elements<'a>(headers: &'a HeaderMap, name: &str) -> Vec<Element<'a>> {
    let parts = headers.get_all(name).into_iter().flat_map(|line| split(line.as_bytes(), Uris::No));
    parts.filter_map(Element::parse).collect()
}

/// The elements of all headers called `name`, whose values are `<uri>`. A comma or semicolon within the brackets
/// belongs to the URI (RFC 8288 section 3).
pub(super) fn link_elements<'a>(headers: &'a HeaderMap, name: &str) -> Vec<Element<'a>> {
    let parts = headers.get_all(name).into_iter().flat_map(|line| split(line.as_bytes(), Uris::Yes));
    parts.filter_map(|part| Element::with_value_end(part, find(part, b';', uri_end(part)))).collect()
}

/// The first `name=value` of each element of all headers called `name`.
pub(super) fn pairs<'a>(headers: &'a HeaderMap, name: &str) -> Vec<Parameter<'a>> {
    let parts = headers.get_all(name).into_iter().flat_map(|line| split(line.as_bytes(), Uris::No));
    parts.filter_map(parameters).filter_map(|all| all.into_iter().next()).collect()
}

/// A header's bytes as text. Invalid UTF-8 is replaced; this is harmless, because names are only compared.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether elements begin with a URI in brackets.
#[derive(Clone, Copy, PartialEq)]
enum Uris {
    No,
    Yes,
}

/// Splits at commas outside quotes (and, with `Uris::Yes`, outside a leading `<uri>`).
fn split(line: &[u8], uris: Uris) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = line.trim_ascii();
    while !rest.is_empty() {
        let from = if uris == Uris::Yes { uri_end(rest) } else { 0 };
        let end = find_unquoted(rest, b',', from);
        let (part, tail) = rest.split_at(end);
        if !part.trim_ascii().is_empty() {
            parts.push(part.trim_ascii());
        }
        rest = tail.strip_prefix(b",").unwrap_or(tail).trim_ascii_start();
    }
    parts
}

/// Reads `name=value; name="value"; name`. `None` if a quote is not closed.
fn parameters(mut rest: &[u8]) -> Option<Vec<Parameter<'_>>> {
    let mut all = Vec::new();
    while !rest.is_empty() {
        let name_end = rest.iter().position(|b| matches!(b, b'=' | b';')).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(name_end);
        let (value, tail) = match tail.strip_prefix(b"=") {
            None => (Cow::Borrowed(&b""[..]), tail),
            Some(tail) => match tail.strip_prefix(b"\"") {
                Some(quoted) => unquote(quoted)?,
                None => {
                    let (token, tail) = tail.split_at(find(tail, b';', 0));
                    (Cow::Borrowed(token.trim_ascii()), tail)
                }
            },
        };
        if !(name.trim_ascii().is_empty() && value.is_empty()) {
            all.push((name.trim_ascii(), value));
        }
        rest = tail.get(find(tail, b';', 0) + 1..).unwrap_or_default();
    }
    Some(all)
}

/// The value of a quoted string, whose opening quote is already consumed, and the rest after its closing quote.
fn unquote(input: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let end = input.iter().position(|b| matches!(b, b'"' | b'\\'))?;
    if input[end] == b'"' {
        return Some((Cow::Borrowed(&input[..end]), &input[end + 1..]));
    }
    let mut value = input[..end].to_vec();
    let mut rest = &input[end..];
    loop {
        match rest {
            [b'"', tail @ ..] => return Some((Cow::Owned(value), tail)),
            [b'\\', escaped, tail @ ..] => {
                value.push(*escaped);
                rest = tail;
            }
            [b'\\'] | [] => return None,
            [plain, tail @ ..] => {
                value.push(*plain);
                rest = tail;
            }
        }
    }
}

/// The position of `wanted` at or after `from`, or the end.
fn find(input: &[u8], wanted: u8, from: usize) -> usize {
    let tail = input.get(from..).unwrap_or_default();
    memchr::memchr(wanted, tail).map_or(input.len(), |at| from + at)
}

/// The position of `wanted` outside quotes at or after `from`, or the end; an unclosed quote runs to the end.
fn find_unquoted(input: &[u8], wanted: u8, from: usize) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, &byte) in input.iter().enumerate().skip(from) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == wanted && !quoted => return at,
            _ => {}
        }
    }
    input.len()
}

/// The end of a leading `<uri>`; 0 if there is none.
fn uri_end(input: &[u8]) -> usize {
    match input.first() {
        Some(b'<') => memchr::memchr(b'>', input).map_or(0, |at| at + 1),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn channels(lines: &[&str]) -> Vec<(String, Option<String>)> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("grip-channel", HeaderValue::from_str(line).unwrap());
        }
        let all = elements(&headers, "grip-channel");
        all.iter().map(|e| (text(e.value), e.parameter("prev-id").map(text))).collect()
    }

    #[test]
    fn elements_repeat_or_are_separated_by_commas() {
        let all = channels(&["a, b; prev-id=1 ,, c;Prev-Id=\"x, \\\"y\\\"\"", "d"]);
        let want = [("a", None), ("b", Some("1")), ("c", Some("x, \"y\"")), ("d", None)];
        assert_eq!(all, want.map(|(name, id)| (name.to_string(), id.map(str::to_string))));
    }

    #[test]
    fn an_element_that_cannot_be_read_is_left_out() {
        assert_eq!(channels(&["a", "b; prev-id=\"open", "c"]).len(), 2);
        assert_eq!(channels(&["b; prev-id=\"x\\"]).len(), 0);
        assert_eq!(channels(&["", " , "]).len(), 0);
    }

    #[test]
    fn a_link_may_hold_commas_and_semicolons() {
        let mut headers = HeaderMap::new();
        headers.append("grip-link", HeaderValue::from_static("</a?b=1,2;3>; rel=next, </b>; rel=gone"));
        let all = link_elements(&headers, "grip-link");
        assert_eq!(all.iter().map(|e| e.value).collect::<Vec<_>>(), [&b"</a?b=1,2;3>"[..], b"</b>"]);
        assert_eq!(all[1].parameter("rel"), Some(&b"gone"[..]));
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(value) = HeaderValue::from_bytes(&line) {
                let mut headers = HeaderMap::new();
                headers.append("x", value);
                elements(&headers, "x");
                link_elements(&headers, "x");
                pairs(&headers, "x");
            }
        }

        #[test]
        fn a_quoted_parameter_reads_back(value in "[ -~]{0,30}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let all = channels(&[&format!("name; a=1; prev-id=\"{quoted}\"; b")]);
            prop_assert_eq!(all, vec![("name".to_string(), Some(value))]);
        }
    }
}
