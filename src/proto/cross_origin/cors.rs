//! The headers that let a page of another origin read an answer in a browser (Fetch standard, section 3.3). As in
//! Pushpin, everything that the browser asks for is allowed. Headers that the application sets itself stay.

use crate::proto::http1::packing::optional_value;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

/// The fields of a browser's request that ask for permission.
#[derive(Debug, Serialize, Deserialize)]
pub struct Allowance {
    #[serde(with = "optional_value")]
    origin: Option<HeaderValue>,
    #[serde(with = "optional_value")]
    method: Option<HeaderValue>,
    #[serde(with = "optional_value")]
    headers: Option<HeaderValue>,
}

impl Allowance {
    /// The permissions that the request with these headers asks for.
    pub fn of(request: &HeaderMap) -> Allowance {
        let asked: Vec<&[u8]> = request
            .get_all(header::ACCESS_CONTROL_REQUEST_HEADERS)
            .iter()
            .map(HeaderValue::as_bytes)
            .filter(|names| !names.is_empty())
            .collect();
        Allowance {
            origin: request.get(header::ORIGIN).cloned(),
            method: request.get(header::ACCESS_CONTROL_REQUEST_METHOD).cloned(),
            headers: HeaderValue::from_bytes(&asked.join(&b", "[..])).ok().filter(|list| !list.is_empty()),
        }
    }

    /// Adds the headers that the application does not set.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        let methods = self.method.clone().unwrap_or(METHODS);
        let exposed = exposed(headers);
        add(headers, header::ACCESS_CONTROL_ALLOW_METHODS, Some(methods));
        add(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
        add(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        add(headers, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, Some(HeaderValue::from_static("true")));
        add(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, Some(self.origin.clone().unwrap_or(ANY)));
        add(headers, header::ACCESS_CONTROL_MAX_AGE, Some(HeaderValue::from_static("3600")));
    }
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value
        && !headers.contains_key(&name)
    {
        headers.insert(name, value);
    }
}

/// The names of headers that a page can read only if they are listed.
fn exposed(headers: &HeaderMap) -> Option<HeaderValue> {
    let hidden = headers.keys().filter(|name| {
        let is_known = name.as_str().starts_with("access-control-") || name.as_str().starts_with("grip-");
        !is_known && !SAFELISTED.contains(name)
    });
    let names: Vec<&str> = hidden.map(HeaderName::as_str).collect();
    HeaderValue::try_from(names.join(", ")).ok().filter(|_| !names.is_empty())
}

const METHODS: HeaderValue = HeaderValue::from_static("OPTIONS, HEAD, GET, POST, PUT, DELETE");
const ANY: HeaderValue = HeaderValue::from_static("*");
/// Headers that every page can read (Fetch standard, section 2.2.2).
static SAFELISTED: [HeaderName; 7] = [
    header::CACHE_CONTROL,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::PRAGMA,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_is_asked_for_is_allowed_and_what_is_said_stands() {
        let request = map(&[
            ("origin", "http://o"),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "X-A, X-B"),
            ("access-control-request-headers", "X-C"),
        ]);
        let mut headers =
            map(&[("etag", "e"), ("pragma", "p"), ("x-a", "1"), ("access-control-max-age", "1")]);
        Allowance::of(&request).add_to(&mut headers);
        let all = map(&[
            ("etag", "e"),
            ("pragma", "p"),
            ("x-a", "1"),
            ("access-control-max-age", "1"),
            ("access-control-allow-methods", "PATCH"),
            ("access-control-allow-headers", "X-A, X-B, X-C"),
            ("access-control-expose-headers", "etag, x-a"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-origin", "http://o"),
        ]);
        assert_eq!(headers, all);
    }

    #[test]
    fn nothing_is_listed_where_there_is_nothing() {
        let mut headers = map(&[("content-type", "t")]);
        Allowance::of(&HeaderMap::new()).add_to(&mut headers);
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!headers.contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS));
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_HEADERS));
    }
}
