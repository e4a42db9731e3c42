//! Carries out the decisions of filters on items. Content that no filter changed goes out in the encoded form that all
//! subscribers share.

use super::Filters;
use super::asking::AskError;
use crate::clients::{CloseReason, Undeliverable};
use crate::ids::Slot;
use crate::proto::grip::{Filter, FilterError, Format, Publication, ResponseFormat, StreamFormat};
use bytes::Bytes;
use std::sync::Arc;

/// Why an item was not delivered. On routes with `debug`, the hold is closed with this text.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    #[error("filter error: {0}")]
    Filter(#[from] FilterError),
    #[error("filter error: {}: {error}", filter.name())]
    Asked { filter: Filter, error: AskError },
    #[error("content filter mismatch: subscription={subscription} message={message}")]
    Mismatch { subscription: String, message: String },
    #[error("filter error: the changed content does not fit this kind of message")]
    Unsendable,
    #[error("filter error: too many messages wait for the filters")]
    Full,
}

/// The decision of the filters on an item.
pub(super) enum Verdict {
    /// The item is delivered. If there is content here, it replaces the item's.
    Deliver(Option<Bytes>),
    /// The item is not delivered, or has no part for this subscriber.
    Pass,
}

impl Filters {
    /// Does not deliver `item` to the subscribers in `slots`: they have no filters, and the item's content in `format`
    /// is only for subscribers with certain filters.
    pub(super) fn conclude_unfit(&self, slots: &[Slot], item: &Publication, format: Format) {
        let message = item.expected_filters(format).unwrap_or_default().join(",");
        let mismatch = Undelivered::Mismatch { subscription: String::new(), message };
        slots.iter().for_each(|slot| self.conclude_failed(*slot, &mismatch));
    }

    /// Carries out the `verdict` on `item`.
    pub(super) fn conclude(
        &self,
        slot: Slot,
        number: u64,
        item: &Arc<Publication>,
        verdict: Result<Verdict, Undelivered>,
    ) {
        let delivers = matches!(verdict, Ok(Verdict::Deliver(_)));
        if let Some(subscriber) = self.filtering.borrow_mut().get(slot, number) {
            // A delivered hint is no item that the subscriber has got.
            if !(is_hint(item) && delivers) {
                subscriber.got(item);
            }
            if delivers {
                subscriber.sent_at = Some(self.context.now());
            }
        }
        match verdict {
            Ok(Verdict::Deliver(content)) => self.hand_over(slot, item, content),
            Ok(Verdict::Pass) => {}
            Err(error) => self.conclude_failed(slot, &error),
        }
    }

    /// Delivers `item` to the hold in `slot`. If filters have made other content, it replaces the item's.
    fn hand_over(&self, slot: Slot, item: &Arc<Publication>, content: Option<Bytes>) {
        let Some(held) = self.clients.held(slot) else { return };
        if held.deliver(slot, item, content) == Err(Undeliverable::Unsendable) {
            self.conclude_failed(slot, &Undelivered::Unsendable);
        }
        self.context.wake();
    }

    /// Counts and logs that the subscriber in `slot` does not get an item. With `debug`, closes the hold with the
    /// reason.
    pub(super) fn conclude_failed(&self, slot: Slot, error: &Undelivered) {
        self.context.metrics.filter_failures_total.add(1);
        tracing::debug!(%error, "a message was not delivered to a subscriber with filters");
        let Some(held) = self.clients.held(slot) else { return };
        if self.context.settings().proxy.debug || held.describe().debug {
            held.close(slot, CloseReason::Undelivered(&error.to_string()));
            self.context.wake();
        }
    }
}

/// Whether the item is a hint to ask the application.
fn is_hint(item: &Publication) -> bool {
    matches!(item.stream, Some(StreamFormat::Hint)) || matches!(item.response, Some(ResponseFormat::Hint))
}
