//! What was published and what each subscriber got, and the rules for that. For each channel a witness is subscribed
//! from the beginning to the end; the order in which it got the messages is the order of the channel.
//!
//! - A stream and a WebSocket get a part of that order without a gap: nothing lost, doubled or swapped.
//! - The part begins with what was published after the subscriber saw its opening, or earlier; it holds nothing that
//!   its publisher knew published before the subscriber asked.
//! - It goes up to the end, for those who stay until then.
//! - Answers to long polls are single messages of that order, each after the one before.

use super::http::elapsed;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Everything that was published and delivered.
#[derive(Default)]
pub struct Deliveries {
    published: RefCell<BTreeMap<(usize, String), Published>>,
    records: RefCell<Vec<Record>>,
}

struct Published {
    begun: Duration,
    confirmed: Option<Duration>,
}

/// Who subscribed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Witness,
    Stream,
    Poll,
    Socket,
}

/// What a subscriber got.
pub struct Record {
    pub kind: Kind,
    pub channel: usize,
    /// When it began to ask.
    pub asked: Duration,
    /// When it saw that it is subscribed.
    pub opened: Option<Duration>,
    pub received: Vec<String>,
    /// It stayed until everything was published and delivered.
    pub stayed: bool,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { kind, channel, asked, opened, received, stayed } = self;
        let ends = (received.len(), received.first(), received.last());
        write!(
            f,
            "{kind:?} of channel {channel}, asked {asked:?}, opened {opened:?}, got {ends:?}, stayed {stayed}"
        )
    }
}

impl Record {
    /// A subscriber that begins to ask now.
    pub fn new(kind: Kind, channel: usize) -> Record {
        Record { kind, channel, asked: elapsed(), opened: None, received: Vec::new(), stayed: false }
    }

    /// Takes the messages in `content`, each of which ends with a semicolon.
    pub fn take(&mut self, content: &[u8]) {
        let text = std::str::from_utf8(content).expect("messages are texts here");
        assert!(text.ends_with(';'), "{:?} of channel {} gets {text:?}", self.kind, self.channel);
        self.received.extend(text.split_inclusive(';').map(str::to_owned));
    }
}

impl Deliveries {
    /// A publisher begins to publish `text`.
    pub fn begins(&self, channel: usize, text: &str) {
        let published = Published { begun: elapsed(), confirmed: None };
        self.published.borrow_mut().insert((channel, text.to_owned()), published);
    }

    /// It knows that `text` has its place.
    pub fn confirmed(&self, channel: usize, text: &str) {
        if let Some(published) = self.published.borrow_mut().get_mut(&(channel, text.to_owned())) {
            published.confirmed = Some(elapsed());
        }
    }

    pub fn record(&self, record: Record) {
        self.records.borrow_mut().push(record);
    }

    /// How many messages were received, and a number that stands for everything that happened.
    pub fn digest(&self) -> (usize, u64) {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        let records = self.records.borrow();
        for record in records.iter() {
            (record.channel, record.asked, record.opened, &record.received).hash(&mut hasher);
        }
        (records.iter().map(|record| record.received.len()).sum(), hasher.finish())
    }

    /// Holds what everyone got against the rules.
    pub fn check(&self) {
        let records = self.records.borrow();
        for witness in records.iter().filter(|record| record.kind == Kind::Witness) {
            let channel = witness.channel;
            assert!(witness.stayed, "the witness of channel {channel} was cut");
            let mut places = BTreeMap::new();
            for (place, text) in witness.received.iter().enumerate() {
                assert!(
                    places.insert(text.as_str(), place).is_none(),
                    "{text} came twice on channel {channel}"
                );
            }
            self.publishers_are_in_order(channel, &places);
            let of_channel = records.iter().filter(|record| record.channel == channel);
            of_channel.for_each(|record| self.check_record(record, &places));
        }
    }

    /// Confirmed messages have arrived, and those of one publisher in the order in which it had them confirmed.
    fn publishers_are_in_order(&self, channel: usize, places: &BTreeMap<&str, usize>) {
        let mut latest = BTreeMap::new();
        let published = self.published.borrow();
        let mut confirmed: Vec<(&str, &Published)> = published
            .iter()
            .filter(|((of, _), published)| *of == channel && published.confirmed.is_some())
            .map(|((_, text), published)| (text.as_str(), published))
            .collect();
        confirmed.sort_by_key(|(text, published)| (published.begun, number_of(text)));
        for (text, _) in confirmed {
            let place = places.get(text).unwrap_or_else(|| panic!("{text} was confirmed and is lost"));
            let publisher = text.split('.').next().unwrap_or_default();
            let before = latest.insert(publisher, *place);
            assert!(
                before.is_none_or(|before| before < *place),
                "{text} came before what was published before"
            );
        }
    }

    fn check_record(&self, record: &Record, places: &BTreeMap<&str, usize>) {
        let place = |text: &String| {
            *places.get(text.as_str()).unwrap_or_else(|| panic!("{text} reached {record:?} alone"))
        };
        let got: Vec<usize> = record.received.iter().map(place).collect();
        let is_poll = record.kind == Kind::Poll;
        for pair in got.windows(2) {
            let is_next = if is_poll { pair[0] < pair[1] } else { pair[0] + 1 == pair[1] };
            assert!(
                is_next,
                "places {} and {} of the order follow each other for {record:?}",
                pair[0], pair[1]
            );
        }
        let published = self.published.borrow();
        let of_channel = |text: &str| &published[&(record.channel, text.to_owned())];
        for text in &record.received {
            let confirmed = of_channel(text).confirmed;
            assert!(confirmed.is_none_or(|at| at >= record.asked), "{text} came before {record:?} asked");
        }
        if is_poll {
            return;
        }
        let owed = record.opened.and_then(|opened| {
            let later = places.iter().filter(|(text, _)| of_channel(text).begun >= opened);
            later.map(|(_, place)| *place).min()
        });
        if let (Some(owed), Some(first)) = (owed, got.first()) {
            assert!(*first <= owed, "{record:?} begins with {first} and not with {owed}");
        }
        if record.stayed && owed.is_some() {
            assert_eq!(got.last().map(|last| last + 1), Some(places.len()), "the end is missing: {record:?}");
        }
    }
}

/// The number of a message of its publisher.
fn number_of(text: &str) -> u64 {
    text.trim_end_matches(';').split('.').nth(1).and_then(|number| number.parse().ok()).unwrap_or_default()
}
