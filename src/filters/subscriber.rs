//! One subscriber with filters: what they are on each channel, what they go by, and what waits for one that asks an
//! application. Items leave the queue in the order they came, each in its turn. An item that is taken out otherwise (its
//! channel was left, say) ends its turn, so that whoever is deciding on it finds that nothing is to be done.

use crate::channel::LastId;
use crate::proto::grip::{Filter, LinkTarget, Publication};
use crate::requests::Origin;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// Items that may wait for one subscriber.
const WAITING: usize = 100;

/// A subscriber.
pub(super) struct Subscriber {
    /// Tells it from others that had its slot before.
    pub number: u64,
    /// Where it came from: its route, and what it asked for.
    pub origin: Rc<Origin>,
    /// What the URL of a filter is relative to.
    pub at: LinkTarget,
    /// Its variables.
    pub meta: Rc<[(String, String)]>,
    /// When it was last sent something, in ticks.
    pub sent_at: Option<u32>,
    channels: Vec<Filtered>,
    waiting: VecDeque<Arc<Publication>>,
    /// Whose turn it is: how many items were at the front of `waiting` before.
    turn: u64,
    /// A task works `waiting` off. It may be at work still when nothing waits any more.
    has_task: bool,
}

/// A channel of a subscriber.
pub(super) struct Filtered {
    /// As publishers know it.
    pub name: Box<str>,
    /// In the order they are asked.
    pub filters: Rc<[Filter]>,
    /// If its ids are followed here: the id of the last item that was decided on.
    pub got: Option<LastId>,
}

impl Subscriber {
    /// Without filters yet.
    pub fn new(number: u64, origin: Rc<Origin>) -> Subscriber {
        Subscriber {
            number,
            at: origin.asked_for().clone(),
            origin,
            meta: Rc::default(),
            sent_at: None,
            channels: Vec::new(),
            waiting: VecDeque::new(),
            turn: 0,
            has_task: false,
        }
    }

    /// It is in these channels and in no others; the bytes of what waited for others.
    pub fn set_channels(&mut self, channels: Vec<Filtered>) -> usize {
        self.channels = channels;
        let names: Vec<Box<str>> = self.channels.iter().map(|channel| channel.name.clone()).collect();
        self.drop_waiting(|channel| names.iter().all(|name| **name != *channel))
    }

    /// It is in this channel, with these filters.
    pub fn set_channel(&mut self, channel: Filtered) {
        self.channels.retain(|known| known.name != channel.name);
        self.channels.push(channel);
    }

    /// It is in this channel no more; the bytes of what waited for it.
    pub fn leave(&mut self, channel: &str) -> usize {
        self.channels.retain(|known| *known.name != *channel);
        self.drop_waiting(|waiting| waiting == channel)
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

    /// If the ids of `channel` are followed here, the last that was decided on.
    pub fn got_on(&self, channel: &str) -> Option<&LastId> {
        self.channels.iter().find(|known| *known.name == *channel)?.got.as_ref()
    }

    /// `item` was decided on.
    pub fn got(&mut self, item: &Publication) {
        let known = self.channels.iter_mut().find(|known| *known.name == *item.channel);
        if let Some(got) = known.and_then(|known| known.got.as_mut()).filter(|_| !item.no_seq) {
            got.clone_from(&item.id);
        }
    }

    /// Whether what comes must wait for what came before.
    pub fn is_busy(&self) -> bool {
        self.has_task
    }

    /// `item` waits; whether there is room for it. A task is at work from then on.
    pub fn wait(&mut self, item: &Arc<Publication>) -> bool {
        let has_room = self.waiting.len() < WAITING;
        if has_room {
            self.waiting.push_back(item.clone());
            self.has_task = true;
        }
        has_room
    }

    /// The item whose turn it is, and its turn. Without one the task is over.
    pub fn first(&mut self) -> Option<(Arc<Publication>, u64)> {
        let first = self.waiting.front().map(|item| (item.clone(), self.turn));
        self.has_task = first.is_some();
        first
    }

    /// Takes out the item whose turn this is, if it is there still.
    pub fn take_turn(&mut self, turn: u64) -> Option<Arc<Publication>> {
        if turn != self.turn {
            return None;
        }
        self.turn += 1;
        self.waiting.pop_front()
    }

    /// Takes out what waits on the channels that `is_left` names; its bytes.
    pub fn drop_waiting(&mut self, is_left: impl Fn(&str) -> bool) -> usize {
        let before = self.waiting_bytes();
        if self.waiting.front().is_some_and(|first| is_left(&first.channel)) {
            self.turn += 1;
        }
        self.waiting.retain(|item| !is_left(&item.channel));
        before - self.waiting_bytes()
    }

    /// The bytes of what waits.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(|item| item.weight()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            // What the task is deciding on.
            let mut deciding = None;
            for (id, step) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        let item = item(["a", "b"][usize::from(step)], id);
                        prop_assert!(subscriber.wait(&item));
                        model.push_back((item.channel.clone(), id.to_string()));
                    }
                    2 => {
                        let dropped = subscriber.drop_waiting(|channel| channel == "b");
                        let before = model.len();
                        model.retain(|(channel, _)| **channel != *"b");
                        prop_assert_eq!(dropped, (before - model.len()) * item("b", 0).weight());
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
                prop_assert!(subscriber.is_busy() || model.is_empty());
            }
        }
    }
}
