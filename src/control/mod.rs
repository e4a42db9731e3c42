//! The control port. Where Pushpin has an answer to a call (GRIP control endpoint), the answer here is the same, byte
//! for byte. In contrast to Pushpin, a connection can be used for further requests, and requests may be pipelined.
//! Receipts, and the inspection of channels and clients of all cores, are additions.
//!
//! [`ControlPort`] (`port`) has the rooms of its core that it uses, and `call` is one call. This file finds out which
//! call a request is. `pages` refuses requests of pages in browsers, `access` decides what a caller may do,
//! `wrong_secrets` slows down guessing, `query` reads targets, `publishing` publishes, `inspection` lists channels and
//! clients, and `look_up` answers core queries about those of this core. `draining` ends the server, and `upgrade` has a
//! new process replace it. `prometheus` is the page of metrics, and `health` are the pages that orchestrators probe.

#![forbid(unsafe_code)]

mod access;
mod call;
mod draining;
pub mod health;
mod inspection;
mod look_up;
mod pages;
mod port;
pub mod prometheus;
mod publishing;
mod query;
mod upgrade;
mod wrong_secrets;

pub use port::{AskToDrain, AskToUpgrade, ControlPort, NewProcess, UpgradeOutcome};

use crate::clients::{Exchange, Request, answer};
use crate::observe::Metrics;
use crate::proto::grip::Answer;
use crate::proto::http1::{BodyLength, HeadError};
use call::{Call, accepted, busy, done, json, not_acceptable, only};
use http::{Method, header};
use query::Query;
use std::rc::Rc;
use wrong_secrets::Refusal;

/// Status and text of the answer to a request head that cannot be read.
pub fn head_refusal(error: &HeadError) -> (u16, String) {
    let message = match error {
        HeadError::TooLarge(_) | HeadError::TooManyFields => "Request header too large.\n",
        HeadError::ContentLength => "Bad Content-Length.\n",
        _ => "Failed to parse request header.\n",
    };
    (400, message.to_owned())
}

impl ControlPort {
    /// Answers `request`.
    pub async fn answer(&self, exchange: &Rc<Exchange>, request: Request) {
        if let Some(page) = health::probe(&request, self.readiness.phase()) {
            return answer::send_whole(exchange, &page);
        }
        let settings = self.context.settings();
        let control = &settings.control;
        if let Err(error) = pages::check(control, &request) {
            self.context.metrics.refused_pages_total.add(1);
            return answer::send_whole(exchange, &answer::text(403, error.to_string()));
        }
        let page = match access::grants(control, request.service, &request.headers) {
            None if request.headers.contains_key(header::AUTHORIZATION) => {
                match self.wrong_secrets.refuse(&self.context.metrics).await {
                    Refusal::Delayed(page) => page,
                    Refusal::AtOnce(page) => return answer::send_last(exchange, &page),
                }
            }
            None => access::unauthorized(),
            Some(grants) => match length_refusal(&request, control.body_bytes) {
                Some(refusal) => refusal,
                None => route(&Call { port: self, exchange, request: &request, grants }).await,
            },
        };
        answer::send_whole(exchange, &page);
    }
}

/// The answer to a request whose body is too large or of unknown length.
fn length_refusal(request: &Request, limit: usize) -> Option<Answer> {
    // These calls, which Pushpin does not have, take no body.
    let takes_none = matches!(Query::of(&request.target).path, "/drain" | "/upgrade");
    let has_body = !takes_none && [Method::POST, Method::PUT, Method::PATCH].contains(&request.method);
    let declared = request.headers.contains_key(header::CONTENT_LENGTH);
    if request.body == BodyLength::Chunked || (has_body && !declared) {
        return Some(answer::text(411, "Request requires Content-Length.\n"));
    }
    if matches!(request.body, BodyLength::Length(length) if length > limit as u64) {
        return Some(answer::text(400, "Request body too large.\n"));
    }
    None
}

async fn route(call: &Call<'_>) -> Answer {
    let query = Query::of(&call.request.target);
    let method = &call.request.method;
    let (first, rest) = match query.path.strip_prefix('/').and_then(|path| path.split_once('/')) {
        Some((first, rest)) => (format!("/{first}/"), rest),
        None => (query.path.to_owned(), ""),
    };
    match (first.as_str(), method) {
        ("", _) => answer::text(200, "Pushpin API\n"),
        ("/publish", &Method::POST) => publishing::publish(call, &query).await,
        ("/recover", &Method::POST) => recover(call).await,
        ("/refresh", &Method::POST) => inspection::refresh(call).await,
        ("/drain", &Method::POST) => draining::drain(call),
        ("/upgrade", &Method::POST) => upgrade::upgrade(call).await,
        ("/publish" | "/recover" | "/refresh" | "/drain" | "/upgrade", method) => only("POST", method),
        ("/stats", &Method::GET) => match call.grants.may_inspect() {
            true => stats(call.port),
            false => call.forbidden("show counters"),
        },
        ("/channels", &Method::GET) => inspection::channels(call, &query).await,
        ("/channels/", &Method::GET) => inspection::channel(call, rest, &query).await,
        ("/connections/", &Method::GET) => inspection::connection(call, rest).await,
        ("/connections/", &Method::DELETE) => inspection::close(call, rest).await,
        ("/stats" | "/channels" | "/channels/", method) => only("GET", method),
        ("/connections/", method) => only("GET, DELETE", method),
        (health::ALIVE | health::READY, method) => only("GET, HEAD", method),
        _ => answer::text(404, "Not Found\n"),
    }
}

async fn recover(call: &Call<'_>) -> Answer {
    // With Pushpin every caller may do this, so here every caller may that may publish to all channels.
    if !call.grants.may_publish_to("") {
        return call.forbidden("have all clients refetch");
    }
    match accepted(&call.request.headers) {
        Some(format) => match call.port.publishing.recover().await {
            Ok(()) => done(format, "Updated"),
            Err(error) => busy(error),
        },
        None => not_acceptable(),
    }
}

/// The metrics of all cores, summed, as one JSON object.
fn stats(port: &ControlPort) -> Answer {
    let sums = Metrics::sums(&port.all_metrics);
    let fields: Vec<String> = sums.iter().map(|(name, sum)| format!("\"{name}\":{sum}")).collect();
    json(format!("{{\"cores\":{},{}}}\n", port.context.cores, fields.join(",")))
}
