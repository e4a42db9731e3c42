//! What every subscriber is owed. `world` tells it what homes sequence, what arrives at cores, whose subscription comes
//! into force and what a fan-out hands out; it keeps one list for each channel (the home's order) and one for each
//! channel and core (the order of arrival), and holds two rules against them. A subscriber gets exactly what arrived at
//! its core since it was ready and was sequenced since it asked, in that order. And what arrives has no gap, and
//! nothing sequenced after the subscriber was ready is missing.

use gripwire::channel::{Audience, Transport};
use proptest::prelude::*;

type Checked = Result<(), TestCaseError>;

/// Whom a publication has something for.
#[derive(Clone, Copy, Debug)]
pub struct Speaks {
    pub stream: bool,
    pub response: bool,
    /// It ends streams.
    pub close: bool,
    pub socket: bool,
    /// It closes WebSockets.
    pub close_socket: bool,
}

impl Speaks {
    pub fn to(self, transport: Transport) -> bool {
        match transport.filtered() {
            Transport::FilteredResponse => self.response,
            Transport::FilteredSocket => self.socket || self.ends(transport),
            _ => self.stream || self.close,
        }
    }

    pub fn ends(self, transport: Transport) -> bool {
        match transport.filtered() {
            Transport::FilteredResponse => false,
            // A format is a message or a close, not both.
            Transport::FilteredSocket => self.close_socket && !self.socket,
            _ => self.close && !self.stream,
        }
    }
}

fn is_socket(transport: Transport) -> bool {
    transport.filtered() == Transport::FilteredSocket
}

/// A publication, known everywhere by its number.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    pub channel: usize,
    pub speaks: Speaks,
    /// Its place in the home's order; `None` until it is sequenced.
    place: Option<usize>,
    /// Who got it.
    received: Audience,
}

/// Every publication, and the order that homes gave them.
pub struct Ledger {
    items: Vec<Item>,
    sequenced: Vec<usize>,
}

/// What arrived at one core, for each channel.
pub struct Arrivals {
    channels: Vec<Vec<usize>>,
}

/// A subscriber and what it got so far.
pub struct Subscriber {
    pub transport: Transport,
    /// As it asked for them.
    pub channels: Vec<usize>,
    /// Comes back with the same channels when an answer ends it.
    pub reconnects: bool,
    /// Of each channel, how many the home had sequenced when the subscriber asked: none of them is for it.
    asked: Vec<(usize, usize)>,
    /// Empty until it is ready; then each of its channels once.
    accounts: Vec<Account>,
    ready: bool,
    /// When stream content last arrived for it.
    pub activity: Option<u32>,
}

/// One channel of a subscriber that is ready.
struct Account {
    channel: usize,
    /// The place in the home's order of the first that is for it.
    first: usize,
    /// The first arrival that it may still get.
    next: usize,
    /// How many the home had sequenced when the subscriber was ready: from there on nothing may be missing.
    promised: usize,
    /// The place in the home's order that must arrive next; `None` before the first arrival.
    place: Option<usize>,
}

impl Account {
    fn open(channel: usize, first: usize, arrivals: &Arrivals, ledger: &Ledger) -> Account {
        let (next, promised) = (arrivals.channels[channel].len(), ledger.sequenced[channel]);
        Account { channel, first, next, promised, place: None }
    }
}

impl Ledger {
    pub fn new(channels: usize) -> Ledger {
        Ledger { items: Vec::new(), sequenced: vec![0; channels] }
    }

    /// A new publication; its number.
    pub fn publish(&mut self, channel: usize, speaks: Speaks) -> usize {
        self.items.push(Item { channel, speaks, place: None, received: Audience::default() });
        self.items.len() - 1
    }

    /// A home takes publication `number`.
    pub fn sequence(&mut self, number: usize) {
        let item = &mut self.items[number];
        assert_eq!(item.place, None, "a publication is taken once");
        item.place = Some(self.sequenced[item.channel]);
        self.sequenced[item.channel] += 1;
    }

    /// A subscriber got publication `number`.
    pub fn receives(&mut self, number: usize, transport: Transport) {
        self.items[number].received.add(Audience::of(transport, 1));
    }

    /// How many got publication `number`.
    pub fn received(&self, number: usize) -> Audience {
        self.items[number].received
    }

    pub fn item(&self, number: usize) -> Item {
        self.items[number]
    }
}

impl Arrivals {
    pub fn new(channels: usize) -> Arrivals {
        Arrivals { channels: vec![Vec::new(); channels] }
    }

    /// A core receives publication `number`.
    pub fn push(&mut self, number: usize, ledger: &Ledger) {
        self.channels[ledger.item(number).channel].push(number);
    }
}

impl Subscriber {
    /// It asks for `channels` now.
    pub fn new(transport: Transport, channels: Vec<usize>, reconnects: bool, ledger: &Ledger) -> Subscriber {
        let asked = channels.iter().map(|channel| (*channel, ledger.sequenced[*channel])).collect();
        Subscriber {
            transport,
            channels,
            reconnects,
            asked,
            accounts: Vec::new(),
            ready: false,
            activity: None,
        }
    }

    /// It asks for one more channel now.
    pub fn asks(&mut self, channel: usize, ledger: &Ledger) {
        self.channels.push(channel);
        self.asked.push((channel, ledger.sequenced[channel]));
    }

    /// The place of the first publication on `channel` that is for it.
    fn first(&self, channel: usize) -> usize {
        let asked = self.asked.iter().rev().find(|(asked, _)| *asked == channel);
        asked.map_or(0, |(_, sequenced)| *sequenced)
    }

    /// Its subscription came into force.
    pub fn opens(&mut self, arrivals: &Arrivals, ledger: &Ledger) -> Checked {
        prop_assert!(!self.ready, "it became ready twice");
        self.ready = true;
        self.channels.sort_unstable();
        self.channels.dedup();
        let open = |channel: &usize| Account::open(*channel, self.first(*channel), arrivals, ledger);
        self.accounts = self.channels.iter().map(open).collect();
        Ok(())
    }

    /// It is in force with its first channels.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    pub fn is_open_socket(&self) -> bool {
        self.ready && is_socket(self.transport)
    }

    /// One more channel came into force.
    pub fn joins(&mut self, channel: usize, arrivals: &Arrivals, ledger: &Ledger) -> Checked {
        prop_assert!(self.ready && self.channels.contains(&channel), "it joined what it never asked for");
        prop_assert!(self.accounts.iter().all(|account| account.channel != channel), "it joined twice");
        self.accounts.push(Account::open(channel, self.first(channel), arrivals, ledger));
        Ok(())
    }

    /// It wants no more of one channel; whether it had asked for it.
    pub fn leaves(&mut self, channel: usize) -> bool {
        self.accounts.retain(|account| account.channel != channel);
        let before = self.channels.len();
        self.channels.retain(|other| *other != channel);
        self.channels.len() < before
    }

    /// Publication `number` arrives at its core.
    pub fn arrives(&mut self, number: usize, ledger: &Ledger, now: u32) -> Checked {
        let item = ledger.item(number);
        let Some(account) = self.accounts.iter_mut().find(|account| account.channel == item.channel) else {
            return Ok(());
        };
        let place = item.place.expect("what arrives was sequenced");
        match account.place {
            Some(expected) => prop_assert_eq!(place, expected, "a gap at arrival"),
            None => prop_assert!(place <= account.promised, "a gap between readiness and the first arrival"),
        }
        account.place = Some(place + 1);
        if item.speaks.stream && !is_socket(self.transport) {
            self.activity = Some(now);
        }
        Ok(())
    }

    /// The fan-out hands it publication `number`.
    pub fn gets(&mut self, number: usize, arrivals: &Arrivals, ledger: &Ledger) -> Checked {
        prop_assert!(self.ready, "something before it was ready");
        let channel = ledger.item(number).channel;
        let due = self.due(channel, arrivals, ledger);
        prop_assert_eq!(due, Some(number), "out of order, twice, or not its own");
        self.settle_up_to(number, channel, arrivals);
        Ok(())
    }

    /// The fan-out ends its stream, after the last publication it was handed in the same slice, if any; by the one that
    /// is `counted`, if any is.
    pub fn ends(
        &mut self,
        after: Option<usize>,
        counted: Option<usize>,
        arrivals: &Arrivals,
        ledger: &Ledger,
    ) -> Checked {
        prop_assert!(self.ready, "an end before it was ready");
        let of = after.map(|number| ledger.item(number).channel);
        let closing = self.accounts.iter().map(|account| account.channel).find(|channel| {
            let due = self.due(*channel, arrivals, ledger);
            of.is_none_or(|of| of == *channel)
                && due.is_some_and(|due| ledger.item(due).speaks.ends(self.transport))
                && counted.is_none_or(|counted| due == Some(counted))
        });
        prop_assert!(closing.is_some(), "an end that nobody published");
        Ok(())
    }

    /// With everything at rest, nothing is owed any more.
    pub fn is_square(&self, arrivals: &Arrivals, ledger: &Ledger) -> Checked {
        prop_assert!(self.ready, "it never became ready");
        for account in &self.accounts {
            let seen = account.place.unwrap_or(account.promised);
            prop_assert_eq!(seen, ledger.sequenced[account.channel], "the last ones never arrived");
            let due = self.due(account.channel, arrivals, ledger);
            prop_assert_eq!(due, None, "never handed out");
        }
        Ok(())
    }

    /// The publication on `channel` that it must get next, of those that arrived.
    fn due(&self, channel: usize, arrivals: &Arrivals, ledger: &Ledger) -> Option<usize> {
        let account = self.accounts.iter().find(|account| account.channel == channel)?;
        let left = &arrivals.channels[channel][account.next..];
        left.iter().copied().find(|number| {
            let item = ledger.item(*number);
            item.place >= Some(account.first) && item.speaks.to(self.transport)
        })
    }

    fn settle_up_to(&mut self, number: usize, channel: usize, arrivals: &Arrivals) {
        let arrived = &arrivals.channels[channel];
        let account = self.accounts.iter_mut().find(|account| account.channel == channel);
        let place = arrived.iter().position(|other| *other == number);
        if let (Some(account), Some(place)) = (account, place) {
            account.next = place + 1;
        }
    }
}
