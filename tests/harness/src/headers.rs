//! A list of header fields in the order and spelling they had on the wire.
//!
//! Both ends use it: the client for answers, the origin for requests. Names compare without regard to case,
//! as RFC 9110 section 5.1 says; values are kept as received, less the white space around them.

/// Header fields as received.
#[derive(Clone, Debug, Default)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// Parses the lines of a head after its first. Panics on what is not a header line: both the server under
    /// test and its oracle must write well-formed heads.
    pub fn parse(lines: &str) -> Headers {
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a header line: {line:?}"));
            assert!(!name.is_empty() && !name.contains(char::is_whitespace), "bad header name in {line:?}");
            (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
        };
        Headers(lines.split("\r\n").filter(|line| !line.is_empty()).map(field).collect())
    }

    /// The value of the only field called `name`; panics if there are several.
    pub fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "several {name} fields: {all:?}");
        all.first().copied()
    }

    /// The values of every field called `name`, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Is there a field called `name`?
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// The names of fields that begin with `prefix`.
    pub fn starting_with(&self, prefix: &str) -> Vec<&str> {
        let begins =
            |name: &str| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
        self.0.iter().map(|(name, _)| name.as_str()).filter(|name| begins(name)).collect()
    }

    /// Does a comma-separated field called `name` contain `token`, compared without regard to case?
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .iter()
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(token))
    }
}
