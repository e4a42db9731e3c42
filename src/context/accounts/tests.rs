use super::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::net::IpAddr;

const KINDS: [Kind; 3] = [Kind::Heads, Kind::Polls, Kind::Incoming];

fn network(number: u8) -> ClientNetwork {
    ClientNetwork::of(Some(IpAddr::from([10, 0, 0, number])))
}

fn application(number: u8) -> ApplicationId {
    ApplicationId::of("app", u16::from(number))
}

fn sizes(accounts: &Accounts) -> [usize; 3] {
    let Table { networks, applications, .. } = &*accounts.table;
    [accounts.table.clients(), networks.all().len(), applications.all().len()]
}

#[test]
fn what_is_booked_is_given_back_however_it_ends() {
    let accounts = Accounts::default();
    let mut one = accounts.client(Slot(1), || network(1)).book(Kind::Polls, 10);
    let other = accounts.client(Slot(2), || network(1)).book(Kind::Polls, 5);
    one.set(3);
    assert_eq!((accounts.bytes_of(Kind::Polls), accounts.bytes()), (8, 8));
    assert_eq!(accounts.heaviest_network(), Some((network(1), 8)));
    one.set(0);
    one.set(1);
    drop((one, other));
    assert_eq!((accounts.bytes(), sizes(&accounts)), (0, [0, 0, 0]));
    let mut on_none = Booking::default();
    on_none.set(7);
    assert_eq!((on_none.bytes(), accounts.bytes()), (0, 0));
}

#[test]
fn the_next_client_of_a_slot_has_nothing_of_the_last() {
    let accounts = Accounts::default();
    let old = accounts.client(Slot(1), || network(1)).book(Kind::Requests, 10);
    accounts.ended(Slot(1));
    let new = accounts.client(Slot(1), || network(2)).book(Kind::Requests, 5);
    assert_eq!(accounts.client_bytes(Slot(1)), 5);
    drop(old);
    assert_eq!((accounts.client_bytes(Slot(1)), sizes(&accounts)), (5, [1, 1, 0]));
    drop(new);
    assert_eq!(sizes(&accounts), [0, 0, 0]);
}

#[test]
fn bytes_that_outlive_a_connection_are_not_freed_by_resetting_it() {
    let accounts = Accounts::default();
    let own = accounts.client(Slot(1), || network(1)).book(Kind::Incoming, 10);
    let beyond = accounts.client(Slot(1), || network(1)).book_beyond_connection(Kind::Incoming, 100);
    assert_eq!((accounts.client_bytes(Slot(1)), accounts.bytes()), (10, 110));
    assert_eq!(accounts.heaviest_network(), Some((network(1), 110)));
    drop((own, beyond));
}

#[derive(Clone, Debug)]
enum Step {
    Book { slot: u8, kind: usize, outlives: bool, bytes: usize },
    Set { at: usize, bytes: usize },
    Drop { at: usize },
    IsAt { slot: u8, network: u8 },
    Asks { slot: u8, application: Option<u8> },
    Ended { slot: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let (slot, at, bytes) = (0..4u8, 0..64usize, 0..1_000usize);
    prop_oneof![
        4 => (slot.clone(), 0..KINDS.len(), any::<bool>(), bytes.clone())
            .prop_map(|(slot, kind, outlives, bytes)| Step::Book { slot, kind, outlives, bytes }),
        3 => (at.clone(), bytes).prop_map(|(at, bytes)| Step::Set { at, bytes }),
        3 => at.prop_map(|at| Step::Drop { at }),
        1 => (slot.clone(), 0..3u8).prop_map(|(slot, network)| Step::IsAt { slot, network }),
        1 => (slot.clone(), prop::option::of(0..3u8))
            .prop_map(|(slot, application)| Step::Asks { slot, application }),
        1 => slot.prop_map(|slot| Step::Ended { slot }),
    ]
}

/// The bookings that there should be, and the keys by which they are summed.
#[derive(Default)]
struct Model {
    /// By a number for each connection: its slot, its address, and its application.
    owners: HashMap<usize, (u8, u8, Option<u8>)>,
    /// The connection in a slot that has an owner.
    current: HashMap<u8, usize>,
    bookings: Vec<(Booking, usize, usize, bool)>,
    numbers: usize,
}

impl Model {
    fn step(&mut self, accounts: &Accounts, step: Step) {
        match step {
            Step::Book { slot, kind, outlives, bytes } => {
                let owner = accounts.client(Slot(slot.into()), || network(slot));
                let number = *self.current.entry(slot).or_insert_with(|| {
                    self.numbers += 1;
                    self.owners.insert(self.numbers, (slot, slot, None));
                    self.numbers
                });
                let booking = match outlives {
                    true => owner.book_beyond_connection(KINDS[kind], bytes),
                    false => owner.book(KINDS[kind], bytes),
                };
                self.bookings.push((booking, number, kind, outlives));
            }
            Step::Set { at, bytes } if !self.bookings.is_empty() => {
                let at = at % self.bookings.len();
                self.bookings[at].0.set(bytes);
            }
            Step::Drop { at } if !self.bookings.is_empty() => {
                let (booking, number, ..) = self.bookings.swap_remove(at % self.bookings.len());
                drop(booking);
                if self.bookings.iter().all(|(_, other, ..)| *other != number) {
                    self.owners.remove(&number);
                    self.current.retain(|_, current| *current != number);
                }
            }
            Step::IsAt { slot, network: at } => self.change(accounts, slot, |owner, keys| {
                owner.is_at(network(at));
                keys.1 = at;
            }),
            Step::Asks { slot, application: asked } => self.change(accounts, slot, |owner, keys| {
                owner.asks(asked.map(application));
                keys.2 = asked;
            }),
            Step::Ended { slot } => {
                accounts.ended(Slot(slot.into()));
                self.current.remove(&slot);
            }
            Step::Set { .. } | Step::Drop { .. } => {}
        }
    }

    /// Changes the address or application of a client for whom something is booked.
    fn change(&mut self, accounts: &Accounts, slot: u8, change: impl Fn(&Owner, &mut (u8, u8, Option<u8>))) {
        let keys = self.current.get(&slot).and_then(|number| self.owners.get_mut(number));
        if let Some(keys) = keys {
            change(&accounts.client(Slot(slot.into()), || network(slot)), keys);
        }
    }

    fn sum<K: Ord>(&self, key: impl Fn(&(Booking, usize, usize, bool)) -> Option<K>) -> Vec<(K, usize)> {
        let mut sums = std::collections::BTreeMap::new();
        for booking in &self.bookings {
            if let Some(key) = key(booking) {
                *sums.entry(key).or_insert(0) += booking.0.bytes();
            }
        }
        sums.into_iter().collect()
    }

    fn check(&self, accounts: &Accounts) {
        let keys = |number: &usize| self.owners[number];
        for (kind, name) in KINDS.into_iter().enumerate() {
            let of_kind = self.bookings.iter().filter(|booking| booking.2 == kind);
            let bytes: usize = of_kind.map(|(booking, ..)| booking.bytes()).sum();
            assert_eq!(accounts.bytes_of(name), bytes);
        }
        let Table { networks, applications, .. } = &*accounts.table;
        let mut by_network = networks.all();
        by_network.sort_unstable();
        let mut expected = self.sum(|(_, number, ..)| Some(network(keys(number).1)));
        expected.sort_unstable();
        assert_eq!(by_network, expected);
        let mut by_application = applications.all();
        by_application.sort_unstable();
        assert_eq!(by_application, self.sum(|(_, number, ..)| keys(number).2.map(application)));
        for slot in 0..4 {
            let own = self
                .bookings
                .iter()
                .filter(|(_, number, _, outlives)| self.current.get(&slot) == Some(number) && !outlives);
            let own: usize = own.map(|(booking, ..)| booking.bytes()).sum();
            assert_eq!(accounts.client_bytes(Slot(slot.into())), own);
        }
        assert_eq!(accounts.table.clients(), self.current.len());
    }
}

proptest! {
    #[test]
    fn all_sums_agree_with_the_bookings_and_nothing_is_left_in_the_end(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let (accounts, mut model) = (Accounts::default(), Model::default());
        for step in steps {
            model.step(&accounts, step);
            model.check(&accounts);
        }
        drop(model);
        assert_eq!((accounts.bytes(), sizes(&accounts)), (0, [0, 0, 0]));
    }
}
