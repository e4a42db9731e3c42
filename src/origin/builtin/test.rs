//! The target `test`: holds on request, for trying out a setup without an application.

use super::{Asked, query_values, respond};
use crate::origin::response::Response;

/// Answers.
pub(super) fn answer(asked: &Asked<'_>) -> Response {
    match asked.path {
        "/" => respond(200, &[TEXT], "Hello from the Pushpin test handler!\n"),
        "/response" => hold(asked, "response", "nothing for now\n"),
        "/stream" => hold(asked, "stream", "[stream opened]\n"),
        _ => respond(404, &[TEXT], "no such test resource\n"),
    }
}

fn hold(asked: &Asked<'_>, mode: &str, body: &'static str) -> Response {
    let mut channels = query_values(asked.query, "channel");
    if channels.is_empty() {
        channels.push("test".to_owned());
    }
    let mut fields = vec![TEXT, ("grip-hold", mode)];
    fields.extend(channels.iter().map(|channel| ("grip-channel", channel.as_str())));
    respond(200, &fields, body)
}

const TEXT: (&str, &str) = ("content-type", "text/plain");
