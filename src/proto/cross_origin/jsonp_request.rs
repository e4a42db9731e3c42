//! A request that a page makes by loading a script: a GET whose query names the function to call with the answer, and
//! optionally another method, headers and a body. [`read`] takes these out of the query, so the application gets the
//! intended request. Names and meanings are Pushpin's, with one exception: a callback that is more than a name is
//! refused, because a link could make this host serve any script with it.

use super::jsonp_script::{Mode, Script};
use crate::proto::http1::Headers;
use crate::proto::script::is_name;
use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// How a route reads JSON-P requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonpSettings {
    /// What the script contains of the answer.
    pub mode: Mode,
    /// The parameter that names the function; `callback` by default.
    pub callback: Option<String>,
    /// The parameter with the body, which is then JSON; `_body` by default.
    pub body: Option<String>,
    /// The function to call if the request has a body but names no function.
    pub default_callback: Option<String>,
    /// The method of requests that name none; the mode decides by default.
    pub default_method: Option<Method>,
}

/// The intended request.
#[derive(Debug, PartialEq, Eq)]
pub struct JsonpRequest {
    /// The request's method.
    pub method: Method,
    /// The path and query without this server's parameters.
    pub target: String,
    /// Headers that replace the client's headers of the same names.
    pub headers: Headers,
    /// The request's body, if any.
    pub body: Option<Bytes>,
    /// How the answer becomes a script.
    pub script: Script,
}

/// Why a JSON-P request is invalid: the name of the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid {0} parameter.")]
pub struct JsonpError(&'static str);

/// Reads the GET of `target`; `None` if the request does not ask for a script.
///
/// # Errors
/// The parameter that is invalid.
pub fn read(target: &str, settings: &JsonpSettings) -> Result<Option<JsonpRequest>, JsonpError> {
    let Some((path, query)) = target.split_once('?') else { return Ok(None) };
    let mut query = Query { rest: query.split('&').collect() };
    let callback = query.take(settings.callback.as_deref().unwrap_or("callback"));
    let (body_name, body_is_json) = match &settings.body {
        Some(name) => (name.as_str(), true),
        None => ("_body", false),
    };
    let callback = match (callback, &settings.default_callback) {
        (Some(named), _) => decode(named).filter(|named| is_name(named)).ok_or(JsonpError("callback"))?,
        (None, Some(default)) if body_is_json && query.has(body_name) => Cow::Borrowed(default.as_str()),
        (None, _) => return Ok(None),
    };
    let method = match query.take("_method") {
        Some(named) => decode(named).and_then(|named| named.parse().ok()).ok_or(JsonpError("_method"))?,
        None => settings.default_method.clone().unwrap_or(settings.mode.default_method()),
    };
    // Applications do not get these methods from other clients either.
    if [Method::CONNECT, Method::TRACE].contains(&method) {
        return Err(JsonpError("_method"));
    }
    let mut headers = match query.take("_headers") {
        Some(named) => decode(named).and_then(|named| header_map(&named)).ok_or(JsonpError("_headers"))?,
        None => Headers::new(),
    };
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    let body = query.take(body_name).map(|body| Bytes::from(percent_decode_str(body).collect::<Vec<u8>>()));
    if body_is_json && body.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let script = Script::new(&callback, settings.mode);
    Ok(Some(JsonpRequest { method, target: query.after(path), headers, body, script }))
}

/// The parameters of a query that are not taken yet.
struct Query<'a> {
    rest: Vec<&'a str>,
}

impl<'a> Query<'a> {
    /// Takes out all parameters of this name; returns the value of the first one, still encoded.
    fn take(&mut self, name: &str) -> Option<&'a str> {
        let mut first = None;
        self.rest.retain(|pair| match named(pair) {
            (found, value) if found == name => {
                first = first.or(Some(value));
                false
            }
            _ => true,
        });
        first
    }

    fn has(&self, name: &str) -> bool {
        self.rest.iter().any(|pair| named(pair).0 == name)
    }

    /// The path with the parameters that are left.
    fn after(self, path: &str) -> String {
        match self.rest.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", self.rest.join("&")),
        }
    }
}

fn named(pair: &str) -> (&str, &str) {
    pair.split_once('=').unwrap_or((pair, ""))
}

fn decode(value: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(value).decode_utf8().ok()
}

/// Headers from a JSON object of strings, without `Host` (the URI names the host) and `Accept` (only a script is
/// acceptable).
fn header_map(json: &str) -> Option<Headers> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).ok()?;
    let mut headers = Headers::new();
    for (name, value) in members {
        let written = name;
        let name: HeaderName = written.parse().ok()?;
        let value = HeaderValue::from_str(value.as_str()?).ok()?;
        if name != header::HOST && name != header::ACCEPT {
            headers.try_insert(&name, value).ok()?;
            headers.spell(&name, &written);
        }
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(target: &str, settings: &JsonpSettings) -> Option<JsonpRequest> {
        read(target, settings).unwrap()
    }

    #[test]
    fn only_what_names_a_function_asks_for_a_script() {
        let plain = JsonpSettings::default();
        for target in ["/a", "/a?", "/a?b=1", "/a?callbacks=f", "/a?_method=POST&_body=x"] {
            assert_eq!(asked(target, &plain), None, "{target}");
        }
        let found = asked("/a?x=%2f&callback=jQuery1.f[0]&y", &plain).unwrap();
        assert_eq!((found.target.as_str(), found.method, found.body), ("/a?x=%2f&y", Method::GET, None));
        assert_eq!(found.headers[header::ACCEPT], "*/*");
    }

    #[test]
    fn method_headers_and_body_are_taken_out_of_the_query() {
        let headers = "%7b%22X-New%22:%22n%22,%22Host%22:%22h%22,%22accept%22:%22a%22%7d";
        let target = format!("/a?callback=f&_method=PATCH&_headers={headers}&_body=x%20+y");
        let found = asked(&target, &JsonpSettings::default()).unwrap();
        assert_eq!((found.target.as_str(), found.method), ("/a", Method::PATCH));
        assert_eq!(found.body.as_deref(), Some(&b"x +y"[..]));
        assert_eq!((found.headers.len(), found.headers["x-new"].as_bytes()), (2, &b"n"[..]));
    }

    #[test]
    fn a_route_may_name_other_parameters_and_defaults() {
        let settings = JsonpSettings {
            mode: Mode::Basic,
            callback: Some("cb".into()),
            body: Some("b".into()),
            default_callback: Some("d".into()),
            default_method: None,
        };
        assert_eq!(asked("/a?callback=f", &settings), None);
        let found = asked("/a?b=%7b%7d&_body=1", &settings).unwrap();
        assert_eq!((found.target.as_str(), found.method), ("/a?_body=1", Method::POST));
        assert_eq!(found.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(found.script, Script::new("d", Mode::Basic));
        let settings = JsonpSettings { default_method: Some(Method::PUT), ..settings };
        assert_eq!(asked("/a?cb=f", &settings).unwrap().method, Method::PUT);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let table = [
            ("callback=", "callback"),
            ("callback", "callback"),
            ("callback=alert(1);f", "callback"),
            ("callback=%ff", "callback"),
            ("callback=f&_method=P%20X", "_method"),
            ("callback=f&_method=", "_method"),
            ("callback=f&_method=TRACE", "_method"),
            ("callback=f&_method=CONNECT", "_method"),
            ("callback=f&_headers=%7b", "_headers"),
            ("callback=f&_headers=%7b%22a%22:1%7d", "_headers"),
            ("callback=f&_headers=%7b%22a%22:%22x%5cn%22%7d", "_headers"),
            ("callback=f&_headers=[]", "_headers"),
        ];
        for (query, name) in table {
            let refused = read(&format!("/?{query}"), &JsonpSettings::default());
            assert_eq!(refused, Err(JsonpError(name)), "{query}");
        }
        assert_eq!(JsonpError("callback").to_string(), "Invalid callback parameter.");
    }

    proptest! {
        #[test]
        fn any_target_is_read_without_panic(target in "/\\PC{0,5}(\\?(callback|_headers|_body|&|=|%7b|\\PC){0,12})?") {
            let _ = read(&target, &JsonpSettings::default());
        }
    }
}
