//! Header fields that remember how their names were spelled. Names mean the same in any case (RFC 9110 section 5.1),
//! so `HeaderMap` keeps them in lower case. But some programs compare names exactly, so a proxy passes them on
//! unchanged. [`Headers`] is a `HeaderMap` with the spelling of those names that [`put_name`] would spell otherwise.
//! Code that copies fields from one message to another also copies their spelling, by [`Headers::spell_as`]; names
//! without a spelling are written in the usual way.

use super::field_names::{put_name, title_case, usual_name};
use bytes::{BufMut, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::ops::{Deref, DerefMut};

/// Header fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    map: HeaderMap,
    /// Names with an unusual spelling, each with a colon after it. Some may no longer be in the map.
    unusual: String,
}

/// The field cannot be sent, or the map is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header field cannot be sent")]
pub struct FieldRefused;

impl Headers {
    /// No fields.
    pub fn new() -> Headers {
        Headers::default()
    }

    /// No fields, with room for `capacity`.
    pub fn with_capacity(capacity: usize) -> Headers {
        HeaderMap::with_capacity(capacity).into()
    }

    /// Adds a field whose name is spelled `written`. The first spelling of a name holds for all its fields.
    ///
    /// # Errors
    /// The name or the value is invalid, or the map is full.
    pub fn append_as(&mut self, written: &[u8], value: HeaderValue) -> Result<(), FieldRefused> {
        let name = HeaderName::from_bytes(written).map_err(|_| FieldRefused)?;
        let is_repeated = self.map.try_append(&name, value).map_err(|_| FieldRefused)?;
        if !is_repeated {
            self.note(&name, written);
        }
        Ok(())
    }

    /// Spells names that are in both as `other` spells them.
    pub fn spell_as(&mut self, other: &Headers) {
        if other.unusual.is_empty() {
            return;
        }
        let mut unusual = String::new();
        for written in other.unusual.split_terminator(':') {
            if self.map.contains_key(written) {
                unusual.push_str(written);
                unusual.push(':');
            }
        }
        unusual.push_str(&self.unusual);
        self.unusual = unusual;
    }

    /// Spells the name of a field `written`, which is that name in any case.
    pub fn spell(&mut self, name: &HeaderName, written: &str) {
        if self.spelled(name) != Some(written) && is_spelling_of(written.as_bytes(), name) {
            let before = std::mem::take(&mut self.unusual);
            self.unusual = format!("{written}:{before}");
        }
    }

    /// Forgets the spelling of names that are no longer in the map.
    pub fn forget_absent(&mut self) {
        let (map, unusual) = (&self.map, std::mem::take(&mut self.unusual));
        let present = unusual.split_terminator(':').filter(|written| map.contains_key(*written));
        self.unusual = present.flat_map(|written| [written, ":"]).collect();
    }

    /// Appends each field that `is_wanted` accepts, one line each.
    pub fn put_fields(&self, out: &mut BytesMut, is_wanted: impl Fn(&HeaderName) -> bool) {
        let mut spellings = Spellings { all: &self.unusual, rest: &self.unusual };
        for (name, value) in &self.map {
            if !is_wanted(name) {
                continue;
            }
            put_spelled(out, name, spellings.of(name));
            out.put_slice(b": ");
            out.put_slice(value.as_bytes());
            out.put_slice(b"\r\n");
        }
    }

    /// Appends a name in its spelling.
    pub fn put_name(&self, out: &mut BytesMut, name: &HeaderName) {
        put_spelled(out, name, self.spelled(name));
    }

    /// The name's spelling, if it is unusual.
    pub fn spelled(&self, name: &HeaderName) -> Option<&str> {
        Spellings { all: &self.unusual, rest: &self.unusual }.of(name)
    }

    fn note(&mut self, name: &HeaderName, written: &[u8]) {
        if is_usual(name, written) {
            return;
        }
        if let Ok(written) = std::str::from_utf8(written) {
            self.unusual.push_str(written);
            self.unusual.push(':');
        }
    }
}

fn put_spelled(out: &mut BytesMut, name: &HeaderName, spelled: Option<&str>) {
    match spelled {
        Some(written) => out.put_slice(written.as_bytes()),
        None => put_name(out, name.as_str()),
    }
}

/// Finds spellings. Fields come in the order in which their spellings were noted, so each search begins where the
/// search before it ended.
struct Spellings<'a> {
    all: &'a str,
    rest: &'a str,
}

impl<'a> Spellings<'a> {
    fn of(&mut self, name: &HeaderName) -> Option<&'a str> {
        if self.all.is_empty() {
            return None;
        }
        self.search(self.rest, name).or_else(|| self.search(self.all, name))
    }

    fn search(&mut self, within: &'a str, name: &HeaderName) -> Option<&'a str> {
        let mut rest = within;
        while let Some((written, after)) = rest.split_once(':') {
            if is_spelling_of(written.as_bytes(), name) {
                self.rest = after;
                return Some(written);
            }
            rest = after;
        }
        None
    }
}

fn is_spelling_of(written: &[u8], name: &HeaderName) -> bool {
    written.eq_ignore_ascii_case(name.as_str().as_bytes())
}

/// Whether `written` is the usual spelling of the name.
fn is_usual(name: &HeaderName, written: &[u8]) -> bool {
    match usual_name(name.as_str()) {
        Some(usual) => usual.as_bytes() == written,
        None => title_case(name.as_str()).eq(written.iter().copied()),
    }
}

impl Deref for Headers {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        &self.map
    }
}

impl DerefMut for Headers {
    fn deref_mut(&mut self) -> &mut HeaderMap {
        &mut self.map
    }
}

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Headers {
        Headers { map, unusual: String::new() }
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a HeaderName, &'a HeaderValue);
    type IntoIter = header::Iter<'a, HeaderValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.map.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(names: &[&str]) -> Headers {
        let mut headers = Headers::new();
        for name in names {
            headers.append_as(name.as_bytes(), HeaderValue::from_static("v")).unwrap();
        }
        headers
    }

    fn written(headers: &Headers) -> Vec<String> {
        let mut out = BytesMut::new();
        headers.put_fields(&mut out, |_| true);
        let lines = String::from_utf8(out.to_vec()).unwrap();
        lines.lines().map(|line| line.strip_suffix(": v").unwrap().to_owned()).collect()
    }

    #[test]
    fn only_what_is_not_written_so_anyway_is_remembered() {
        let usual = headers(&["Content-Type", "ETag", "X-Request-Id", "WWW-Authenticate"]);
        assert_eq!(usual.unusual, "");
        let unusual = ["content-type", "Etag", "X-Request-ID"];
        assert_eq!(written(&headers(&unusual)), unusual);
    }

    #[test]
    fn the_first_spelling_of_a_name_holds() {
        assert_eq!(written(&headers(&["x-A", "X-a", "y"])), ["x-A", "x-A", "y"]);
        let repeated = headers(&["X-A", "x-a"]);
        assert_eq!(written(&repeated), ["X-A", "X-A"]);
    }

    #[test]
    fn spellings_are_taken_over_with_the_fields() {
        let mut copy = Headers::new();
        copy.insert("x-a", HeaderValue::from_static("v"));
        copy.spell_as(&headers(&["X-a", "x-GONE"]));
        copy.insert("x-gone", HeaderValue::from_static("v"));
        assert_eq!(written(&copy), ["X-a", "X-Gone"], "what was not there is not spelled");
        copy.spell(&HeaderName::from_static("x-gone"), "x-GoNe");
        copy.spell(&HeaderName::from_static("x-a"), "another");
        assert_eq!(written(&copy), ["X-a", "x-GoNe"]);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "a b", "a:b", "a\r\n"] {
            assert!(Headers::new().append_as(name.as_bytes(), HeaderValue::from_static("v")).is_err());
        }
    }

    proptest! {
        #[test]
        fn names_that_differ_are_written_as_they_came(
            names in prop::collection::hash_map("[a-z-]{1,4}", prop::collection::vec(any::<bool>(), 4), 1..30),
        ) {
            let spell = |(name, upper): (&String, &Vec<bool>)| -> String {
                let one = |(byte, upper): (char, &bool)| if *upper { byte.to_ascii_uppercase() } else { byte };
                name.chars().zip(upper).map(one).collect()
            };
            let names: Vec<String> = names.iter().map(spell).collect();
            let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
            prop_assert_eq!(written(&headers(&borrowed)), names);
        }
    }
}
