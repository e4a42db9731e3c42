//! Publish calls and their receipts. A receipt waits until every item has been written, on every core, to the last
//! subscriber that its channel had when the item's turn came. It waits no longer than the call says.

use super::call::{Call, accepted, busy, done, json, not_acceptable};
use super::port::ControlPort;
use super::query::Query;
use crate::channel::{Audience, ItemPlace, Sent};
use crate::clients::answer;
use crate::patience::within;
use crate::proto::grip::{Answer, publish as publish_call};
use crate::publish::{Admitted, Refused};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a receipt waits, ms: the default, and the maximum.
const WAIT_MS: u64 = 5_000;
const LONGEST_WAIT_MS: u64 = 60_000;

/// Answers a publish call.
pub(super) async fn publish(call: &Call<'_>, query: &Query<'_>) -> Answer {
    let Some(format) = accepted(&call.request.headers) else { return not_acceptable() };
    let wait_ms = match query.number("wait_ms", WAIT_MS, LONGEST_WAIT_MS) {
        Ok(wait_ms) => wait_ms,
        Err(error) => return answer::text(400, error.to_string()),
    };
    let body = match call.body().await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let publications = match publish_call::parse(&body) {
        Ok(publications) => publications,
        Err(error) => return answer::text(400, error.to_string()),
    };
    let admitted = match Admitted::by(&call.grants, publications) {
        Ok(admitted) => admitted,
        Err(Refused { channel }) => return call.forbidden(&format!("publish to `{channel}`")),
    };
    let port = call.port;
    if query.flag("receipt") {
        return match with_receipts(port, admitted, wait_ms).await {
            Ok(receipts) => json(format!("{}\n", receipts.to_json())),
            Err(refusal) => refusal,
        };
    }
    match port.publishing.publish(admitted).await {
        Ok(()) => done(format, "Published"),
        Err(error) => busy(error),
    }
}

/// The state of the items of a call.
pub(super) struct Receipts {
    items: Vec<Sent>,
    timed_out: bool,
}

/// Publishes `publications`, and waits for their receipts for at most `wait_ms`.
pub(super) async fn with_receipts(
    port: &ControlPort,
    mut admitted: Admitted,
    wait_ms: u64,
) -> Result<Receipts, Answer> {
    let expected = port.delivery.expect_receipts(admitted.items()).map_err(busy)?;
    port.publishing.publish(admitted).await.map_err(busy)?;
    let timed_out = within(Duration::from_millis(wait_ms), expected.settled()).await.is_none();
    Ok(Receipts { items: expected.into_items(), timed_out })
}

impl Receipts {
    /// How many subscribers the items reached, summed.
    pub fn receivers(&self) -> usize {
        self.items.iter().map(|item| item.reach.received.total()).sum()
    }

    fn to_json(&self) -> Value {
        let dropped: u64 = self.items.iter().map(|item| u64::from(item.reach.dropped)).sum();
        json!({
            "message": "Published",
            "timed_out": self.timed_out,
            "receivers": self.receivers(),
            "dropped": dropped,
            "items": self.items.iter().map(item_json).collect::<Vec<_>>(),
        })
    }
}

fn item_json(item: &Sent) -> Value {
    let state = match item.place {
        ItemPlace::Repeated => "repeated",
        ItemPlace::Unknown => "waiting",
        ItemPlace::On(_) if item.is_settled() => "delivered",
        ItemPlace::On(_) => "delivering",
    };
    json!({
        "channel": &*item.channel,
        "id": item.id.as_deref(),
        "state": state,
        "receivers": by_transport(item.reach.received),
        "dropped": item.reach.dropped,
    })
}

/// An audience, by the names of the formats.
pub(super) fn by_transport(audience: Audience) -> Value {
    json!({
        "http-response": audience.responses,
        "http-stream": audience.streams,
        "ws-message": audience.sockets,
    })
}
