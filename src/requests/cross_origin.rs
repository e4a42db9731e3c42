//! Requests from pages of other origins (CORS, JSONP), on routes where Gripwire answers for the application.

use crate::clients::{Exchange, Request};
use crate::origin::{Route, is_of_proxies};
use crate::proto::cross_origin::{Allowance, CrossOrigin, JsonpError, JsonpRequest, read};
use bytes::Bytes;
use http::Method;
use std::rc::Rc;

/// Gives the answer to `request` the headers that such a page needs. A JSONP request is replaced by the request that it
/// stands for. Returns the body of that request, if it has one.
///
/// # Errors
/// If the JSONP request is malformed.
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
    // This comes first, because the refusal of a malformed request needs these headers, too.
    answered(None);
    let meant = match request.method {
        Method::GET => read(&request.target, &route.jsonp)?,
        _ => None,
    };
    let Some(JsonpRequest { method, target, headers, body, script }) = meant else { return Ok(None) };
    answered(Some(script));
    (request.method, request.target) = (method, target);
    // Headers of a proxy in front of this server stay as they are: the page must not replace them.
    for (name, value) in headers.iter().filter(|(name, _)| !is_of_proxies(name)) {
        request.headers.insert(name, value.clone());
    }
    request.headers.spell_as(&headers);
    Ok(body)
}
