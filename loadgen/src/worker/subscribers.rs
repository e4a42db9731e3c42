//! The subscribers of a worker: their connections, the handling of their input, and their common counts.
//!
//! An idle subscriber takes 56 bytes here. All subscribers read into one buffer; a subscriber has its own buffer only while a
//! message is incomplete.

use crate::conversation::{Conversation, Told};
use crate::decode::frames;
use crate::latency::Latencies;
use crate::ledger::{Ledger, Standing};
use crate::message::Message;
use crate::orders::{Assignment, DeliveryStats, Progress};
use crate::sys::{self, Epoll, Event, Interest};
use crate::target::{CHANNEL, Subscription};
use crate::transport::Transport;
use crate::worker::returning::Lost;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

pub(super) struct Subscribers {
    pub(super) assignment: Assignment,
    epoll: Epoll,
    table: Vec<Subscriber>,
    open: u32,
    pub progress: Progress,
    deliveries: DeliveryStats,
    /// Subscribers that were ended and connect again.
    pub(super) lost: Lost,
    /// The buffer for input. Its contents are used for one subscriber at a time.
    input: Vec<u8>,
}

struct Subscriber {
    /// `None` if the connection has ended.
    socket: Option<OwnedFd>,
    channel: u32,
    stage: Stage,
    conversation: Conversation,
    ledger: Ledger,
    was_open: bool,
    /// When its last message arrived, ms; 0 before the first.
    last_ms: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    /// The request is sent.
    Asked,
    Open,
    /// Open, but never reading.
    Stalled,
    /// A long poll that connects again.
    Reconnecting,
    Over,
}

/// The actions for a subscriber after its input was read.
#[derive(Default)]
struct Outcome {
    opened: bool,
    replies: Vec<u8>,
    /// Whether to poll again on this connection (`true`) or on a new one.
    again: Option<bool>,
    validators: Option<(String, String)>,
    /// Why the subscriber ends.
    over: Option<String>,
}

impl Subscribers {
    pub fn new(assignment: Assignment, epoll: Epoll) -> Subscribers {
        let table = Vec::with_capacity(assignment.subscribers as usize);
        let recent = (!assignment.drain).then(Latencies::coarse);
        let progress = Progress { recent, ..Progress::default() };
        Subscribers {
            assignment,
            epoll,
            table,
            open: 0,
            progress,
            deliveries: DeliveryStats::empty(),
            lost: Lost::default(),
            input: Vec::new(),
        }
    }

    /// Number of subscribers that were opened, ended ones included.
    pub fn open(&self) -> u32 {
        self.open
    }

    pub fn wait(&mut self, timeout_ms: u64, events: &mut Vec<Event>) -> io::Result<()> {
        self.epoll.wait(Some(timeout_ms), events)
    }

    /// Counts `count` more subscribers as failed.
    pub fn fail(&mut self, count: u32, why: &str) {
        self.progress.failed += count;
        self.progress.failure.get_or_insert_with(|| why.to_owned());
    }

    /// Opens the next subscriber's connection.
    pub fn begin(&mut self) {
        let index = self.table.len();
        let number = self.assignment.first + index as u32;
        self.table.push(Subscriber {
            socket: None,
            channel: self.assignment.layout.channel(number),
            stage: Stage::Connecting,
            conversation: Conversation::new(self.assignment.mix.of(number)),
            ledger: Ledger::default(),
            was_open: false,
            last_ms: 0,
        });
        if let Err(error) = self.connect(index) {
            self.over(index, &format!("connect: {error}"));
        }
    }

    /// Connects some of those again that were ended, if it is time. Returns the latest time of the next call.
    pub fn return_some(&mut self, now_ns: u64) -> u64 {
        let (returning, next_ns) = self.lost.take_some(now_ns);
        returning.into_iter().for_each(|index| self.begin_again(index));
        next_ns
    }

    /// Connects a subscriber again that was ended.
    fn begin_again(&mut self, index: usize) {
        let subscriber = &mut self.table[index];
        subscriber.conversation = Conversation::new(subscriber.conversation.transport);
        subscriber.stage = Stage::Connecting;
        if let Err(error) = self.connect(index) {
            self.over(index, &format!("connect: {error}"));
        }
    }

    fn connect(&mut self, index: usize) -> io::Result<()> {
        let Assignment { sources, destinations, .. } = &self.assignment;
        let source = sources.get(index % sources.len().max(1)).copied();
        let destination = destinations.get(index % destinations.len().max(1));
        let destination = *destination.ok_or_else(|| io::Error::other("no address to connect to"))?;
        let socket = sys::connect(source, destination)?;
        self.epoll.add(socket.as_fd(), index as u64, Interest::ReadWrite)?;
        self.table[index].socket = Some(socket);
        Ok(())
    }

    /// Sends and reads for a subscriber as much as possible now.
    pub fn advance(&mut self, index: usize, writable: bool) {
        let Some(subscriber) = self.table.get(index) else { return };
        if subscriber.socket.is_none() {
            return;
        }
        let result = match subscriber.stage {
            Stage::Connecting | Stage::Reconnecting if !writable => return,
            Stage::Connecting | Stage::Reconnecting => self.connected(index),
            Stage::Open if self.assignment.drain => self.drain(index),
            Stage::Asked | Stage::Open => self.receive(index),
            // epoll reports only the end of such a connection.
            Stage::Stalled => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            Stage::Over => return,
        };
        if let Err(error) = result {
            self.over(index, &error.to_string());
        }
    }

    fn connected(&mut self, index: usize) -> io::Result<()> {
        let subscriber = &mut self.table[index];
        let Some(socket) = &subscriber.socket else { return Ok(()) };
        sys::take_error(socket.as_fd()).map_err(|error| io::Error::other(format!("connect: {error}")))?;
        self.epoll.modify(socket.as_fd(), index as u64, Interest::Read)?;
        let again = subscriber.stage == Stage::Reconnecting;
        subscriber.stage = if again { Stage::Open } else { Stage::Asked };
        let transport = subscriber.conversation.transport;
        self.ask(index, None)?;
        // A long poll gets no sign that it is held, and a subscriber without a request gets no answer.
        let silent = self.assignment.subscriptions.get(&transport).is_some_and(|it| it.request.is_empty());
        if !again && (silent || transport == Transport::Poll) {
            self.opened(index)?;
        }
        Ok(())
    }

    fn ask(&self, index: usize, validators: Option<(String, String)>) -> io::Result<()> {
        let subscriber = &self.table[index];
        let Some(subscription) = self.assignment.subscriptions.get(&subscriber.conversation.transport) else {
            return Err(io::Error::other("the target has no request for this transport"));
        };
        let mut request = subscription.request.replace(CHANNEL, &self.channel_name(subscriber.channel));
        if let Some((time, tag)) = validators.filter(|_| subscription.resumes) {
            request.truncate(request.len() - 2);
            request += &format!("If-Modified-Since: {time}\r\nIf-None-Match: {tag}\r\n\r\n");
        }
        self.send(index, request.as_bytes())
    }

    fn send(&self, index: usize, bytes: &[u8]) -> io::Result<()> {
        let Some(socket) = &self.table[index].socket else { return Ok(()) };
        if bytes.is_empty() {
            return Ok(());
        }
        match sys::send(socket.as_fd(), bytes)? {
            Some(sent) if sent == bytes.len() => Ok(()),
            _ => Err(io::Error::other("the server does not take a request")),
        }
    }

    fn channel_name(&self, channel: u32) -> String {
        format!("{}{channel}", self.assignment.prefix)
    }

    fn opened(&mut self, index: usize) -> io::Result<()> {
        match self.table[index].was_open {
            true => self.progress.returned += 1,
            false => {
                self.open += 1;
                self.progress.open += 1;
            }
        }
        let stalls = self.assignment.stalls(self.assignment.first + index as u32);
        let subscriber = &mut self.table[index];
        subscriber.was_open = true;
        subscriber.stage = if stalls { Stage::Stalled } else { Stage::Open };
        match &subscriber.socket {
            Some(socket) if stalls => self.epoll.modify(socket.as_fd(), index as u64, Interest::Nothing),
            _ => Ok(()),
        }
    }

    /// Discards input. On WebSockets, pings are answered, because the server would close the connection otherwise.
    fn drain(&mut self, index: usize) -> io::Result<()> {
        let subscriber = &self.table[index];
        let Some(socket) = &subscriber.socket else { return Ok(()) };
        if subscriber.conversation.transport == Transport::Websocket {
            let mut start = [0; 128];
            match sys::receive(socket.as_fd(), &mut start)? {
                None => return Ok(()),
                Some(0) => return Err(ended()),
                Some(length) if start[0] == PING && usize::from(start[1]) == length - 2 => {
                    return self.send(index, &frames::pong(&start[2..length]));
                }
                Some(length) => self.progress.bytes += length as u64,
            }
        }
        match sys::discard(socket.as_fd(), DISCARD_BYTES)? {
            None => Ok(()),
            Some(0) => Err(ended()),
            Some(length) => {
                self.progress.bytes += length as u64;
                Ok(())
            }
        }
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let subscriber = &mut self.table[index];
        let Some(socket) = &subscriber.socket else { return Ok(()) };
        let mut input = std::mem::take(&mut self.input);
        let carried = subscriber.conversation.resume(&mut input, READ_BYTES);
        let received = sys::receive(socket.as_fd(), &mut input[carried..]);
        let length = received.as_ref().map_or(0, |length| length.unwrap_or(0));
        let outcome = self.hear(index, &mut input[..carried + length], carried);
        self.input = input;
        self.carry_out(index, outcome)?;
        match received? {
            Some(0) => self.end_of_input(index),
            _ => Ok(()),
        }
    }

    /// Reads the input and counts its messages.
    fn hear(&mut self, index: usize, input: &mut [u8], carried: usize) -> Outcome {
        let subscriber = &mut self.table[index];
        let Subscriber { conversation, ledger, channel, stage, last_ms, .. } = subscriber;
        let mut outcome = Outcome::default();
        let Some(subscription) = self.assignment.subscriptions.get(&conversation.transport) else {
            return outcome;
        };
        if *stage == Stage::Open {
            self.progress.bytes += (input.len() - carried) as u64;
        }
        let greeting = greeting(subscription, &self.assignment.prefix, *channel);
        let mut counts = Counts {
            progress: &mut self.progress,
            deliveries: &mut self.deliveries,
            ledger,
            last_ms,
            channel: *channel,
        };
        let result = conversation.feed(input, carried, subscription, &greeting, &mut |told| match told {
            Told::Opened => outcome.opened = true,
            Told::Message(bytes) => counts.enter(bytes),
            Told::Ping(payload) => outcome.replies.extend(frames::pong(payload)),
            Told::Answered { keeps, validators } => {
                (outcome.again, outcome.validators) = (Some(keeps), validators)
            }
            Told::Ended => outcome.over = Some("the server ended it".into()),
            Told::Refused(status) => outcome.over = Some(format!("the server answered {status}")),
        });
        if let Err(error) = result {
            outcome.over = Some(error.to_string());
        }
        outcome
    }

    fn carry_out(&mut self, index: usize, outcome: Outcome) -> io::Result<()> {
        if outcome.opened && self.table[index].stage == Stage::Asked {
            self.opened(index)?;
        }
        if !outcome.replies.is_empty() {
            self.send(index, &outcome.replies)?;
        }
        match outcome.again {
            Some(true) => self.ask(index, outcome.validators)?,
            Some(false) => self.reconnect(index)?,
            None => {}
        }
        outcome.over.map_or(Ok(()), |why| Err(io::Error::other(why)))
    }

    fn end_of_input(&mut self, index: usize) -> io::Result<()> {
        let subscriber = &self.table[index];
        // The server may close the connection between two polls.
        let poll = subscriber.conversation.transport == Transport::Poll && subscriber.stage == Stage::Open;
        if poll { self.reconnect(index) } else { Err(ended()) }
    }

    fn reconnect(&mut self, index: usize) -> io::Result<()> {
        let transport = self.table[index].conversation.transport;
        self.table[index].conversation = Conversation::new(transport);
        self.table[index].stage = Stage::Reconnecting;
        self.connect(index)
    }

    fn over(&mut self, index: usize, why: &str) {
        let subscriber = &mut self.table[index];
        subscriber.socket = None;
        let returns = self.assignment.returns && subscriber.was_open;
        match std::mem::replace(&mut subscriber.stage, Stage::Over) {
            Stage::Connecting | Stage::Asked if returns => self.lost.add(index),
            Stage::Connecting | Stage::Asked => self.fail(1, why),
            Stage::Over => {}
            Stage::Open | Stage::Stalled | Stage::Reconnecting => {
                self.progress.closed += 1;
                self.progress.failure.get_or_insert_with(|| why.to_owned());
                if returns {
                    self.lost.add(index);
                }
            }
        }
    }

    /// Settles the ledgers of all subscribers that were open and read. `published` has the number of messages published to
    /// each channel.
    pub fn collect(&mut self, published: &HashMap<u32, u32>) -> DeliveryStats {
        for (index, subscriber) in self.table.iter_mut().enumerate() {
            let number = self.assignment.first + index as u32;
            if !subscriber.was_open || self.assignment.stalls(number) {
                continue;
            }
            let silence_ms = silence_ms(subscriber.last_ms, sys::now_ns());
            self.deliveries.longest_silence_ms = self.deliveries.longest_silence_ms.max(silence_ms);
            let published = published.get(&subscriber.channel).copied().unwrap_or(0);
            self.deliveries.expected += u64::from(subscriber.ledger.unsettled(published));
            let lost = subscriber.ledger.settle(published);
            let transport = subscriber.conversation.transport;
            let resumes = self.assignment.subscriptions.get(&transport).is_some_and(|it| it.resumes);
            match transport == Transport::Poll && !resumes {
                _ if self.assignment.drain => {}
                true => self.deliveries.missed_between_polls += lost,
                false => self.deliveries.lost += lost,
            }
        }
        std::mem::replace(&mut self.deliveries, DeliveryStats::empty())
    }
}

/// The counts for a subscriber's messages.
struct Counts<'a> {
    progress: &'a mut Progress,
    deliveries: &'a mut DeliveryStats,
    ledger: &'a mut Ledger,
    last_ms: &'a mut u32,
    channel: u32,
}

impl Counts<'_> {
    fn enter(&mut self, bytes: &[u8]) {
        let Some(message) = Message::read(bytes).filter(|message| message.channel == self.channel) else {
            // Other data is ignored: empty lines, and answers of servers when nothing was published.
            self.deliveries.foreign += u64::from(bytes.starts_with(b"gw1"));
            return;
        };
        let now_ns = sys::now_ns();
        let latency_ns = now_ns.saturating_sub(message.due_ns);
        let silence_ms = silence_ms(std::mem::replace(self.last_ms, ms(now_ns)), now_ns);
        self.deliveries.longest_silence_ms = self.deliveries.longest_silence_ms.max(silence_ms);
        match self.ledger.enter(message.sequence) {
            Standing::New => {}
            Standing::OutOfOrder => self.deliveries.out_of_order += 1,
            Standing::Duplicate => {
                self.deliveries.duplicates += 1;
                return;
            }
        }
        self.progress.messages += 1;
        self.deliveries.received += 1;
        self.deliveries.latencies.enter(latency_ns);
        if let Some(recent) = &mut self.progress.recent {
            recent.enter(latency_ns);
        }
    }
}

fn greeting(subscription: &Subscription, prefix: &str, channel: u32) -> String {
    match subscription.greeting.as_deref() {
        Some(CHANNEL) => format!("{prefix}{channel}"),
        Some(greeting) => greeting.to_owned(),
        None => String::new(),
    }
}

/// The milliseconds of the clock, in four bytes. They are never 0.
fn ms(now_ns: u64) -> u32 {
    (now_ns / 1_000_000) as u32 | 1
}

/// The time since the last message, if there was one.
fn silence_ms(last_ms: u32, now_ns: u64) -> u32 {
    if last_ms == 0 { 0 } else { ms(now_ns).wrapping_sub(last_ms) }
}

fn ended() -> io::Error {
    io::Error::other("the server closed the connection")
}

const READ_BYTES: usize = 64 << 10;
const DISCARD_BYTES: usize = 1 << 20;
/// The first byte of a ping.
const PING: u8 = 0x89;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_is_small() {
        assert!(size_of::<Subscriber>() <= 64, "{}", size_of::<Subscriber>());
    }
}
