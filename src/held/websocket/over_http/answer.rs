//! Reads an application's answer to a batch of events.

use crate::origin::Response;
use crate::proto::grip::WebSocketEvent;
use bytes::BytesMut;
use http::HeaderMap;

/// The shortest Keep-Alive-Interval, s.
const INTERVAL_S: u32 = 20;
/// An answer of this many bytes is always accepted, even if messages must be smaller.
const ANSWER_BYTES: usize = 1_000_000;

/// An application's answer.
pub(super) struct Answered {
    pub events: Vec<WebSocketEvent>,
    /// Seconds of idleness after which the application wants to be asked; 0 is never.
    pub interval_s: u32,
    /// Variables to set; an empty value deletes one.
    pub meta: Vec<(String, String)>,
    /// How many bytes of the events' content the application accepted; `None` is all.
    pub accepted_bytes: Option<usize>,
}

/// Reads an answer. Its messages may have up to `message_bytes`.
///
/// # Errors
/// A text that says why the answer is invalid.
pub(super) async fn answered(response: Response, message_bytes: usize) -> Result<Answered, String> {
    let response =
        response.decoded(|| "the application".to_owned()).await.map_err(|error| error.to_string())?;
    let Response { headers, mut body, .. } = response;
    let limit = ANSWER_BYTES.max(message_bytes.saturating_add(64));
    let mut whole = BytesMut::new();
    while let Some(part) = body.next().await {
        whole.extend_from_slice(&part.map_err(|error| error.to_string())?);
        if whole.len() > limit {
            return Err(format!("the application's answer is larger than {limit} bytes"));
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
