//! What goes to and fro between clients, this server and applications, counted for the route of each client: for the reports
//! of the stats socket, and nothing without one. Everything that is counted is counted by what is here.

use super::Core;
use super::exchange::Exchange;
use super::socket::Socket;
use crate::bridge::Tally;
use crate::ids::Slot;
use crate::origin::{self, RequestBody};
use crate::proto::http1;
use crate::proto::websocket::{Relayed, Seen};
use http::HeaderMap;

impl Core {
    /// Counts something for the route of the client in `slot`.
    pub(super) fn count_for(&self, slot: Slot, count: impl FnOnce(&mut Tally)) {
        let Some(watch) = &self.watch else { return };
        let tally = self.rows.borrow_mut().get(slot).map(|row| row.tally);
        if let Some(tally) = tally {
            watch.tallies.borrow_mut().count(tally, count);
        }
    }

    /// Messages of the client in `slot` go to its application.
    pub(super) fn count_heard(&self, slot: Slot, socket: &Socket, heard: Seen) {
        self.count_for(slot, |tally| {
            tally.client.received.saw(heard);
            tally.server.sent.saw(heard);
            tally.activity += u64::from(socket.is_active(self.now()));
        });
    }

    /// Messages of the application have come, and what of them is for the client in `slot` goes there.
    pub(super) fn count_relayed(&self, slot: Slot, socket: &Socket, relayed: Relayed) {
        self.count_for(slot, |tally| {
            tally.server.received.saw(relayed.said);
            tally.client.sent.saw(relayed.passed);
            tally.activity += u64::from(socket.is_active(self.now()));
        });
    }

    /// Counts what was published to the clients of each route.
    pub(super) fn count_sent(&self) {
        let Some(watch) = &self.watch else { return };
        let mut tallies = watch.tallies.borrow_mut();
        for (tally, sent) in self.subscriptions.borrow_mut().take_sent() {
            tallies.count(tally, |tally| {
                tally.sent += sent.items.total() as u64;
                tally.responses_sent += sent.items.responses as u64;
                tally.blocks_sent += sent.blocks;
                tally.client.sent.content_bytes += sent.content_bytes;
                tally.client.sent.messages += sent.messages;
            });
        }
    }
}

impl Exchange {
    /// Counts something for the route of this request, unless its client is gone.
    pub(super) fn count(&self, count: impl FnOnce(&mut Tally)) {
        if !self.is_gone() {
            self.core().count_for(self.slot, count);
        }
    }

    /// A part of the application's answer has come.
    pub(super) fn count_answered(&self, content_bytes: usize) {
        self.count(|tally| tally.server.received.content_bytes += content_bytes as u64);
    }
}

/// Counts the head of a request to an application, and its body if that is known.
pub(super) fn count_request(exchange: &Exchange, request: &origin::Request) {
    exchange.count(|tally| {
        let origin::Request { method, path_and_query, headers, body, .. } = request;
        tally.server.sent.header_bytes += request_bytes(method.as_str(), path_and_query, headers);
        if let RequestBody::Whole(body) = body {
            tally.server.sent.content_bytes += body.len() as u64;
        }
    });
}

/// Counts the head of an application's answer.
pub(super) fn count_response(exchange: &Exchange, status: u16, headers: &HeaderMap) {
    exchange.count(|tally| tally.server.received.header_bytes += answer_bytes(status, None, headers));
}

/// The bytes of a request's head that say something.
pub(super) fn request_bytes(method: &str, target: &[u8], headers: &HeaderMap) -> u64 {
    (method.len() + target.len()) as u64 + field_bytes(headers)
}

/// The same for an answer; its reason is the standard one unless it has another.
pub(super) fn answer_bytes(status: u16, reason: Option<&str>, headers: &HeaderMap) -> u64 {
    let reason = reason.unwrap_or_else(|| http1::reason_phrase(status));
    (STATUS_BYTES + reason.len()) as u64 + field_bytes(headers)
}

fn field_bytes(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len()) as u64).sum()
}

/// A status code has three digits.
const STATUS_BYTES: usize = 3;
