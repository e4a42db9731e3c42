//! Does what filters have decided on an item. Content that no filter changed goes out in the form that all share.

use super::Filters;
use super::asking::AskError;
use crate::clients::{CloseReason, Undeliverable};
use crate::ids::Slot;
use crate::proto::grip::{Filter, FilterError, Format, Publication, ResponseFormat, StreamFormat};
use bytes::Bytes;
use std::sync::Arc;

/// Why an item was not delivered. The text ends the sessions of routes with `debug`.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    #[error("filter error: {0}")]
    Filter(#[from] FilterError),
    #[error("filter error: {}: {error}", filter.name())]
    Asked { filter: Filter, error: AskError },
    #[error("content filter mismatch: subscription={subscription} message={message}")]
    Mismatch { subscription: String, message: String },
    #[error("filter error: the content has become what its kind of message cannot hold")]
    Unsendable,
    #[error("filter error: too many messages wait")]
    Full,
}

/// What the filters decided.
pub(super) enum Verdict {
    /// The item goes out, with other content if there is any.
    Deliver(Option<Bytes>),
    /// It does not, or it has nothing for this subscriber.
    Pass,
}

impl Filters {
    /// `slots` have no filters, and what `item` has for them in `format` is for who has some.
    pub(super) fn conclude_unfit(&self, slots: &[Slot], item: &Publication, format: Format) {
        let message = item.expected_filters(format).unwrap_or_default().join(",");
        let mismatch = Undelivered::Mismatch { subscription: String::new(), message };
        slots.iter().for_each(|slot| self.conclude_failed(*slot, &mismatch));
    }

    /// Does with `item` what was decided.
    pub(super) fn conclude(
        &self,
        slot: Slot,
        number: u64,
        item: &Arc<Publication>,
        verdict: Result<Verdict, Undelivered>,
    ) {
        let delivers = matches!(verdict, Ok(Verdict::Deliver(_)));
        if let Some(subscriber) = self.filtering.borrow_mut().get(slot, number) {
            // A hint is nothing that anyone has got.
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

    /// Hands `item`, with other content if filters made any, to what is held in `slot`.
    fn hand_over(&self, slot: Slot, item: &Arc<Publication>, content: Option<Bytes>) {
        let Some(held) = self.clients.held(slot) else { return };
        if held.deliver(slot, item, content) == Err(Undeliverable::Unsendable) {
            self.conclude_failed(slot, &Undelivered::Unsendable);
        }
        self.context.wake();
    }

    /// The subscriber in `slot` does not get an item. With `debug`, its developer is told.
    pub(super) fn conclude_failed(&self, slot: Slot, error: &Undelivered) {
        self.context.metrics.filter_failures_total.add(1);
        tracing::debug!(%error, "a message is not delivered");
        let Some(held) = self.clients.held(slot) else { return };
        if self.context.settings().proxy.debug || held.describe().debug {
            held.close(slot, CloseReason::Undelivered(&error.to_string()));
            self.context.wake();
        }
    }
}

/// Whether an item says to ask the application.
fn is_hint(item: &Publication) -> bool {
    matches!(item.stream, Some(StreamFormat::Hint)) || matches!(item.response, Some(ResponseFormat::Hint))
}
