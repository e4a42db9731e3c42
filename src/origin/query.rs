//! Paths, queries and forms of requests to the built-in applications.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// Splits `path?query` and drops the leading slash, which `path_beg` may have removed.
pub(super) fn split(path: &str) -> (&str, &str) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    (path.strip_prefix('/').unwrap_or(path), query)
}

/// The decoded values of `name` in a query or form (`a=1&b=two+words&c=%41`).
pub(super) fn values<'a>(query: &'a str, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(move |(key, _)| *key == name)
        .map(|(_, v)| decode(v))
}

/// Decodes the form encoding. A percent sign that encodes nothing stands for itself.
fn decode(encoded: &str) -> Cow<'_, str> {
    let spaced = encoded.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_forms_write_it() {
        let cases: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("channel=a", &["a"]),
            ("x=1&channel=a&channel=b+c", &["a", "b c"]),
            ("channel=%41%c3%a4", &["A\u{e4}"]),
            ("channel=100%&channel=%zz&channel=%4", &["100%", "%zz", "%4"]),
            ("channel&channels=1&channel=", &[""]),
        ];
        for (query, expected) in cases {
            assert_eq!(values(query, "channel").collect::<Vec<_>>(), expected, "{query}");
        }
    }

    #[test]
    fn the_leading_slash_may_belong_to_the_route() {
        for (path, expected) in [("/", ("", "")), ("", ("", "")), ("/a?b", ("a", "b")), ("a?", ("a", ""))] {
            assert_eq!(split(path), expected);
        }
    }
}
