//! Who has requests open at applications, who waits for a turn, and whose turn is next. A turn goes to the application
//! that has the fewest requests open, there to the client that has the fewest open, and there to the request that came
//! first: whoever has most waits behind itself. The last eighth of all turns is a reserve for clients that have less than
//! their share, and the last half of that for those of them who ask an application that has less than its share, too. So
//! a client that never lets go leaves room for others at once, even if all ask one application, and so does an
//! application that hangs, however many clients ask it.
//!
//! Plain values: no clock, no task. The cost of a call grows with the logarithm of the number of requests that wait; where
//! it changes what a client has open, it grows with the number of applications at which that client waits, too.

use crate::ids::NameMap;
use crate::proto::client_network::ClientNetwork;
use crate::slack::Look;
use smallvec::SmallVec;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

/// The last of these parts of all turns is for clients that have less than their share.
const RESERVED_PART: u64 = 8;
/// The last of these parts is only for applications that have less than theirs, too.
const STRICT_PART: u64 = 16;

/// What a request is counted for: the hash of its application, and its client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::origin) struct Asker {
    pub application: u64,
    pub client: ClientNetwork,
}

/// Requests that are open, and those that wait, each with a `T`.
pub(super) struct Shares<T> {
    most: u64,
    open: u64,
    applications: NameMap<u64, Count>,
    clients: NameMap<ClientNetwork, Count>,
    /// By number, which is the order of their coming.
    waiting: BTreeMap<u64, (Asker, T)>,
    numbers: u64,
    /// The same by client, application and number.
    of_clients: BTreeSet<(ClientNetwork, u64, u64)>,
    /// For each client that waits at an application: the application, how many the client has open, the number of its
    /// first request that waits there.
    at_applications: BTreeSet<(u64, u64, u64, ClientNetwork)>,
    /// For each application at which somebody waits: how many it has open, and of the first in `at_applications` how
    /// many its client has open, and the number.
    turns: BTreeSet<(u64, u64, u64, u64)>,
}

/// Applications at which a client waits, and the number of its first request there.
type Waits = SmallVec<[(u64, u64); 4]>;

/// The requests of an application, or of a client.
#[derive(Default)]
struct Count {
    open: u64,
    waiting: u64,
}

impl<T> Shares<T> {
    /// Of `most` turns.
    pub fn new(most: u64) -> Shares<T> {
        Shares {
            most,
            open: 0,
            applications: NameMap::default(),
            clients: NameMap::default(),
            waiting: BTreeMap::new(),
            numbers: 0,
            of_clients: BTreeSet::new(),
            at_applications: BTreeSet::new(),
            turns: BTreeSet::new(),
        }
    }

    /// Requests that are open.
    pub fn open(&self) -> u64 {
        self.open
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Opens a request at once, if nobody waits and it takes nothing of the reserve; whether it did. At most `limit` may
    /// be open.
    pub fn open_at_once(&mut self, asker: Asker, limit: u64) -> bool {
        let is_free = self.waiting.is_empty() && self.open < limit.min(self.unreserved());
        if is_free {
            self.open += 1;
            self.count(asker, |count| count.open += 1);
        }
        is_free
    }

    /// A request waits from now on; its number.
    pub fn wait(&mut self, asker: Asker, ticket: T) -> u64 {
        self.numbers += 1;
        let number = self.numbers;
        let add = |shares: &mut Self| {
            shares.count(asker, |count| count.waiting += 1);
            shares.of_clients.insert((asker.client, asker.application, number));
            shares.waiting.insert(number, (asker, ticket));
        };
        // Behind others of its own it changes no place.
        match self.wait_of(asker).is_empty() {
            true => self.reorder(asker, |shares| shares.wait_of(asker), add),
            false => add(self),
        }
        number
    }

    /// The request with this number waits no more; its ticket, if it did.
    pub fn withdraw(&mut self, number: u64) -> Option<T> {
        let (asker, ticket) = self.waiting.remove(&number)?;
        let remove = |shares: &mut Self| {
            shares.of_clients.remove(&(asker.client, asker.application, number));
            shares.count(asker, |count| count.waiting -= 1);
        };
        self.reorder(asker, |shares| shares.wait_of(asker), remove);
        Some(ticket)
    }

    /// Opens the request whose turn it is, if any may be opened while at most `limit` are; its ticket.
    pub fn open_next(&mut self, limit: u64) -> Option<T> {
        let number = self.next(limit)?;
        let (asker, ticket) = self.waiting.remove(&number)?;
        let open = |shares: &mut Self| {
            shares.of_clients.remove(&(asker.client, asker.application, number));
            shares.open += 1;
            shares.count(asker, |count| (count.open, count.waiting) = (count.open + 1, count.waiting - 1));
        };
        self.reorder(asker, |shares| shares.waits_of(asker.client), open);
        Some(ticket)
    }

    /// A request that was open ends.
    pub fn close(&mut self, asker: Asker) {
        debug_assert!(self.open > 0, "it was open");
        let close = |shares: &mut Self| {
            shares.open -= 1;
            shares.count(asker, |count| count.open -= 1);
        };
        match self.waiting.is_empty() {
            true => close(self),
            false => self.reorder(asker, |shares| shares.waits_of(asker.client), close),
        }
    }

    /// The request that has waited for longest.
    pub fn oldest(&self) -> Option<(u64, &T)> {
        self.waiting.first_key_value().map(|(number, (_, ticket))| (*number, ticket))
    }

    /// Has a look at the tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.applications);
        look.at(&mut self.clients);
    }

    /// The number of the request whose turn it is.
    fn next(&self, limit: u64) -> Option<u64> {
        if self.open >= limit {
            return None;
        }
        if self.open < self.unreserved() {
            return self.turns.first().map(|(_, _, number, _)| *number);
        }
        let is_strict = self.open >= self.most - self.most / STRICT_PART;
        let of_application = if is_strict { share(self.most, &self.applications) } else { u64::MAX };
        let of_client = share(self.most, &self.clients);
        let mut least_open = 0;
        // The first of the applications with as many open is that whose client has the fewest, so it is enough to look
        // at one for each number of them. There are fewer such numbers than the square root of twice `most`.
        loop {
            let from = (least_open, 0, 0, 0);
            let &(open, of_its_client, number, _) = self.turns.range(from..).next()?;
            if open >= of_application {
                return None;
            }
            if of_its_client < of_client {
                return Some(number);
            }
            least_open = open + 1;
        }
    }

    /// Turns that anybody may have.
    fn unreserved(&self) -> u64 {
        self.most - self.most / RESERVED_PART
    }

    /// Makes a change to what `asker` has open or waits for, and puts those that `waits` gives, which the change
    /// concerns, where they belong then.
    fn reorder(
        &mut self,
        Asker { application, client }: Asker,
        waits: impl Fn(&Self) -> Waits,
        change: impl FnOnce(&mut Self),
    ) {
        let open = open_of(&self.clients, &client);
        self.take_out_turn_at(application);
        for (at, first) in waits(self) {
            if at != application {
                self.take_out_turn_at(at);
            }
            self.at_applications.remove(&(at, open, first, client));
        }
        change(self);
        let open = open_of(&self.clients, &client);
        for (at, first) in waits(self) {
            self.at_applications.insert((at, open, first, client));
            if at != application {
                self.turns.extend(self.turn_at(at));
            }
        }
        self.turns.extend(self.turn_at(application));
    }

    fn take_out_turn_at(&mut self, application: u64) {
        if let Some(turn) = self.turn_at(application) {
            self.turns.remove(&turn);
        }
    }

    /// The first request of `asker` that waits, in the form of [`Shares::waits_of`].
    fn wait_of(&self, Asker { application, client }: Asker) -> Waits {
        let of_pair = (client, application, 0)..=(client, application, u64::MAX);
        self.of_clients.range(of_pair).next().map(|(_, at, first)| (*at, *first)).into_iter().collect()
    }

    /// Where `client` waits, and the number of its first request there.
    fn waits_of(&self, client: ClientNetwork) -> Waits {
        let mut waits = Waits::new();
        let mut from = (client, 0, 0);
        while let Some(&(of, application, first)) = self.of_clients.range(from..).next()
            && of == client
        {
            waits.push((application, first));
            let Some(next) = application.checked_add(1) else { break };
            from = (client, next, 0);
        }
        waits
    }

    /// The place of `application` in the order of turns, if anybody waits there.
    fn turn_at(&self, application: u64) -> Option<(u64, u64, u64, u64)> {
        let from = (application, 0, 0, ClientNetwork::NOBODY);
        let &(at, of_its_client, number, _) = self.at_applications.range(from..).next()?;
        let open = open_of(&self.applications, &application);
        (at == application).then_some((open, of_its_client, number, application))
    }

    /// Counts for both sides of `asker`, which are forgotten when nothing is left of them.
    fn count(&mut self, Asker { application, client }: Asker, change: impl Fn(&mut Count)) {
        count_in(&mut self.applications, application, &change);
        count_in(&mut self.clients, client, &change);
    }
}

fn count_in<K: Eq + Hash>(counts: &mut NameMap<K, Count>, key: K, change: impl Fn(&mut Count)) {
    match counts.entry(key) {
        Entry::Occupied(mut known) => {
            change(known.get_mut());
            if known.get().open == 0 && known.get().waiting == 0 {
                known.remove();
            }
        }
        Entry::Vacant(vacant) => change(vacant.insert(Count::default())),
    }
}

fn open_of<K: Eq + Hash>(counts: &NameMap<K, Count>, key: &K) -> u64 {
    counts.get(key).map_or(0, |count| count.open)
}

/// What each of those who have or want requests gets if all get as many, and a newcomer too.
fn share<K>(most: u64, counts: &NameMap<K, Count>) -> u64 {
    (most / (counts.len() as u64 + 1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    /// Two applications, and clients by the last byte of their addresses.
    fn asker(application: u64, client: u8) -> Asker {
        Asker { application, client: ClientNetwork::of(Some(IpAddr::from([10, 0, 0, client]))) }
    }

    /// Asks for a turn at once; whether there was one.
    fn ask(shares: &mut Shares<u64>, asker: Asker, limit: u64) -> bool {
        if shares.open_at_once(asker, limit) {
            return true;
        }
        let number = shares.wait(asker, 0);
        let opened = shares.open_next(limit).is_some();
        if !opened {
            shares.withdraw(number);
        }
        opened
    }

    fn asked_until_refused(shares: &mut Shares<u64>, asker: Asker) -> usize {
        (0..100).filter(|_| ask(shares, asker, 64)).count()
    }

    #[test]
    fn whoever_is_alone_has_all_but_the_reserve_which_is_for_those_with_less_than_their_share() {
        let mut shares = Shares::new(64);
        assert_eq!(asked_until_refused(&mut shares, asker(1, 1)), 56);
        assert_eq!(asked_until_refused(&mut shares, asker(2, 1)), 0, "the client has more than its share");
        assert_eq!(asked_until_refused(&mut shares, asker(1, 2)), 4, "the rest is not for this application");
        assert_eq!(asked_until_refused(&mut shares, asker(2, 2)), 4);
        assert_eq!(asked_until_refused(&mut shares, asker(3, 3)), 0, "nothing is left");
        let mut few = Shares::new(7);
        assert_eq!(asked_until_refused(&mut few, asker(1, 1)), 7, "a few turns have no reserve");
    }

    #[test]
    fn a_turn_goes_to_whoever_has_least() {
        let mut shares = Shares::new(7);
        let open =
            [asker(1, 1), asker(1, 1), asker(1, 2), asker(2, 3), asker(2, 4), asker(3, 1), asker(3, 1)];
        open.iter().for_each(|asker| assert!(shares.open_at_once(*asker, 7)));
        let waiting = [asker(1, 1), asker(1, 2), asker(1, 2), asker(2, 3), asker(2, 5), asker(2, 3)];
        for (name, asker) in waiting.into_iter().enumerate() {
            assert_eq!(shares.wait(asker, name as u64), name as u64 + 1);
        }
        // One ends at each application that does not count for those who wait.
        shares.close(asker(3, 1));
        assert_eq!(shares.open_next(7), Some(4), "of the application with two, the client with none");
        shares.close(asker(3, 1));
        // Both applications have three.
        assert_eq!(shares.open_next(7), Some(1), "the client with one, who came first");
        assert_eq!(shares.open_next(7), None);
        shares.close(asker(1, 1));
        shares.close(asker(1, 1));
        assert_eq!(shares.open_next(7), Some(0), "the client that has none any more");
        assert_eq!(shares.open_next(7), Some(3), "of both with three, the client with one");
        assert_eq!((shares.waiting(), shares.oldest()), (2, Some((3, &2))));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Ask(u64, u8),
        /// The request at this place of those that are open, or wait.
        End(prop::sample::Index),
        GiveUp(prop::sample::Index),
        Limit(u64),
    }

    fn steps() -> impl Strategy<Value = (u64, Vec<Step>)> {
        let step = prop_oneof![
            8 => (0..4u64, 0..6u8).prop_map(|(application, client)| Step::Ask(application, client)),
            4 => any::<prop::sample::Index>().prop_map(Step::End),
            2 => any::<prop::sample::Index>().prop_map(Step::GiveUp),
            1 => (1..40u64).prop_map(Step::Limit),
        ];
        (1..40u64, prop::collection::vec(step, 1..200))
    }

    /// What is known of requests without any order: those that are open, and those that wait with their numbers.
    struct Model {
        most: u64,
        limit: u64,
        open: Vec<Asker>,
        waiting: Vec<(u64, Asker)>,
    }

    impl Model {
        fn share<K: Ord>(&self, of: impl Fn(&Asker) -> K) -> u64 {
            let all = self.open.iter().chain(self.waiting.iter().map(|(_, asker)| asker));
            let some: BTreeSet<K> = all.map(of).collect();
            (self.most / (some.len() as u64 + 1)).max(1)
        }

        fn open_of<K: Eq>(&self, asker: &Asker, of: impl Fn(&Asker) -> K) -> u64 {
            self.open.iter().filter(|open| of(open) == of(asker)).count() as u64
        }

        /// The number of the request whose turn it is.
        fn next(&self) -> Option<u64> {
            let open = self.open.len() as u64;
            let is_among_last = |part| open >= self.most - self.most / part;
            let (is_reserve, is_strict) = (is_among_last(8), is_among_last(16));
            let of = |asker: &Asker| {
                let of_application = self.open_of(asker, |asker| asker.application);
                (of_application, self.open_of(asker, |asker| asker.client))
            };
            let shares = (self.share(|asker| asker.application), self.share(|asker| asker.client));
            let may_have = |(of_application, of_client)| {
                (!is_strict || of_application < shares.0) && (!is_reserve || of_client < shares.1)
            };
            let all = self.waiting.iter().map(|(number, asker)| (of(asker), *number));
            let next = all.filter(|(has, _)| may_have(*has)).min()?;
            (open < self.limit.min(self.most)).then_some(next.1)
        }
    }

    proptest! {
        #[test]
        fn each_turn_goes_to_who_has_least_and_none_is_lost_or_left_over((most, steps) in steps()) {
            let mut shares = Shares::new(most);
            let mut model = Model { most, limit: most, open: Vec::new(), waiting: Vec::new() };
            for step in steps {
                match step {
                    Step::Ask(application, client) => {
                        let asker = asker(application, client);
                        match shares.open_at_once(asker, model.limit.min(most)) {
                            true => model.open.push(asker),
                            false => {
                                let number = shares.wait(asker, shares.numbers + 1);
                                model.waiting.push((number, asker));
                            }
                        }
                    }
                    Step::End(index) if !model.open.is_empty() => {
                        shares.close(model.open.swap_remove(index.index(model.open.len())));
                    }
                    Step::GiveUp(index) if !model.waiting.is_empty() => {
                        let (number, _) = model.waiting.swap_remove(index.index(model.waiting.len()));
                        prop_assert_eq!(shares.withdraw(number), Some(number));
                        prop_assert_eq!(shares.withdraw(number), None);
                    }
                    Step::Limit(limit) => model.limit = limit,
                    Step::End(_) | Step::GiveUp(_) => {}
                }
                loop {
                    let expected = model.next();
                    prop_assert_eq!(shares.open_next(model.limit.min(most)), expected);
                    let Some(number) = expected else { break };
                    let place = model.waiting.iter().position(|(known, _)| *known == number).unwrap();
                    model.open.push(model.waiting.swap_remove(place).1);
                }
                prop_assert_eq!((shares.open(), shares.waiting()), (model.open.len() as u64, model.waiting.len()));
                prop_assert!(shares.open() <= most);
                prop_assert_eq!(shares.oldest().map(|(number, _)| number), model.waiting.iter().map(|it| it.0).min());
            }
            model.open.drain(..).for_each(|asker| shares.close(asker));
            for (number, _) in model.waiting {
                prop_assert_eq!(shares.withdraw(number), Some(number));
            }
            let left = (shares.applications.len(), shares.clients.len(), shares.turns.len());
            prop_assert_eq!(left, (0, 0, 0));
            prop_assert_eq!((shares.of_clients.len(), shares.at_applications.len()), (0, 0));
        }
    }
}
