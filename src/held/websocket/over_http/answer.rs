//! What an application answers to a list of events.

use crate::origin::Response;
use crate::proto::grip::WebSocketEvent;
use bytes::BytesMut;
use http::HeaderMap;

/// The shortest Keep-Alive-Interval, s.
const INTERVAL_S: u32 = 20;
/// The largest answer that is taken whatever messages may have.
const ANSWER_BYTES: usize = 1_000_000;

/// What the application answered.
pub(super) struct Answered {
    pub events: Vec<WebSocketEvent>,
    /// Seconds of idleness after which it wants to be asked; 0 is never.
    pub interval_s: u32,
    /// Variables to set; an empty value deletes one.
    pub meta: Vec<(String, String)>,
    /// How many of the content's bytes it took; `None` is all.
    pub accepted_bytes: Option<usize>,
}

/// Reads an answer; the error says what is wrong with it. Messages may have `message_bytes`.
pub(super) async fn answered(response: Response, message_bytes: usize) -> Result<Answered, String> {
    let response = response.decoded(|| "it".to_owned()).await.map_err(|error| error.to_string())?;
    let Response { headers, mut body, .. } = response;
    let limit = ANSWER_BYTES.max(message_bytes.saturating_add(64));
    let mut whole = BytesMut::new();
    while let Some(part) = body.next().await {
        whole.extend_from_slice(&part.map_err(|error| error.to_string())?);
        if whole.len() > limit {
            return Err(format!("an answer of more than {limit} bytes"));
        }
    }
    let events = WebSocketEvent::decode_all(whole.freeze()).map_err(|error| error.to_string())?;
    let interval_s = number(&headers, "keep-alive-interval").filter(|seconds| *seconds > 0);
    Ok(Answered {
        events,
        interval_s: interval_s
            .map_or(0, |seconds| u32::try_from(seconds).unwrap_or(u32::MAX).max(INTERVAL_S)),
        meta: meta(&headers),
        accepted_bytes: number(&headers, "content-bytes-accepted"),
    })
}

fn number(headers: &HeaderMap, name: &str) -> Option<usize> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn meta(headers: &HeaderMap) -> Vec<(String, String)> {
    let set = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("set-meta-")?;
        Some((name.to_owned(), value.to_str().ok()?.to_owned()))
    });
    set.collect()
}
