//! Has the filters of a subscriber decide on its items: at once, or in a task if items must wait.

use super::Filters;
use super::asking::Answered;
use super::concluding::{Undelivered, Verdict};
use super::waiting::Admission;
use crate::clients::ItemOffer;
use crate::context::Kind;
use crate::ids::Slot;
use crate::proto::grip::{Chain, Context, Filter, FilterError, Publication, Step};
use crate::runtime;
use std::rc::Rc;
use std::sync::Arc;

impl Filters {
    /// `items` of one channel have come for the subscriber in `slot`.
    pub fn deliver_filtered(self: &Rc<Self>, slot: Slot, items: &[Arc<Publication>]) {
        let Some(number) = self.filtering.borrow().number_of(slot) else { return };
        for item in items {
            let has_room = self.context.room_for(Kind::Filters) >= item.weight();
            let admission = self.filtering.borrow_mut().admit(slot, number, item, has_room);
            if let Admission::Waits | Admission::Begins = admission {
                self.book_waiting(slot);
            }
            match admission {
                Admission::Gone => return,
                Admission::Now(own) => {
                    let verdict = self.decide(slot, number, item, &own);
                    self.conclude(slot, number, item, verdict);
                }
                Admission::Waits => {}
                Admission::Begins => {
                    let filters = self.clone();
                    runtime::spawn(async move { filters.work_off(slot, number).await }).detach();
                }
                // A subscriber that follows ids gets the item by a refetch.
                Admission::Full { follows: true } => return self.delivery.lost_track(slot),
                Admission::Full { follows: false } => self.conclude_failed(slot, &Undelivered::Full),
            }
        }
    }

    /// Books the bytes that wait for the subscriber in `slot`, which now has one more waiting item.
    fn book_waiting(&self, slot: Slot) {
        let origin =
            self.filtering.borrow().subscribers.get(&slot).map(|subscriber| subscriber.origin.clone());
        let Some(origin) = origin else { return };
        let owner = self.owner_of(slot, &origin);
        if let Some(subscriber) = self.filtering.borrow_mut().subscribers.get_mut(&slot) {
            subscriber.book_waiting(owner);
        }
    }

    /// Decides on the items that wait for a subscriber, one after the other.
    pub(super) async fn work_off(self: &Rc<Self>, slot: Slot, number: u64) {
        loop {
            let first = self.filtering.borrow_mut().first(slot, number);
            let Some((item, turn, filters)) = first else { return };
            let verdict = self.decide_asking(slot, number, &item, &filters).await;
            let was_due = self.filtering.borrow_mut().take_turn(slot, number, turn);
            if was_due {
                self.conclude(slot, number, &item, verdict);
            }
        }
    }

    /// The decision of `filters`, none of which asks an application.
    fn decide(
        &self,
        slot: Slot,
        number: u64,
        item: &Publication,
        filters: &[Filter],
    ) -> Result<Verdict, Undelivered> {
        let Some(mut chain) = self.begin(slot, item, filters)? else { return Ok(Verdict::Pass) };
        Ok(match self.run(slot, number, item, filters, &mut chain)? {
            Step::Deliver => Verdict::Deliver(chain.changed()),
            Step::Drop | Step::Ask(_) => Verdict::Pass,
        })
    }

    /// The decision of `filters`, some of which may ask applications.
    async fn decide_asking(
        self: &Rc<Self>,
        slot: Slot,
        number: u64,
        item: &Publication,
        filters: &[Filter],
    ) -> Result<Verdict, Undelivered> {
        let Some(mut chain) = self.begin(slot, item, filters)? else { return Ok(Verdict::Pass) };
        loop {
            match self.run(slot, number, item, filters, &mut chain)? {
                Step::Deliver => return Ok(Verdict::Deliver(chain.changed())),
                Step::Drop => return Ok(Verdict::Pass),
                Step::Ask(filter) => {
                    let asked = self.ask_about(filter, slot, number, item, chain.content()).await;
                    match asked.map_err(|error| Undelivered::Asked { filter, error })? {
                        Some(Answered::Pass(content)) => chain.goes_on(content),
                        Some(Answered::Drop) | None => return Ok(Verdict::Pass),
                    }
                }
            }
        }
    }

    /// Begins a run of `filters` over the part of `item` for the subscriber; `None` if the item has no such part.
    fn begin<'f>(
        &self,
        slot: Slot,
        item: &Publication,
        filters: &'f [Filter],
    ) -> Result<Option<Chain<'f>>, Undelivered> {
        let Some(ItemOffer { format, content }) = self.offer(slot, item) else { return Ok(None) };
        let own = || filters.iter().filter(|filter| filter.changes_content()).map(|filter| filter.name());
        match item.expected_filters(format) {
            Some(expected) if !own().eq(expected.iter().map(|name| &**name)) => Err(Undelivered::Mismatch {
                subscription: own().collect::<Vec<_>>().join(","),
                message: expected.join(","),
            }),
            _ => Ok(Some(Chain::new(filters, content))),
        }
    }

    /// Runs `chain` until the filters have decided, or an application must be asked.
    fn run(
        &self,
        slot: Slot,
        number: u64,
        item: &Publication,
        filters: &[Filter],
        chain: &mut Chain,
    ) -> Result<Step, FilterError> {
        let meta = match self.filtering.borrow_mut().get(slot, number) {
            Some(subscriber) => subscriber.variables().clone(),
            None => return Ok(Step::Drop),
        };
        let channels = match filters.iter().any(|filter| filter.looks_at_channels()) {
            true => self.channels_for_filters(slot, number, item),
            false => Vec::new(),
        };
        chain.run(&Context { subscriber: &meta, item: &item.meta, channels: &channels })
    }

    /// The subscriber's channels by the names that its application gave them. Each has the id of the last item that the
    /// subscriber will have there once it has got `item`.
    fn channels_for_filters(
        &self,
        slot: Slot,
        number: u64,
        item: &Publication,
    ) -> Vec<(String, Option<Box<str>>)> {
        let heard = self.delivery.heard_by(slot);
        let mut names = self.delivery.channels_of(slot);
        let mut filtering = self.filtering.borrow_mut();
        let Some(subscriber) = filtering.get(slot, number) else { return Vec::new() };
        // While its application is asked, a stream has left the channels that it follows, so they are added here.
        names.extend(subscriber.channels().map(Arc::from));
        names.sort_unstable();
        names.dedup();
        let prefix = subscriber.origin.route().prefix.as_deref().unwrap_or_default();
        let id_on = |name: &str| match subscriber.got_on(name) {
            Some(_) if *name == *item.channel && !item.no_seq => item.id.clone(),
            _ => heard.iter().find(|(channel, _)| **channel == *name).map(|(_, id)| id.clone()),
        };
        let named = |name: &Arc<str>| (name.strip_prefix(prefix).unwrap_or(name).to_owned(), id_on(name));
        names.iter().map(named).collect()
    }

    /// The part of `item` for the hold in `slot`.
    fn offer(&self, slot: Slot, item: &Publication) -> Option<ItemOffer> {
        self.clients.held(slot)?.offer(item)
    }
}
