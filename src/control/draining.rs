//! The call that drains the server (`POST /drain/`). The main thread drains it; this core only asks.

use super::call::{Call, json};
use crate::context::Phase;
use crate::proto::grip::Answer;

/// Asks for a drain, unless the server is being drained already, and says how long it may take.
pub(super) fn drain(call: &Call<'_>) -> Answer {
    if !call.grants.admin {
        return call.forbidden("drain the server");
    }
    let message = match call.port.readiness.phase() {
        Phase::Draining => "Already draining",
        Phase::Starting | Phase::Ready => {
            (call.port.ask_to_drain)();
            "Draining"
        }
    };
    let settings = call.port.context.settings();
    let (drain_ms, notice_ms) = (settings.server.drain_ms, settings.server.drain_notice_ms);
    json(format!("{{\"drain_ms\":{drain_ms},\"drain_notice_ms\":{notice_ms},\"message\":\"{message}\"}}\n"))
}
