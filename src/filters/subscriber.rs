//! One subscriber with filters: its filters on each channel, its variables, and its queue of items that wait for
//! filters which ask an application. Items leave the queue in the order in which they came, each in its turn. If an
//! item is taken out otherwise, for example because its channel was left, its turn ends. So the task that is deciding
//! on the item finds that the decision is no longer needed.

use crate::channel::LastId;
use crate::context::{Booking, Kind, Owner};
use crate::proto::grip::{Filter, LinkTarget, Publication};
use crate::requests::Origin;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// Items that may wait for one subscriber.
const WAITING: usize = 100;

/// A subscriber with filters.
pub(super) struct Subscriber {
    /// Tells the subscriber from earlier ones in the same slot.
    pub number: u64,
    /// The route and the URI of the subscriber's request.
    pub origin: Rc<Origin>,
    /// The base of the relative URLs of its filters.
    pub at: LinkTarget,
    pub(super) variables: Rc<[(String, String)]>,
    pub(super) variables_booking: Booking,
    /// The tick at which the subscriber was last sent an item.
    pub sent_at: Option<u32>,
    pub(super) channels: Vec<Filtered>,
    pub(super) waiting: VecDeque<Arc<Publication>>,
    pub(super) waiting_booking: Booking,
    /// The current turn: how many items have been at the front of `waiting` before.
    pub(super) turn: u64,
    /// A task works `waiting` off. The task may still be running when `waiting` is empty.
    pub(super) has_task: bool,
}

/// A channel of a subscriber.
pub(super) struct Filtered {
    /// The name that publishers use.
    pub name: Box<str>,
    /// The filters on the channel, in the order in which they decide.
    pub filters: Rc<[Filter]>,
    /// If the subscriber follows the channel's ids: the id of the last item that was decided on.
    pub got: Option<LastId>,
}

impl Subscriber {
    /// A subscriber without filters.
    pub fn new(number: u64, origin: Rc<Origin>) -> Subscriber {
        Subscriber {
            number,
            at: origin.asked_for().clone(),
            origin,
            variables: Rc::default(),
            variables_booking: Booking::default(),
            sent_at: None,
            channels: Vec::new(),
            waiting: VecDeque::new(),
            waiting_booking: Booking::default(),
            turn: 0,
            has_task: false,
        }
    }

    /// The subscriber's variables.
    pub fn variables(&self) -> &Rc<[(String, String)]> {
        &self.variables
    }

    /// Sets the subscriber's variables, and books their bytes for `owner`.
    pub fn set_variables(&mut self, variables: Rc<[(String, String)]>, owner: Rc<Owner>) {
        let text = variables.iter().map(|(name, value)| name.capacity() + value.capacity());
        let bytes = text.sum::<usize>() + size_of_val(&*variables);
        self.variables_booking = book(owner, Kind::Variables, bytes);
        self.variables = variables;
    }

    /// Replaces the subscriber's channels. Drops items that wait for other channels.
    pub fn set_channels(&mut self, channels: Vec<Filtered>) {
        self.channels = channels;
        let names: Vec<Box<str>> = self.channels.iter().map(|channel| channel.name.clone()).collect();
        self.drop_waiting(|channel| names.iter().all(|name| **name != *channel));
    }

    /// Adds a channel, or replaces its filters.
    pub fn set_channel(&mut self, channel: Filtered) {
        self.channels.retain(|known| known.name != channel.name);
        self.channels.push(channel);
    }

    /// Removes a channel. Drops the items that wait for it.
    pub fn leave(&mut self, channel: &str) {
        self.channels.retain(|known| *known.name != *channel);
        self.drop_waiting(|waiting| waiting == channel);
    }

    /// The names of its channels.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(|channel| &*channel.name)
    }

    /// The filters on `channel`.
    pub fn filters_on(&self, channel: &str) -> Rc<[Filter]> {
        let known = self.channels.iter().find(|known| *known.name == *channel);
        known.map(|known| known.filters.clone()).unwrap_or_default()
    }

    /// If the subscriber follows the ids of `channel`, the id of the last item that was decided on.
    pub fn got_on(&self, channel: &str) -> Option<&LastId> {
        self.channels.iter().find(|known| *known.name == *channel)?.got.as_ref()
    }

    /// Notes that `item` was decided on.
    pub fn got(&mut self, item: &Publication) {
        let known = self.channels.iter_mut().find(|known| *known.name == *item.channel);
        if let Some(got) = known.and_then(|known| known.got.as_mut()).filter(|_| !item.no_seq) {
            got.clone_from(&item.id);
        }
    }

    /// Whether a new item must wait for items that came before.
    pub fn is_busy(&self) -> bool {
        self.has_task
    }

    /// Adds `item` to the queue. Returns whether there was room for it. From then on a task must be running.
    pub fn wait(&mut self, item: &Arc<Publication>) -> bool {
        let has_room = self.waiting.len() < WAITING;
        if has_room {
            self.waiting.push_back(item.clone());
            self.has_task = true;
        }
        has_room
    }

    /// The item whose turn it is, and the turn. If there is none, the task is over.
    pub fn first(&mut self) -> Option<(Arc<Publication>, u64)> {
        let first = self.waiting.front().map(|item| (item.clone(), self.turn));
        self.has_task = first.is_some();
        first
    }

    /// Takes out the item whose turn is `turn`, if it is still there.
    pub fn take_turn(&mut self, turn: u64) -> Option<Arc<Publication>> {
        if turn != self.turn {
            return None;
        }
        self.turn += 1;
        let item = self.waiting.pop_front();
        self.book_rest();
        item
    }

    /// Drops the waiting items of the channels for which `is_left` returns true.
    pub fn drop_waiting(&mut self, is_left: impl Fn(&str) -> bool) {
        if self.waiting.front().is_some_and(|first| is_left(&first.channel)) {
            self.turn += 1;
        }
        self.waiting.retain(|item| !is_left(&item.channel));
        self.book_rest();
    }

    /// Books the bytes of all waiting items for `owner`.
    pub fn book_waiting(&mut self, owner: Rc<Owner>) {
        self.waiting_booking = book(owner, Kind::Filters, self.waiting_bytes());
    }

    /// Books the bytes of the items that are left, which are fewer than before.
    fn book_rest(&mut self) {
        match self.waiting.is_empty() {
            true => self.waiting_booking = Booking::default(),
            false => self.waiting_booking.set(self.waiting_bytes()),
        }
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(|item| item.weight()).sum()
    }
}

/// A booking of `bytes`. For 0 bytes it is empty, so that an owner without bytes has no entry in the accounts.
fn book(owner: Rc<Owner>, kind: Kind, bytes: usize) -> Booking {
    if bytes == 0 { Booking::default() } else { owner.book(kind, bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Accounts;
    use crate::origin::Routes;
    use crate::proto::client_network::ClientNetwork;
    use proptest::prelude::*;

    fn item(channel: &str, id: usize) -> Arc<Publication> {
        let mut item = Publication::new(channel);
        item.id = Some(id.to_string().into());
        Arc::new(item)
    }

    fn subscriber() -> Subscriber {
        let (routes, _) = Routes::parse("* localhost:80", "routes");
        let at = LinkTarget { https: false, authority: "a".into(), path_and_query: "/".into() };
        let origin = Origin::at(at, routes.iter().next().unwrap(), ClientNetwork::NOBODY);
        let mut subscriber = Subscriber::new(1, Rc::new(origin));
        let channel = |name: &str| Filtered {
            name: name.into(),
            filters: [Filter::HttpCheck].into(),
            got: Some(Some("0".into())),
        };
        subscriber.set_channels(vec![channel("a"), channel("b")]);
        subscriber
    }

    #[test]
    fn ids_that_are_followed_go_on_with_what_is_decided() {
        let mut subscriber = subscriber();
        subscriber.got(&item("a", 1));
        let mut aside = Publication::new("a");
        aside.no_seq = true;
        subscriber.got(&aside);
        assert_eq!(subscriber.got_on("a"), Some(&Some("1".into())));
        subscriber.got(&Publication::new("a"));
        assert_eq!((subscriber.got_on("a"), subscriber.got_on("c")), (Some(&None), None));
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut subscriber = subscriber();
        assert!(
            (0..WAITING).all(|id| subscriber.wait(&item("a", id))) && !subscriber.wait(&item("a", WAITING))
        );
        let (_, turn) = subscriber.first().unwrap();
        assert!(subscriber.take_turn(turn).is_some() && subscriber.wait(&item("a", WAITING)));
    }

    proptest! {
        #[test]
        fn what_waits_is_decided_on_in_order_and_never_after_its_channel_was_left(
            steps in prop::collection::vec(0..5u8, 1..60),
        ) {
            let (mut subscriber, mut model) = (subscriber(), VecDeque::new());
            let accounts = Accounts::default();
            // The turn of the item on which the task is deciding.
            let mut deciding = None;
            for (id, step) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        let item = item(["a", "b"][usize::from(step)], id);
                        prop_assert!(subscriber.wait(&item));
                        subscriber.book_waiting(accounts.nobody());
                        model.push_back((item.channel.clone(), id.to_string()));
                    }
                    2 => {
                        subscriber.drop_waiting(|channel| channel == "b");
                        model.retain(|(channel, _)| **channel != *"b");
                    }
                    _ => match deciding.take() {
                        None => deciding = subscriber.first(),
                        Some((item, turn)) => {
                            let taken = subscriber.take_turn(turn);
                            let waits = model.front().is_some_and(|(_, id)| Some(&**id) == item.id.as_deref());
                            prop_assert_eq!(taken.is_some(), waits);
                            if waits {
                                model.pop_front();
                            }
                        }
                    },
                }
                prop_assert_eq!(subscriber.waiting.len(), model.len());
                prop_assert_eq!(accounts.bytes(), model.len() * item("a", 0).weight());
                prop_assert!(subscriber.is_busy() || model.is_empty());
            }
        }
    }
}
