//! Cores, homes and rings, one step at a time. Every ordered pair of cores, each core with itself included, has a
//! ring to the home and a ring back, first in, first out and bounded, as the mesh has them; here each message stays
//! in its ring until a step says that it arrives. The rows of a core do with slices what real connections do: answers
//! and ends of streams unsubscribe them at once.

use crate::ledger::{Arrivals, Ledger, Speaks, Subscriber};
use bytes::Bytes;
use gripwire::channel::{
    Audience, Counting, Dispatched, Home, HomeTimes, ItemPlace, Items, LastId, Reach, Readiness, Receipts,
    Slice, SliceKind, Subscriptions, ToCore, ToHome, Transport, home_of,
};
use gripwire::ids::{CoreId, Slot};
use gripwire::proto::grip::{Publication, Receipt, ResponseFormat, SocketFormat, StreamFormat, Then};
use gripwire::proto::websocket::{Close, FrameHeader, Opcode};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

type Checked = Result<(), TestCaseError>;

/// Messages of a ring from which on publishers wait.
const RING: usize = 24;
const CHANNELS: [&str; crate::CHANNELS] = ["news", "a", "room-2"];

pub struct World {
    cores: Vec<Core>,
    /// By sender, then receiver.
    to_home: Vec<VecDeque<ToHome>>,
    to_core: Vec<VecDeque<ToCore>>,
    /// How many messages were put into the rings to cores.
    dispatched: Arc<Dispatched>,
    /// Reports of receipts.
    to_publisher: Vec<VecDeque<(Receipt, Reach)>>,
    /// Publications with receipts: where each was published, and the ticket.
    asked: BTreeMap<usize, (usize, u64)>,
    /// Which cores have reported on a publication.
    reported: BTreeSet<(usize, usize)>,
    ledger: Ledger,
    linger: u32,
}

struct Core {
    subscriptions: Subscriptions,
    home: Home,
    receipts: Receipts,
    arrivals: Arrivals,
    rows: BTreeMap<u32, Subscriber>,
    /// Of each channel, what its home said or sent last.
    last_numbers: [LastId; crate::CHANNELS],
    now: u32,
    slice: Slice,
}

/// What a slice asks of one row.
enum Task {
    Write { slot: Slot, part: Bytes, ends: bool },
    Answer { slot: Slot, publication: Arc<Publication> },
    Filter { slot: Slot, items: Items },
}

impl World {
    pub fn new(cores: usize, linger: u32, now: u32) -> World {
        let dispatched = Arc::new(Dispatched::new(cores));
        let core = |core| {
            let mut subscriptions = Subscriptions::new(cores, linger);
            subscriptions.set_dispatched(dispatched.clone(), CoreId(core as u16));
            subscriptions.set_now(now);
            let (arrivals, rows) = (Arrivals::new(CHANNELS.len()), BTreeMap::new());
            Core {
                subscriptions,
                home: Home::new(CoreId(0), HomeTimes { message_wait: 1, duplicate_ids: 1 }),
                receipts: Receipts::default(),
                arrivals,
                rows,
                last_numbers: Default::default(),
                now,
                slice: Slice::default(),
            }
        };
        World {
            cores: (0..cores).map(core).collect(),
            to_home: vec![VecDeque::new(); cores * cores],
            to_core: vec![VecDeque::new(); cores * cores],
            dispatched,
            to_publisher: vec![VecDeque::new(); cores * cores],
            asked: BTreeMap::new(),
            reported: BTreeSet::new(),
            ledger: Ledger::new(CHANNELS.len()),
            linger,
        }
    }

    /// A connection subscribes, unless there is one in that slot.
    pub fn subscribe(
        &mut self,
        core: usize,
        slot: u32,
        transport: Transport,
        channels: Vec<usize>,
        reconnects: bool,
    ) -> Checked {
        let at = core % self.cores.len();
        let core = &mut self.cores[at];
        if core.rows.contains_key(&slot) {
            return Ok(());
        }
        let names: Vec<&str> = channels.iter().map(|channel| CHANNELS[*channel]).collect();
        let mut subscriber = Subscriber::new(transport, channels, reconnects, &self.ledger);
        let mut asks = Vec::new();
        let readiness = core
            .subscriptions
            .subscribe(Slot(slot), transport, &names, &mut |home, ask| asks.push((home, ask)));
        if readiness == Readiness::Ready {
            subscriber.opens(&core.arrivals, &self.ledger)?;
        }
        core.rows.insert(slot, subscriber);
        asks.into_iter().for_each(|(home, ask)| self.send_home(at, home, ask));
        Ok(())
    }

    /// A WebSocket that is open asks for one more channel.
    pub fn join(&mut self, core: usize, slot: u32, channel: usize) -> Checked {
        let at = core % self.cores.len();
        let core = &mut self.cores[at];
        let Some(row) = core.rows.get_mut(&slot).filter(|row| row.is_open_socket()) else { return Ok(()) };
        let mut asks = Vec::new();
        let mut out = |home, ask| asks.push((home, ask));
        let readiness = core.subscriptions.join(Slot(slot), row.transport, CHANNELS[channel], &mut out);
        if !row.channels.contains(&channel) {
            row.asks(channel, &self.ledger);
            if readiness == Readiness::Ready {
                row.joins(channel, &core.arrivals, &self.ledger)?;
            }
        }
        asks.into_iter().for_each(|(home, ask)| self.send_home(at, home, ask));
        Ok(())
    }

    /// A WebSocket that is open leaves one channel.
    pub fn leave(&mut self, core: usize, slot: u32, channel: usize) -> Checked {
        let at = core % self.cores.len();
        let core = &mut self.cores[at];
        let Some(row) = core.rows.get_mut(&slot).filter(|row| row.is_open_socket()) else { return Ok(()) };
        let had_it = row.leaves(channel);
        prop_assert_eq!(core.subscriptions.leave(Slot(slot), CHANNELS[channel]), had_it);
        Ok(())
    }

    /// A subscription has filters from now on, here such that let everything pass.
    pub fn filter(&mut self, core: usize, slot: u32, channel: usize) {
        let at = core % self.cores.len();
        let core = &mut self.cores[at];
        if core.rows.get(&slot).is_some_and(|row| row.channels.contains(&channel)) {
            core.subscriptions.filter(Slot(slot), CHANNELS[channel]);
        }
    }

    pub fn disconnect(&mut self, core: usize, slot: u32) {
        let at = core % self.cores.len();
        let core = &mut self.cores[at];
        if core.rows.remove(&slot).is_some() {
            core.subscriptions.unsubscribe(Slot(slot));
        }
    }

    /// A connection leaves, its channels expire unless others have them too, and it comes back.
    pub fn flap(&mut self, core: usize, slot: u32) -> Checked {
        let at = core % self.cores.len();
        let Some(row) = self.cores[at].rows.get(&slot) else { return Ok(()) };
        let (transport, channels, reconnects) = (row.transport, row.channels.clone(), row.reconnects);
        self.disconnect(at, slot);
        for _ in 0..2 {
            self.tick(at, self.linger.max(1))?;
        }
        self.subscribe(at, slot, transport, channels, reconnects)
    }

    /// Publishes at `core`, if its ring to the home has room; the publisher may want a receipt.
    pub fn publish(&mut self, core: usize, channel: usize, speaks: Speaks, receipt: bool) {
        let from = core % self.cores.len();
        let home = home_of(CHANNELS[channel], self.cores.len());
        if self.to_home[self.ring(from, home.index())].len() >= RING {
            return;
        }
        let number = self.ledger.publish(channel, speaks);
        let mut call = [published(CHANNELS[channel], number, speaks)];
        if receipt {
            let asked = self.cores[from].receipts.expect(CoreId(from as u16), &mut call);
            self.asked.insert(number, (from, asked.expect("few are under way").0));
        }
        let [publication] = call;
        self.send_home(from, home, ToHome::Publish(Arc::new(publication)));
    }

    /// Up to `count` messages of one of the rings that have any arrive.
    pub fn arrive(&mut self, ring: usize, count: usize) -> Checked {
        let rings = self.to_home.len();
        let lengths = self.to_home.iter().map(VecDeque::len).chain(self.to_core.iter().map(VecDeque::len));
        let lengths = lengths.chain(self.to_publisher.iter().map(VecDeque::len));
        let busy: Vec<usize> =
            lengths.enumerate().filter(|(_, length)| *length > 0).map(|(at, _)| at).collect();
        let Some(&ring) = busy.get(ring % busy.len().max(1)) else { return Ok(()) };
        for _ in 0..count {
            match (ring.checked_sub(rings), ring.checked_sub(2 * rings)) {
                (None, _) => self.arrive_home(ring),
                (Some(ring), None) => self.arrive_core(ring)?,
                (_, Some(ring)) => self.arrive_report(ring)?,
            }
        }
        Ok(())
    }

    /// One slice of a core's fan-out; whether there was something to write.
    pub fn fan_out(&mut self, core: usize, budget: usize) -> Result<bool, TestCaseError> {
        let at = core % self.cores.len();
        let Some(tasks) = self.cores[at].next_tasks(budget)? else { return Ok(false) };
        let (counting, written) = (self.cores[at].slice.counting.take(), tasks.len());
        let counted = counting.map(|counting| self.number_asked(counting.receipt));
        for task in tasks {
            match task {
                Task::Write { slot, part, ends } => self.write(at, slot, &part, ends, counted)?,
                Task::Answer { slot, publication } => self.answer(at, slot, &publication)?,
                Task::Filter { slot, items } => self.filtered(at, slot, &items)?,
            }
        }
        counting.map_or(Ok(()), |counting| self.count(at, counting, written))?;
        Ok(true)
    }

    /// As a core does, counts those of a slice, and reports when nobody is left.
    fn count(
        &mut self,
        at: usize,
        Counting { receipt, transport, is_last }: Counting,
        written: usize,
    ) -> Checked {
        let received = transport.map(|transport| Audience::of(transport, written)).unwrap_or_default();
        match self.cores[at].receipts.count(receipt, Reach { received, dropped: 0 }, is_last) {
            Some(reach) => self.report(at, receipt, reach),
            None => Ok(()),
        }
    }

    fn report(&mut self, at: usize, receipt: Receipt, reach: Reach) -> Checked {
        let number = self.number_asked(receipt);
        prop_assert!(self.reported.insert((number, at)), "core {at} reports on {number} twice");
        let ring = self.ring(at, receipt.core.index());
        self.to_publisher[ring].push_back((receipt, reach));
        Ok(())
    }

    fn number_asked(&self, receipt: Receipt) -> usize {
        let asked = (receipt.core.index(), receipt.ticket);
        let mut numbers = self.asked.iter().filter(|(_, known)| **known == asked).map(|(number, _)| *number);
        numbers.next().expect("a receipt that was asked for")
    }

    pub fn tick(&mut self, core: usize, by: u32) -> Checked {
        let at = core % self.cores.len();
        let core = &mut self.cores[at];
        core.now = core.now.wrapping_add(by);
        core.subscriptions.set_now(core.now);
        let mut farewells = Vec::new();
        core.subscriptions.expire(usize::MAX, &mut |home, farewell| farewells.push((home, farewell)));
        for (slot, row) in core.rows.iter().filter(|(_, row)| row.activity.is_some()) {
            let is_filtered =
                |channel: &usize| core.subscriptions.is_filtered(Slot(*slot), CHANNELS[*channel]);
            if !row.transport.is_filtered() && !row.channels.iter().any(is_filtered) {
                prop_assert_eq!(core.subscriptions.last_stream_activity(Slot(*slot)), row.activity);
            }
        }
        farewells.into_iter().for_each(|(home, farewell)| self.send_home(at, home, farewell));
        Ok(())
    }

    /// Lets everything arrive and everything be written.
    pub fn settle(&mut self) -> Checked {
        self.cores.iter_mut().flat_map(|core| core.rows.values_mut()).for_each(|row| row.reconnects = false);
        loop {
            let waiting = self.to_home.iter().map(VecDeque::len).sum::<usize>()
                + self.to_core.iter().map(VecDeque::len).sum::<usize>()
                + self.to_publisher.iter().map(VecDeque::len).sum::<usize>();
            let mut is_settled = waiting == 0;
            for ring in 0..waiting.min(8) {
                self.arrive(ring, 3)?;
            }
            for core in 0..self.cores.len() {
                is_settled &= !self.fan_out(core, 3)?;
            }
            if is_settled {
                return Ok(());
            }
        }
    }

    /// With everything at rest, nobody is owed anything.
    pub fn everyone_got_everything(&self) -> Checked {
        for core in &self.cores {
            for (slot, row) in &core.rows {
                row.is_square(&core.arrivals, &self.ledger)?;
                let mut held = core.subscriptions.channels_of(Slot(*slot));
                held.sort();
                let mut asked: Vec<Arc<str>> =
                    row.channels.iter().map(|channel| CHANNELS[*channel].into()).collect();
                asked.sort();
                prop_assert_eq!(held, asked);
            }
            prop_assert_eq!(core.subscriptions.pending(), (0, 0));
            let links = core.rows.values().map(|row| row.channels.len()).sum::<usize>();
            prop_assert_eq!(core.subscriptions.subscriptions(), links);
        }
        Ok(())
    }

    /// With everything at rest, every publisher that asked knows whom its publication reached.
    pub fn receipts_are_true(&mut self) -> Checked {
        for (number, (core, ticket)) in std::mem::take(&mut self.asked) {
            let receipts = &mut self.cores[core].receipts;
            prop_assert!(!receipts.is_waiting(ticket), "the receipt of {} is not settled", number);
            let items = receipts.forget(ticket).unwrap_or_default();
            prop_assert_eq!(items.len(), 1);
            let reports = self.reported.range((number, 0)..(number + 1, 0)).count();
            prop_assert_eq!(items[0].place, ItemPlace::On(reports as u16));
            let expected = Reach { received: self.ledger.received(number), dropped: 0 };
            prop_assert_eq!(items[0].reach, expected, "the receipt of {}", number);
        }
        Ok(())
    }

    /// Everybody leaves, time passes, and all tables are empty.
    pub fn leave_nothing(&mut self) -> Checked {
        for core in 0..self.cores.len() {
            (0..2 * crate::SLOTS).for_each(|slot| self.disconnect(core, slot));
            // What was left just before a look at it is kept until the next.
            for _ in 0..2 {
                self.tick(core, self.linger.max(1))?;
            }
        }
        self.settle()?;
        for core in &self.cores {
            prop_assert!(core.subscriptions.is_empty());
            prop_assert_eq!(core.home.channels(), 0);
        }
        Ok(())
    }

    fn arrive_home(&mut self, ring: usize) {
        let (from, at) = (ring / self.cores.len(), ring % self.cores.len());
        // A home stops while any of its rings is full.
        if (0..self.cores.len()).any(|core| self.to_core[self.ring(at, core)].len() >= RING) {
            return;
        }
        let Some(message) = self.to_home[ring].pop_front() else { return };
        if let ToHome::Publish(publication) = &message {
            self.ledger.sequence(number_of(publication));
        }
        let mut answers = Vec::new();
        let from = CoreId(from as u16);
        self.cores[at].home.handle(from, message, &mut |core, answer| answers.push((core, answer)));
        for (core, answer) in answers {
            let ring = self.ring(at, core.index());
            self.dispatched.count(CoreId(at as u16), core);
            self.to_core[ring].push_back(answer);
        }
    }

    fn arrive_report(&mut self, ring: usize) -> Checked {
        let at = ring % self.cores.len();
        if let Some((receipt, reach)) = self.to_publisher[ring].pop_front() {
            self.cores[at].receipts.reached(receipt, reach);
        }
        Ok(())
    }

    fn arrive_core(&mut self, ring: usize) -> Checked {
        let Some(message) = self.to_core[ring].pop_front() else { return Ok(()) };
        let (home, at) = (ring / self.cores.len(), ring % self.cores.len());
        self.take_from_home(at, message)?;
        self.cores[at].subscriptions.took(CoreId(home as u16));
        Ok(())
    }

    fn take_from_home(&mut self, at: usize, message: ToCore) -> Checked {
        let core = &mut self.cores[at];
        if let ToCore::Placed { receipt, cores } = message {
            core.receipts.placed(receipt, cores);
            return Ok(());
        }
        if let ToCore::Subscribed { channel, last_id: Some(last), .. } = &message {
            core.last_numbers[channel_of(channel)] = Some(last.clone());
        }
        if let ToCore::Deliver(publication) = &message {
            let number = number_of(publication);
            core.last_numbers[channel_of(&publication.channel)] = publication.id.clone();
            core.arrivals.push(number, &self.ledger);
            for row in core.rows.values_mut() {
                row.arrives(number, &self.ledger, core.now)?;
            }
        }
        let acknowledged = match &message {
            ToCore::Subscribed { channel, .. } => Some(channel_of(channel)),
            _ => None,
        };
        let mut ready = Vec::new();
        core.subscriptions.handle(message, &mut ready);
        for (channel, name) in CHANNELS.iter().enumerate() {
            let known = core.subscriptions.last_id(name);
            let last = core.last_numbers[channel].as_deref();
            prop_assert!(known.is_none() || known == last, "the last id is {last:?}, not {known:?}");
        }
        for slot in ready {
            let row = core.rows.get_mut(&slot.0);
            prop_assert!(row.is_some(), "ready, but gone");
            row.into_iter().try_for_each(|row| match acknowledged.filter(|_| row.is_ready()) {
                Some(channel) => row.joins(channel, &core.arrivals, &self.ledger),
                None => row.opens(&core.arrivals, &self.ledger),
            })?;
        }
        let unheard = core.subscriptions.take_unheard();
        unheard.into_iter().try_for_each(|receipt| self.report(at, receipt, Reach::default()))
    }

    /// What is written to a row, and its end, which is `counted` if its publisher wants a receipt.
    fn write(&mut self, at: usize, slot: Slot, part: &[u8], ends: bool, counted: Option<usize>) -> Checked {
        let core = &mut self.cores[at];
        let Some(row) = core.rows.get_mut(&slot.0) else {
            return Err(TestCaseError::fail(format!("{slot:?} is written to, but gone")));
        };
        prop_assert!(ends || !part.is_empty(), "a write of nothing");
        let numbers = match row.transport {
            Transport::StreamChunked => numbers_in_chunks(part, ends)?,
            Transport::StreamRaw => numbers_in(part)?,
            Transport::Socket | Transport::CompressedSocket => numbers_in_frames(part, ends)?,
            _ => return Err(TestCaseError::fail("it is no stream, or has filters")),
        };
        for number in &numbers {
            row.gets(*number, &core.arrivals, &self.ledger)?;
            self.ledger.receives(*number, row.transport);
        }
        if ends {
            row.ends(numbers.last().copied(), counted, &core.arrivals, &self.ledger)?;
            counted.into_iter().for_each(|number| self.ledger.receives(number, row.transport));
            self.disconnect(at, slot.0);
        }
        Ok(())
    }

    fn answer(&mut self, at: usize, slot: Slot, publication: &Publication) -> Checked {
        let core = &mut self.cores[at];
        let Some(row) = core.rows.get_mut(&slot.0) else {
            return Err(TestCaseError::fail(format!("{slot:?} is answered, but gone")));
        };
        prop_assert!(row.transport.is_poll(), "an answer for what is no long poll");
        row.gets(number_of(publication), &core.arrivals, &self.ledger)?;
        self.ledger.receives(number_of(publication), row.transport);
        let (transport, channels, reconnects) = (row.transport, row.channels.clone(), row.reconnects);
        self.disconnect(at, slot.0);
        match reconnects {
            true => self.subscribe(at, slot.0, transport, channels, true),
            false => Ok(()),
        }
    }

    /// Everything that came on a channel, until something of it ends the row.
    fn filtered(&mut self, at: usize, slot: Slot, items: &[Arc<Publication>]) -> Checked {
        prop_assert!(!items.is_empty(), "filters have nothing to decide");
        for item in items {
            let core = &mut self.cores[at];
            let Some(row) = core.rows.get_mut(&slot.0) else {
                return Err(TestCaseError::fail(format!("{slot:?} is to be served, but gone")));
            };
            let speaks = self.ledger.item(number_of(item)).speaks;
            if speaks.to(row.transport) && row.transport.is_poll() {
                return self.answer(at, slot, item);
            }
            if speaks.to(row.transport) {
                row.gets(number_of(item), &core.arrivals, &self.ledger)?;
                self.ledger.receives(number_of(item), row.transport);
            }
            if speaks.ends(row.transport) {
                self.disconnect(at, slot.0);
                return Ok(());
            }
        }
        Ok(())
    }

    fn send_home(&mut self, from: usize, home: CoreId, message: ToHome) {
        let ring = self.ring(from, home.index());
        self.to_home[ring].push_back(message);
    }

    fn ring(&self, from: usize, to: usize) -> usize {
        from * self.cores.len() + to
    }
}

impl Core {
    /// `None` when nothing is pending.
    fn next_tasks(&mut self, budget: usize) -> Result<Option<Vec<Task>>, TestCaseError> {
        if !self.subscriptions.next_slice(budget, &mut self.slice) {
            prop_assert_eq!(self.subscriptions.pending(), (0, 0));
            return Ok(None);
        }
        let tasks: Vec<Task> = match std::mem::take(&mut self.slice.kind) {
            SliceKind::Empty => Vec::new(),
            SliceKind::Gapped { .. } => return Err(TestCaseError::fail("nobody here follows ids")),
            SliceKind::Stream { frame, then } => {
                let ends = then == Then::End;
                let whole = self.slice.slots.iter().map(|slot| (*slot, frame.clone()));
                let parts = whole.chain(self.slice.partial.iter().cloned());
                parts.map(|(slot, part)| Task::Write { slot, part, ends }).collect()
            }
            SliceKind::Response { deliveries } => {
                let answers = deliveries.into_iter();
                answers.map(|(slot, publication)| Task::Answer { slot, publication }).collect()
            }
            SliceKind::Unfit { .. } => return Err(TestCaseError::fail("nothing here expects filters")),
            SliceKind::Filtered { deliveries } => {
                deliveries.into_iter().map(|(slot, items)| Task::Filter { slot, items }).collect()
            }
        };
        prop_assert!(tasks.len() <= budget, "more rows than asked for");
        Ok(Some(tasks))
    }
}

/// Says its number in every format it has.
fn published(channel: &str, number: usize, speaks: Speaks) -> Publication {
    let mut publication = Publication::new(channel);
    publication.id = Some(number.to_string().into());
    publication.response = speaks.response.then_some(ResponseFormat::Hint);
    publication.stream = match (speaks.stream, speaks.close) {
        (true, _) => Some(StreamFormat::Content(Bytes::from(format!("{number};")))),
        (_, true) => Some(StreamFormat::Close),
        _ => None,
    };
    publication.socket = match (speaks.socket, speaks.close_socket) {
        (true, _) => {
            let content = Bytes::from(format!("{number};"));
            Some(SocketFormat::Message { opcode: Opcode::Text, content })
        }
        (_, true) => Some(SocketFormat::Close(Close::with(Close::NORMAL))),
        _ => None,
    };
    publication
}

fn channel_of(name: &str) -> usize {
    CHANNELS.iter().position(|known| *known == name).expect("one of the channels here")
}

fn number_of(publication: &Publication) -> usize {
    publication.id.as_ref().and_then(|id| id.parse().ok()).expect("every publication here has a number")
}

fn numbers_in(content: &[u8]) -> Result<Vec<usize>, TestCaseError> {
    let text = std::str::from_utf8(content).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let numbers = text.split_terminator(';').map(str::parse);
    numbers.collect::<Result<_, _>>().map_err(|_| TestCaseError::fail(format!("{text:?} is not whole")))
}

/// The numbers in a series of frames, the last of which is a close exactly when the WebSocket ends.
fn numbers_in_frames(mut frames: &[u8], ends: bool) -> Result<Vec<usize>, TestCaseError> {
    let (mut content, mut closed) = (Vec::new(), false);
    while !frames.is_empty() {
        let Some((header, used)) = FrameHeader::read(frames) else {
            return Err(TestCaseError::fail("half a frame"));
        };
        let (payload, rest) = frames[used..].split_at(header.length as usize);
        prop_assert!(!closed, "something after the close");
        match header.opcode {
            Some(Opcode::Close) => closed = true,
            opcode => {
                prop_assert_eq!((opcode, header.fin, header.mask), (Some(Opcode::Text), true, None));
                content.extend_from_slice(payload);
            }
        }
        frames = rest;
    }
    prop_assert_eq!(closed, ends);
    numbers_in(&content)
}

/// The numbers in a series of chunks, which the last chunk follows exactly when the stream ends.
fn numbers_in_chunks(frame: &[u8], ends: bool) -> Result<Vec<usize>, TestCaseError> {
    let (mut rest, mut content) = (std::str::from_utf8(frame).unwrap_or("not text"), String::new());
    let broken =
        || TestCaseError::fail(format!("{:?} is not a series of chunks", Bytes::copy_from_slice(frame)));
    while !rest.is_empty() {
        let (size, after) = rest.split_once("\r\n").ok_or_else(broken)?;
        let size = usize::from_str_radix(size, 16).map_err(|_| broken())?;
        content.push_str(after.get(..size).ok_or_else(broken)?);
        rest = after.get(size..).and_then(|after| after.strip_prefix("\r\n")).ok_or_else(broken)?;
        if size == 0 {
            prop_assert!(ends && rest.is_empty(), "the last chunk before the end");
            return numbers_in(content.as_bytes());
        }
    }
    prop_assert!(!ends, "an end without the last chunk");
    numbers_in(content.as_bytes())
}
