//! Decides which waiting request is opened next, and counts the open and waiting requests of each application and
//! client. The next turn goes to the application with the fewest open requests, there to the client with the fewest
//! open requests, and there to the request that came first. So the applications and clients with the most open
//! requests wait behind the others. The last eighth of all turns is a reserve for clients that have less than their
//! share. The last half of the reserve is for requests whose application has less than its share, too. So a client
//! that never ends its requests leaves room for others at once, even if all ask one application, and so does an
//! application that hangs, however many clients ask it.
//!
//! Plain values: no clock, no task. The cost of a call grows with the logarithm of the number of waiting requests. A
//! call that changes how many requests a client has open also costs in proportion to the number of applications at
//! which the client waits.

use crate::ids::NameMap;
use crate::proto::client_network::ClientNetwork;
use crate::slack::Look;
use smallvec::SmallVec;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

/// One part in this many of all turns is reserved for clients that have less than their share.
const RESERVED_PART: u64 = 8;
/// One part in this many is reserved for requests whose application has less than its share, too.
const STRICT_PART: u64 = 16;

/// For whom a request is counted: the hash of its application, and its client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::origin) struct Asker {
    pub application: u64,
    pub client: ClientNetwork,
}

/// The open requests, and the waiting requests, each with a `T`.
pub(super) struct Shares<T> {
    most: u64,
    open: u64,
    applications: NameMap<u64, Count>,
    clients: NameMap<ClientNetwork, Count>,
    /// The waiting requests by number; numbers grow in the order of arrival.
    waiting: BTreeMap<u64, (Asker, T)>,
    numbers: u64,
    /// The waiting requests by client, application and number.
    of_clients: BTreeSet<(ClientNetwork, u64, u64)>,
    /// One entry for each client that waits at an application: the application, how many requests the client has
    /// open, the number of the client's first request that waits there, and the client.
    at_applications: BTreeSet<(u64, u64, u64, ClientNetwork)>,
    /// One entry for each application at which a request waits: how many requests the application has open, then two
    /// values of the application's first entry in `at_applications`: how many its client has open, and the number.
    /// The application is last.
    turns: BTreeSet<(u64, u64, u64, u64)>,
}

/// Applications at which a client waits, each with the number of the client's first request there.
type Waits = SmallVec<[(u64, u64); 4]>;

/// How many requests an application or a client has.
#[derive(Default)]
struct Count {
    open: u64,
    waiting: u64,
}

impl<T> Shares<T> {
    /// Shares out `most` turns.
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

    /// How many requests are open.
    pub fn open(&self) -> u64 {
        self.open
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Opens a request at once and returns true, if no request waits and the turn is not from the reserve. At most
    /// `limit` requests may be open.
    pub fn open_at_once(&mut self, asker: Asker, limit: u64) -> bool {
        let is_free = self.waiting.is_empty() && self.open < limit.min(self.unreserved());
        if is_free {
            self.open += 1;
            self.count(asker, |count| count.open += 1);
        }
        is_free
    }

    /// Lets a request wait; returns its number.
    pub fn wait(&mut self, asker: Asker, ticket: T) -> u64 {
        self.numbers += 1;
        let number = self.numbers;
        let add = |shares: &mut Self| {
            shares.count(asker, |count| count.waiting += 1);
            shares.of_clients.insert((asker.client, asker.application, number));
            shares.waiting.insert(number, (asker, ticket));
        };
        // A request behind others of its own client and application changes no order.
        match self.wait_of(asker).is_empty() {
            true => self.reorder(asker, |shares| shares.wait_of(asker), add),
            false => add(self),
        }
        number
    }

    /// Stops the waiting of the request with this number; returns its ticket if the request waited.
    pub fn withdraw(&mut self, number: u64) -> Option<T> {
        let (asker, ticket) = self.waiting.remove(&number)?;
        let remove = |shares: &mut Self| {
            shares.of_clients.remove(&(asker.client, asker.application, number));
            shares.count(asker, |count| count.waiting -= 1);
        };
        self.reorder(asker, |shares| shares.wait_of(asker), remove);
        Some(ticket)
    }

    /// Opens the request whose turn is next and returns its ticket, if any waiting request may be opened while at
    /// most `limit` are open.
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

    /// An open request ends.
    pub fn close(&mut self, asker: Asker) {
        debug_assert!(self.open > 0, "the request that ends is open");
        let close = |shares: &mut Self| {
            shares.open -= 1;
            shares.count(asker, |count| count.open -= 1);
        };
        match self.waiting.is_empty() {
            true => close(self),
            false => self.reorder(asker, |shares| shares.waits_of(asker.client), close),
        }
    }

    /// The request that has waited for the longest time.
    pub fn oldest(&self) -> Option<(u64, &T)> {
        self.waiting.first_key_value().map(|(number, (_, ticket))| (*number, ticket))
    }

    /// Shows the tables to `look`.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.applications);
        look.at(&mut self.clients);
    }

    /// The number of the request whose turn is next.
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
        // Among applications with equally many open requests, the first is that whose client has the fewest, so one
        // entry for each number is enough. There are fewer such numbers than the square root of twice `most`.
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

    /// How many turns are not in the reserve.
    fn unreserved(&self) -> u64 {
        self.most - self.most / RESERVED_PART
    }

    /// Changes what `asker` has open or waiting, and moves the entries that the change concerns (given by `waits`) to
    /// their new places in the order.
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

    /// The first waiting request of `asker`, in the form of [`Shares::waits_of`].
    fn wait_of(&self, Asker { application, client }: Asker) -> Waits {
        let of_pair = (client, application, 0)..=(client, application, u64::MAX);
        self.of_clients.range(of_pair).next().map(|(_, at, first)| (*at, *first)).into_iter().collect()
    }

    /// The applications at which `client` waits, each with the number of the client's first request there.
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

    /// The entry of `application` in the order of turns, if any request waits there.
    fn turn_at(&self, application: u64) -> Option<(u64, u64, u64, u64)> {
        let from = (application, 0, 0, ClientNetwork::NOBODY);
        let &(at, of_its_client, number, _) = self.at_applications.range(from..).next()?;
        let open = open_of(&self.applications, &application);
        (at == application).then_some((open, of_its_client, number, application))
    }

    /// Changes the counts of `asker`'s application and client; a count that drops to zero is removed.
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

/// The share of each application, or of each client, if all that have or want requests and one newcomer get equally
/// many.
fn share<K>(most: u64, counts: &NameMap<K, Count>) -> u64 {
    (most / (counts.len() as u64 + 1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    /// Clients differ by the last byte of their addresses.
    fn asker(application: u64, client: u8) -> Asker {
        Asker { application, client: ClientNetwork::of(Some(IpAddr::from([10, 0, 0, client]))) }
    }

    /// Asks for a turn at once; returns whether the request was opened.
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
        // One request ends at each application; the requests that end are of clients that do not wait.
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
        /// The open or waiting request at this place ends.
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

    /// The model keeps no order: it has the open requests, and the waiting requests with their numbers.
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

        /// The number of the request whose turn is next.
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
