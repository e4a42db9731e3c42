//! Readers that follow ids, on several cores, of an application that knows all items. Items are published late, twice,
//! or never; the application's answers are late; homes forget, channels are left and joined again. Whatever happens,
//! what a reader has is at every moment the items without a gap, a repeat or a change of order; and with everything at
//! rest it has all of them. The model is no more than that list.

use bytes::Bytes;
use gripwire::channel::{
    Home, HomeTimes, Readiness, Slice, SliceKind, Subscriptions, ToCore, ToHome, Transport, home_of,
};
use gripwire::ids::{CoreId, Slot};
use gripwire::proto::grip::{Publication, StreamFormat, Then};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

type Checked = Result<(), TestCaseError>;

const CHANNEL: &str = "news";
const CORES: usize = 2;
const SLOTS: u32 = 3;
const PATIENCE: u32 = 5;

#[derive(Clone, Debug)]
enum Step {
    /// The application has one more item, and publishes it so often, at these cores.
    Publish {
        at: Vec<usize>,
        hint: bool,
    },
    /// A reader asks the application for the first time.
    Come {
        core: usize,
        slot: u32,
    },
    Leave {
        core: usize,
        slot: u32,
    },
    /// The application answers what a reader asks now; the reader gets it at the next such step.
    Answer {
        core: usize,
        slot: u32,
    },
    ReachHome {
        from: usize,
    },
    ReachCore {
        to: usize,
    },
    FanOut {
        core: usize,
        budget: usize,
    },
    Recover {
        core: usize,
        /// Of the channel, and not of all.
        alone: bool,
    },
    Tick {
        by: u32,
    },
}

/// A reader, and what it has: every item from `base` to the last of `got`.
struct Reader {
    base: u32,
    got: Vec<u32>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    /// It has asked, and has not been answered.
    Asking,
    /// The answer ends with this item, and is on its way.
    Answered(u32),
    /// Its subscription is not in force, or it is held.
    Held,
}

struct Town {
    cores: Vec<Core>,
    to_home: Vec<VecDeque<ToHome>>,
    to_core: Vec<VecDeque<ToCore>>,
    /// How many items the application has.
    items: u32,
    now: u32,
}

struct Core {
    subscriptions: Subscriptions,
    home: Home,
    readers: BTreeMap<u32, Reader>,
}

impl Reader {
    fn last(&self) -> u32 {
        self.got.last().copied().unwrap_or(self.base)
    }

    fn gets(&mut self, number: u32) -> Checked {
        prop_assert_eq!(number, self.last() + 1, "a gap, a repeat or another order");
        self.got.push(number);
        Ok(())
    }
}

impl Town {
    fn new() -> Town {
        let core = |id| Core {
            subscriptions: Subscriptions::new(CORES, 3),
            home: Home::new(CoreId(id as u16), HomeTimes { message_wait: PATIENCE, duplicate_ids: 1000 }),
            readers: BTreeMap::new(),
        };
        Town {
            cores: (0..CORES).map(core).collect(),
            to_home: vec![VecDeque::new(); CORES],
            to_core: vec![VecDeque::new(); CORES],
            items: 10,
            now: 0,
        }
    }

    fn take(&mut self, step: Step) -> Checked {
        match step {
            Step::Publish { at, hint } => self.publish(&at, hint),
            Step::Come { core, slot } => {
                let new = Reader { base: self.items, got: Vec::new(), state: State::Answered(self.items) };
                self.cores[core].readers.entry(slot).or_insert(new);
            }
            Step::Leave { core, slot } => {
                if self.cores[core].readers.remove(&slot).is_some() {
                    self.cores[core].subscriptions.unsubscribe(Slot(slot));
                }
            }
            Step::Answer { core, slot } => return self.answer(core, slot),
            Step::ReachHome { from } => self.reach_home(from),
            Step::ReachCore { to } => return self.reach_core(to),
            Step::FanOut { core, budget } => return self.fan_out(core, budget).map(drop),
            Step::Recover { core, alone } => self.to_home[core].push_back(match alone {
                true => ToHome::RecoverChannel { channel: CHANNEL.into() },
                false => ToHome::Recover,
            }),
            Step::Tick { by } => self.tick(by),
        }
        Ok(())
    }

    fn publish(&mut self, at: &[usize], hint: bool) {
        self.items += 1;
        let mut publication = Publication::new(CHANNEL);
        publication.id = Some(self.items.to_string().into());
        publication.prev_id = Some((self.items - 1).to_string().into());
        publication.stream = Some(match hint {
            true => StreamFormat::Hint,
            false => StreamFormat::Content(Bytes::from(format!("{};", self.items))),
        });
        let publication = Arc::new(publication);
        at.iter().for_each(|core| self.to_home[*core].push_back(ToHome::Publish(publication.clone())));
    }

    /// The application answers, or its answer arrives: the items that the reader lacks, and where they end.
    fn answer(&mut self, at: usize, slot: u32) -> Checked {
        let core = &mut self.cores[at];
        let Some(reader) = core.readers.get_mut(&slot) else { return Ok(()) };
        match reader.state {
            State::Held => return Ok(()),
            State::Asking => {
                reader.state = State::Answered(self.items);
                return Ok(());
            }
            State::Answered(last) => {
                (reader.last() + 1..=last).try_for_each(|number| reader.gets(number))?;
                reader.state = State::Held;
            }
        }
        let id = reader.last().to_string();
        let mut asks = Vec::new();
        let readiness =
            core.subscriptions.join(Slot(slot), Transport::StreamRaw, CHANNEL, &mut |_, ask| asks.push(ask));
        core.subscriptions.follow(Slot(slot), CHANNEL, &id);
        self.to_home[at].extend(asks);
        if readiness == Readiness::Ready { self.make_up(at, slot) } else { Ok(()) }
    }

    fn make_up(&mut self, at: usize, slot: u32) -> Checked {
        let missed = self.cores[at].subscriptions.take_missed(Slot(slot));
        let reader = self.cores[at].readers.get_mut(&slot);
        let reader = reader.ok_or_else(|| TestCaseError::fail("ready, but gone"))?;
        for item in &missed.items {
            reader.gets(number_of(item))?;
        }
        if missed.more { self.ask(at, slot) } else { Ok(()) }
    }

    /// A reader leaves the channel to ask the application, which must be told exactly what it has.
    fn ask(&mut self, at: usize, slot: u32) -> Checked {
        let core = &mut self.cores[at];
        let Some(reader) = core.readers.get_mut(&slot).filter(|reader| reader.state == State::Held) else {
            return Ok(());
        };
        let heard = core.subscriptions.withdraw(Slot(slot));
        let ids: Vec<&str> = heard.iter().map(|(_, id)| &**id).collect();
        prop_assert_eq!(ids, [reader.last().to_string()], "not what the reader has");
        reader.state = State::Asking;
        Ok(())
    }

    fn home(&self) -> usize {
        home_of(CHANNEL, CORES).index()
    }

    fn reach_home(&mut self, from: usize) {
        let home = self.home();
        let Some(message) = self.to_home[from].pop_front() else { return };
        let to_core = &mut self.to_core;
        let from = CoreId(from as u16);
        self.cores[home].home.handle(from, message, &mut |core, answer| {
            to_core[core.index()].push_back(answer);
        });
    }

    fn reach_core(&mut self, to: usize) -> Checked {
        let Some(message) = self.to_core[to].pop_front() else { return Ok(()) };
        if let ToCore::Recover { home } = message {
            for slot in self.cores[to].subscriptions.held_on(home) {
                self.ask(to, slot.0)?;
            }
            self.cores[to].subscriptions.forget_last_ids(home);
            return Ok(());
        }
        if let ToCore::RecoverChannel { channel } = message {
            for slot in self.cores[to].subscriptions.held_on_channel(&channel) {
                self.ask(to, slot.0)?;
            }
            self.cores[to].subscriptions.forget_last_id(&channel);
            return Ok(());
        }
        let mut ready = Vec::new();
        self.cores[to].subscriptions.handle(message, &mut ready);
        ready.into_iter().try_for_each(|slot| self.make_up(to, slot.0))
    }

    /// Whether there was something to write.
    fn fan_out(&mut self, at: usize, budget: usize) -> Result<bool, TestCaseError> {
        let mut slice = Slice::default();
        if !self.cores[at].subscriptions.next_slice(budget, &mut slice) {
            return Ok(false);
        }
        match std::mem::take(&mut slice.kind) {
            SliceKind::Empty
            | SliceKind::Response { .. }
            | SliceKind::Unfit { .. }
            | SliceKind::Filtered { .. } => {}
            SliceKind::Gapped { slots } => {
                slots.into_iter().try_for_each(|slot| self.ask(at, slot.0))?;
            }
            SliceKind::Stream { frame, then } => {
                let whole = slice.slots.iter().map(|slot| (*slot, frame.clone()));
                let parts: Vec<_> = whole.chain(slice.partial.iter().cloned()).collect();
                for (slot, part) in &parts {
                    let reader = self.cores[at].readers.get_mut(&slot.0);
                    let reader = reader.ok_or_else(|| TestCaseError::fail("written to, but gone"))?;
                    let text = String::from_utf8_lossy(part).into_owned();
                    let mut numbers = text.split_terminator(';').filter_map(|number| number.parse().ok());
                    numbers.try_for_each(|number| reader.gets(number))?;
                }
                if then == Then::Refetch {
                    parts.iter().try_for_each(|(slot, _)| self.ask(at, slot.0))?;
                }
            }
        }
        Ok(true)
    }

    fn tick(&mut self, by: u32) {
        self.now += by;
        let home = self.home();
        let to_core = &mut self.to_core;
        self.cores[home].home.set_now(self.now);
        while self.cores[home]
            .home
            .lose_patience(self.now, &mut |core, answer| to_core[core.index()].push_back(answer))
        {}
        for (core, to_home) in self.cores.iter_mut().zip(&mut self.to_home) {
            core.subscriptions.set_now(self.now);
            core.subscriptions.expire(usize::MAX, &mut |_, farewell| to_home.push_back(farewell));
        }
    }

    /// Everything arrives, everybody is answered, and patience ends.
    fn settle(&mut self) -> Checked {
        for _ in 0..40 {
            for core in 0..CORES {
                while !self.to_home[core].is_empty() {
                    self.reach_home(core);
                }
            }
            for core in 0..CORES {
                while !self.to_core[core].is_empty() {
                    self.reach_core(core)?;
                }
                while self.fan_out(core, 2)? {}
                for slot in 0..SLOTS {
                    self.answer(core, slot)?;
                }
            }
            self.tick(1);
        }
        Ok(())
    }
}

fn number_of(item: &Publication) -> u32 {
    item.id.as_deref().and_then(|id| id.parse().ok()).expect("every item here has a number")
}

fn step() -> impl Strategy<Value = Step> {
    let (core, slot) = (0..CORES, 0..SLOTS);
    // Mostly once, sometimes twice, sometimes never.
    let at = prop_oneof![
        8 => prop::collection::vec(0..CORES, 1),
        1 => prop::collection::vec(0..CORES, 2),
        1 => Just(Vec::new()),
    ];
    prop_oneof![
        8 => (at, prop::bool::weighted(0.1)).prop_map(|(at, hint)| Step::Publish { at, hint }),
        4 => (core.clone(), slot.clone()).prop_map(|(core, slot)| Step::Come { core, slot }),
        1 => (core.clone(), slot.clone()).prop_map(|(core, slot)| Step::Leave { core, slot }),
        10 => (core.clone(), slot).prop_map(|(core, slot)| Step::Answer { core, slot }),
        8 => core.clone().prop_map(|from| Step::ReachHome { from }),
        10 => core.clone().prop_map(|to| Step::ReachCore { to }),
        10 => (core.clone(), 1..3usize).prop_map(|(core, budget)| Step::FanOut { core, budget }),
        1 => (core, prop::bool::ANY).prop_map(|(core, alone)| Step::Recover { core, alone }),
        2 => (0..PATIENCE).prop_map(|by| Step::Tick { by }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn readers_have_every_item_once_and_in_order(steps in prop::collection::vec(step(), 1..150)) {
        let mut town = Town::new();
        for step in steps {
            town.take(step)?;
        }
        town.settle()?;
        // An item that was never published is found out with the next one.
        town.publish(&[0], false);
        town.settle()?;
        for reader in town.cores.iter().flat_map(|core| core.readers.values()) {
            prop_assert_eq!((reader.state, reader.last()), (State::Held, town.items));
        }
    }
}
