//! Counts the traffic between clients, this server and applications in the statistics of each client's route. The stats
//! socket reports them; without a stats socket nothing is counted. All traffic is counted by the functions of this
//! file.

use super::Clients;
use super::exchange::Exchange;
use crate::ids::Slot;
use crate::monitor::RouteStats;
use crate::origin::{self, RequestBody};
use crate::proto::http1;
use http::HeaderMap;

impl Clients {
    /// Has `count` change the statistics of the route of the client in `slot`.
    pub fn count_for(&self, slot: Slot, count: impl FnOnce(&mut RouteStats)) {
        let Some(reporter) = &self.context.stats_reporter else { return };
        let route_stats = self.rows.borrow_mut().get(slot).map(|row| row.route_stats);
        if let Some(route_stats) = route_stats {
            reporter.count(route_stats, count);
        }
    }
}

/// Counts the head of a request to an application, and its body if the whole body is known.
pub fn count_request(exchange: &Exchange, request: &origin::Request) {
    exchange.count(|route_stats| {
        let origin::Request { method, path_and_query, headers, body, .. } = request;
        route_stats.server.sent.header_bytes += request_bytes(method.as_str(), path_and_query, headers);
        if let RequestBody::Whole(body) = body {
            route_stats.server.sent.content_bytes += body.len() as u64;
        }
    });
}

/// Counts the head of an application's answer.
pub fn count_response(exchange: &Exchange, status: u16, headers: &HeaderMap) {
    exchange
        .count(|route_stats| route_stats.server.received.header_bytes += answer_bytes(status, None, headers));
}

/// The bytes of a request's head without separators: method, target, names and values of fields.
pub fn request_bytes(method: &str, target: &[u8], headers: &HeaderMap) -> u64 {
    (method.len() + target.len()) as u64 + field_bytes(headers)
}

/// The bytes of an answer's head without separators. `None` as `reason` is the standard reason phrase.
pub fn answer_bytes(status: u16, reason: Option<&str>, headers: &HeaderMap) -> u64 {
    let reason = reason.unwrap_or_else(|| http1::reason_phrase(status));
    (STATUS_BYTES + reason.len()) as u64 + field_bytes(headers)
}

fn field_bytes(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len()) as u64).sum()
}

/// A status code has three digits.
const STATUS_BYTES: usize = 3;
