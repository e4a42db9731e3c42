//! The order that a home gives a channel, against a model that knows nothing but the rules. Publishers on several cores
//! send the items of one sequence, early, late, twice or not at all; every message takes as long as it takes to reach
//! the home and to come from it. Each interested core must get what the model says, and when nothing is lost and nobody
//! loses patience, the sequence itself.

use gripwire::channel::{Home, HomeTimes, ToCore, ToHome};
use gripwire::ids::CoreId;
use gripwire::proto::grip::Publication;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

type Checked = Result<(), TestCaseError>;

const CORES: usize = 3;
const PATIENCE: u32 = 10;
const MEMORY: u32 = 40;

/// Something that happens. Cores are taken modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    /// A core sends item `number`, which names the one before it.
    Publish {
        core: usize,
        number: u32,
    },
    /// The same for an item that stands beside the sequence, or names nobody, or has no id.
    Beside {
        core: usize,
        number: u32,
        kind: Kind,
    },
    /// The oldest message of a core reaches the home.
    ReachHome {
        core: usize,
    },
    /// The oldest message of the home reaches a core.
    ReachCore {
        core: usize,
    },
    Interest {
        core: usize,
    },
    Tick {
        by: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    OutOfSequence,
    NamesNobody,
    WithoutId,
}

/// An item as the model sees it: its id, its predecessor's, and whether it stands beside the sequence.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    id: Option<u32>,
    prev: Option<u32>,
    beside: bool,
}

/// What a home promises, in the plainest way there is.
#[derive(Default)]
struct Model {
    now: u32,
    last: Option<u32>,
    /// Each with the tick at which patience ends.
    waiting: Vec<(u32, Item)>,
    seen: BTreeMap<u32, u32>,
    interested: BTreeSet<usize>,
}

impl Model {
    /// What is delivered when `item` comes.
    fn take(&mut self, item: Item) -> Vec<Item> {
        if let Some(id) = item.id {
            if self.seen.get(&id).is_some_and(|tick| self.now - tick < MEMORY) {
                return Vec::new();
            }
            self.seen.insert(id, self.now);
        }
        if self.interested.is_empty() {
            return Vec::new();
        }
        if !self.is_next(&item) {
            self.waiting.push((self.now + PATIENCE, item));
            return Vec::new();
        }
        self.deliver(item)
    }

    /// What is delivered because patience has ended.
    fn tick(&mut self, by: u32) -> Vec<Item> {
        self.now += by;
        let mut delivered = Vec::new();
        while self.waiting.first().is_some_and(|(deadline, _)| *deadline <= self.now) {
            let (_, item) = self.waiting.remove(0);
            delivered.extend(self.deliver(item));
        }
        delivered
    }

    fn is_next(&self, item: &Item) -> bool {
        item.beside || item.prev.is_none() || self.last.is_none() || item.prev == self.last
    }

    fn deliver(&mut self, item: Item) -> Vec<Item> {
        if !item.beside {
            self.last = item.id;
        }
        let mut delivered = vec![item];
        if let Some(at) = self.waiting.iter().position(|(_, waiting)| self.is_next(waiting)) {
            let (_, next) = self.waiting.remove(at);
            delivered.extend(self.deliver(next));
        }
        delivered
    }
}

/// A home, the rings to it and from it, and what each core is owed and got.
struct Town {
    home: Home,
    model: Model,
    to_home: Vec<VecDeque<(Option<Item>, ToHome)>>,
    to_core: Vec<VecDeque<ToCore>>,
    owed: Vec<Vec<Item>>,
    got: Vec<Vec<Item>>,
}

impl Town {
    fn new() -> Town {
        Town {
            home: Home::new(CoreId(0), HomeTimes { message_wait: PATIENCE, duplicate_ids: MEMORY }),
            model: Model::default(),
            to_home: vec![VecDeque::new(); CORES],
            to_core: vec![VecDeque::new(); CORES],
            owed: vec![Vec::new(); CORES],
            got: vec![Vec::new(); CORES],
        }
    }

    fn take(&mut self, step: Step) -> Checked {
        match step {
            Step::Publish { core, number } => self.publish(core, in_sequence(number)),
            Step::Beside { core, number, kind } => self.publish(core, beside(number, kind)),
            Step::ReachHome { core } => self.reach_home(core % CORES),
            Step::ReachCore { core } => return self.reach_core(core % CORES),
            Step::Interest { core } => {
                let ask = ToHome::Subscribe { channel: "c".into(), epoch: 1 };
                self.to_home[core % CORES].push_back((None, ask));
            }
            Step::Tick { by } => self.tick(by),
        }
        Ok(())
    }

    fn publish(&mut self, core: usize, item: Item) {
        let mut publication = Publication::new("c");
        publication.id = item.id.map(|id| id.to_string().into());
        publication.prev_id = item.prev.map(|id| id.to_string().into());
        publication.no_seq = item.beside;
        self.to_home[core % CORES].push_back((Some(item), ToHome::Publish(Arc::new(publication))));
    }

    fn reach_home(&mut self, core: usize) {
        let Some((item, message)) = self.to_home[core].pop_front() else { return };
        match item {
            Some(item) => {
                let delivered = self.model.take(item);
                self.owe(&delivered);
            }
            None => drop(self.model.interested.insert(core)),
        }
        let to_core = &mut self.to_core;
        self.home.handle(CoreId(core as u16), message, &mut |core, answer| {
            to_core[core.index()].push_back(answer);
        });
    }

    fn owe(&mut self, delivered: &[Item]) {
        self.model.interested.iter().for_each(|core| self.owed[*core].extend_from_slice(delivered));
    }

    fn reach_core(&mut self, core: usize) -> Checked {
        if let Some(ToCore::Deliver(publication)) = self.to_core[core].pop_front() {
            let number = |id: &Option<Box<str>>| id.as_deref().and_then(|id| id.parse().ok());
            let (id, prev) = (number(&publication.id), number(&publication.prev_id));
            self.got[core].push(Item { id, prev, beside: publication.no_seq });
            prop_assert!(self.owed[core].starts_with(&self.got[core]), "not what the model says");
        }
        Ok(())
    }

    fn tick(&mut self, by: u32) {
        let delivered = self.model.tick(by);
        self.owe(&delivered);
        self.home.set_now(self.model.now);
        let to_core = &mut self.to_core;
        while self
            .home
            .lose_patience(self.model.now, &mut |core, answer| to_core[core.index()].push_back(answer))
        {
        }
    }

    /// Lets everything arrive.
    fn settle(&mut self) -> Checked {
        for core in 0..CORES {
            while !self.to_home[core].is_empty() {
                self.reach_home(core);
            }
        }
        for core in 0..CORES {
            while !self.to_core[core].is_empty() {
                self.reach_core(core)?;
            }
        }
        Ok(())
    }
}

fn in_sequence(number: u32) -> Item {
    Item { id: Some(number), prev: number.checked_sub(1), beside: false }
}

/// Items beside the sequence have ids of their own.
fn beside(number: u32, kind: Kind) -> Item {
    match kind {
        Kind::OutOfSequence => Item { id: Some(1000 + number), prev: Some(2000 + number), beside: true },
        Kind::NamesNobody => Item { id: Some(number), prev: None, beside: false },
        Kind::WithoutId => Item { id: None, prev: Some(number), beside: false },
    }
}

fn step() -> impl Strategy<Value = Step> {
    let core = 0..CORES;
    let kind = prop::sample::select(vec![
        Kind::OutOfSequence,
        Kind::OutOfSequence,
        Kind::NamesNobody,
        Kind::WithoutId,
    ]);
    prop_oneof![
        8 => (core.clone(), 0..12u32).prop_map(|(core, number)| Step::Publish { core, number }),
        2 => (core.clone(), 0..12u32, kind).prop_map(|(core, number, kind)| Step::Beside { core, number, kind }),
        8 => core.clone().prop_map(|core| Step::ReachHome { core }),
        8 => core.clone().prop_map(|core| Step::ReachCore { core }),
        1 => core.prop_map(|core| Step::Interest { core }),
        2 => (0..PATIENCE).prop_map(|by| Step::Tick { by }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_core_gets_what_the_rules_say(
        first in 0..CORES, steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut town = Town::new();
        town.take(Step::Interest { core: first })?;
        for step in steps {
            town.take(step)?;
        }
        town.settle()?;
        town.tick(PATIENCE);
        town.settle()?;
        prop_assert_eq!(&town.got, &town.owed);
        prop_assert_eq!(town.home.waiting_bytes(), 0);
    }

    #[test]
    fn a_sequence_in_any_order_with_repeats_comes_out_whole_and_once(
        sent in Just((1..60u32).chain(1..60).collect::<Vec<_>>()).prop_shuffle(),
        cores in prop::collection::vec(0..CORES, 200),
    ) {
        let mut town = Town::new();
        (0..CORES).try_for_each(|core| town.take(Step::Interest { core }))?;
        town.settle()?;
        // What came first tells where the sequence begins.
        town.take(Step::Publish { core: 0, number: 0 })?;
        town.settle()?;
        for (number, core) in sent.iter().zip(&cores) {
            town.take(Step::Publish { core: *core, number: *number })?;
            town.take(Step::ReachHome { core: cores[*number as usize] })?;
            town.take(Step::ReachCore { core: cores[*number as usize + 60] })?;
        }
        town.settle()?;
        for got in &town.got {
            let ids: Vec<u32> = got.iter().filter_map(|item| item.id).collect();
            prop_assert_eq!(ids, (0..60).collect::<Vec<_>>());
        }
    }
}
