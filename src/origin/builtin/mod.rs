//! Applications that need no socket: `test`, which Pushpin has too, and `demo`, what a new user sees first.

mod demo;
mod test;

use super::error::OriginError;
use super::request::{Request, RequestBody};
use super::response::{Response, ResponseBody};
use super::route::{Destination, Route};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;

/// Bytes of a request body that a built-in application takes.
const BODY_BYTES: usize = 100_000;

/// What a built-in application is asked.
struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// Answers for `destination`.
pub(super) async fn answer(
    destination: &Destination,
    route: &Route,
    request: Request,
) -> Result<Response, OriginError> {
    let body = collect(request.body).await?;
    let (path, query) = request.path_and_query.split_once('?').unwrap_or((&request.path_and_query, ""));
    let path = route.local_path(path);
    let asked = Asked { method: &request.method, path, query, headers: &request.headers, body: &body };
    Ok(match destination {
        Destination::Demo => demo::answer(&asked),
        _ => test::answer(&asked),
    })
}

async fn collect(mut body: RequestBody) -> Result<Bytes, OriginError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| OriginError::Broken(error.to_string()))?;
        if let Ok(part) = frame.into_data() {
            whole.extend_from_slice(&part);
        }
        if whole.len() > BODY_BYTES {
            return Err(OriginError::RequestTooLarge);
        }
    }
    Ok(whole.freeze())
}

/// An answer with these fields; a value that cannot be one is left out.
fn respond(status: u16, fields: &[(&'static str, &str)], body: impl Into<Bytes>) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let body = ResponseBody::whole(body.into());
    Response { status, reason: None, headers, body, publish: Vec::new() }
}

/// The values of `name` in a query string.
fn query_values(query: &str, name: &str) -> Vec<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| decode(value)).collect()
}

/// Undoes the encoding of form fields.
fn decode(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
}
