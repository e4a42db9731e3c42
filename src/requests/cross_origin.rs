//! Requests of browsers whose page is of another origin, on routes where they are answered for the application.

use crate::clients::{Exchange, Request};
use crate::origin::{Route, is_of_proxies};
use crate::proto::cross_origin::{Allowance, CrossOrigin, JsonpError, JsonpRequest, read};
use bytes::Bytes;
use http::Method;
use std::rc::Rc;

/// Lets the answer to `request` have what such a browser needs. A request for a script becomes the one that is meant;
/// gives the body of that, if it has one.
pub fn prepare(
    exchange: &Exchange,
    request: &mut Request,
    route: &Route,
) -> Result<Option<Bytes>, JsonpError> {
    if !route.cross_origin && !exchange.context().settings().proxy.auto_cross_origin {
        return Ok(None);
    }
    let answered = |script| {
        let allowance = Allowance::of(&request.headers);
        exchange.set_cross_origin(Some(Rc::new(CrossOrigin { allowance, script })));
    };
    // Also for the refusal of what cannot be read.
    answered(None);
    let meant = match request.method {
        Method::GET => read(&request.target, &route.jsonp)?,
        _ => None,
    };
    let Some(JsonpRequest { method, target, headers, body, script }) = meant else { return Ok(None) };
    answered(Some(script));
    (request.method, request.target) = (method, target);
    // What a proxy in front of this server says stays, and what the page says in its place is not taken for that.
    for (name, value) in headers.iter().filter(|(name, _)| !is_of_proxies(name)) {
        request.headers.insert(name, value.clone());
    }
    request.headers.spell_as(&headers);
    Ok(body)
}
