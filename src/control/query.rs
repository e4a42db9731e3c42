//! Reads the target of a request to the control port: its path, and the parameters of its query.

use percent_encoding::percent_decode_str;

/// The parts of a target, as they were sent.
#[derive(Clone, Copy)]
pub(super) struct Query<'t> {
    /// The path, without a trailing slash.
    pub path: &'t str,
    query: &'t str,
}

impl<'t> Query<'t> {
    /// Splits `target`.
    pub fn of(target: &'t str) -> Query<'t> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Query { path: path.strip_suffix('/').unwrap_or(path), query }
    }

    /// The decoded value of a parameter.
    pub fn text(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(known, _)| *known == name).and_then(|(_, value)| decoded(value))
    }

    /// Whether a parameter is set to true: by `true`, `1`, or without a value.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| matches!(value.as_str(), "true" | "1" | ""))
    }

    /// The number in a parameter, but at most `max`; `otherwise` if there is no such parameter.
    ///
    /// # Errors
    /// If the value is no number.
    pub fn number(&self, name: &'static str, otherwise: u64, max: u64) -> Result<u64, BadQuery> {
        match self.text(name) {
            None => Ok(otherwise),
            Some(text) => text.parse().map(|number: u64| number.min(max)).map_err(|_| BadQuery(name)),
        }
    }
}

/// A parameter has an invalid value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("Invalid query: '{0}' has an invalid value.\n")]
pub(super) struct BadQuery(pub &'static str);

/// A part of a target with its percent-encoding decoded; `None` if the result is not UTF-8.
pub(super) fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_a_path_and_parameters() {
        let query = Query::of("/publish/?receipt&wait_ms=70&prefix=a%2Fb");
        assert_eq!((query.path, query.flag("receipt"), query.flag("prefix")), ("/publish", true, false));
        assert_eq!(query.text("prefix").as_deref(), Some("a/b"));
        assert_eq!(query.number("wait_ms", 5, 60), Ok(60));
        assert_eq!(query.number("limit", 5, 60), Ok(5));
        assert_eq!(query.number("prefix", 5, 60), Err(BadQuery("prefix")));
        assert_eq!(Query::of("/").path, "");
    }
}
