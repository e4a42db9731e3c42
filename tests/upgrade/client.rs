//! One client: its connection, and what it expects next. It fails with a sentence as soon as anything else comes, or its
//! connection ends where it must not.

use crate::application::OPENING;
use crate::content::{Channel, Numbers, USERS, claimed};
use crate::kind::Kind;
use gripwire_loadgen::decode::{body::Body, frames, frames::Arrival, head};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// One client.
pub struct Client {
    pub kind: Kind,
    pub channel: Channel,
    /// Its number among all clients.
    pub number: usize,
    pub socket: Option<TcpStream>,
    pub stage: Stage,
    body: Body,
    /// Whether its connection goes on after the answer.
    keeps: bool,
    /// What has come and is not a whole head, message or answer yet.
    input: Vec<u8>,
    /// What its socket did not take yet.
    pub output: Vec<u8>,
    /// The number of the next item. A client of a kind that only sees what is published learns it from the first item.
    pub next: Option<u64>,
    /// The last item when its stream had begun: the first item that it gets is at most the next.
    last_at_opening: Option<u64>,
    /// Whether items were published while it had no connection, which it has no way to ask for.
    may_have_missed: bool,
    /// What it has asked or said, and how much of that has been answered.
    pub asked: u64,
    pub answered: u64,
    /// Whether its connection has had an answer.
    is_reused: bool,
    /// How far its [`actions`](crate::actions) are.
    pub step: u64,
    /// When it acts or connects next.
    pub beat: Option<Instant>,
    pub last_item: Option<Instant>,
    /// Whether it has been open; from then on it may not be lost.
    pub was_open: bool,
}

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Connecting,
    /// The answer's head is awaited.
    Head,
    /// The body, or a WebSocket's messages.
    Body,
    /// It has no connection.
    Over,
}

/// What all clients share.
pub struct World<'a> {
    pub numbers: &'a Numbers,
    /// Whether connections may end, as at a drain.
    pub ends_allowed: bool,
    pub counts: &'a mut Counts,
}

/// What happened to the clients.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub items: u64,
    pub answers: u64,
    /// Items that clients of inexact channels missed.
    pub missed: u64,
    /// Connections that ended properly, after which the client came again.
    pub returned: u64,
    pub longest_silence_ms: u64,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    GoesOn,
    /// It has ended properly, and the client connects again.
    ComesAgain,
}

impl Client {
    pub fn new(kind: Kind, number: usize) -> Client {
        Client {
            kind,
            channel: kind.channel(number),
            number,
            socket: None,
            stage: Stage::Over,
            body: Body::chunked(),
            keeps: true,
            input: Vec::new(),
            output: Vec::new(),
            next: None,
            last_at_opening: None,
            may_have_missed: false,
            asked: 0,
            answered: 0,
            is_reused: false,
            step: 0,
            beat: None,
            last_item: None,
            was_open: false,
        }
    }

    /// The value of its variable `user`.
    pub fn user(&self) -> usize {
        self.number % USERS as usize
    }

    /// How many of the items up to `last` it has still to get. It need not get those from before its stream began.
    pub fn lacks(&self, last: u64) -> u64 {
        let not_seen = (last + 1).saturating_sub(self.next.unwrap_or(1));
        let since_opening = self.last_at_opening.map_or(last, |opening| last.saturating_sub(opening));
        not_seen.min(since_opening)
    }

    /// Whether its request may be repeated if the connection ends: a server that closes a connection between two requests
    /// may miss that the next one is on its way (RFC 9112, section 9.3.1).
    pub fn may_repeat(&self) -> bool {
        self.stage == Stage::Head && self.input.is_empty() && self.is_reused
    }

    /// Makes it ready for a new connection.
    pub fn connecting(&mut self, socket: TcpStream) {
        (self.socket, self.stage) = (Some(socket), Stage::Connecting);
        self.input.clear();
        self.output.clear();
        (self.is_reused, self.may_have_missed) = (false, !self.kind.follows_ids());
        self.last_at_opening = None;
        self.step = 0;
        // What was asked and not answered is gone with the last connection.
        self.asked = self.answered;
        if self.kind == Kind::Passer {
            self.next = None;
        }
    }

    /// Sends `bytes`, or keeps what the socket does not take.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.output.extend_from_slice(bytes);
        self.flush()
    }

    pub fn flush(&mut self) -> Result<(), String> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        while !self.output.is_empty() {
            match socket.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(format!("cannot send: {error}")),
            }
        }
        Ok(())
    }

    /// Its connection is established: sends its request, or waits for its time to ask.
    pub fn connected(&mut self, numbers: &Numbers) -> Result<(), String> {
        (self.stage, self.keeps) = (Stage::Head, true);
        // Nothing shows that a poll is held, and who asks now and then is not answered yet.
        self.was_open |= matches!(self.kind, Kind::Poll | Kind::Idle | Kind::Upload);
        if matches!(self.kind, Kind::Idle | Kind::Upload) { Ok(()) } else { self.ask(numbers) }
    }

    /// Sends its request, of which the answer is awaited now.
    fn ask(&mut self, numbers: &Numbers) -> Result<(), String> {
        self.asked = self.answered + u64::from(matches!(self.kind, Kind::Poll | Kind::Visitor));
        if self.kind.follows_ids() && self.next.is_none() {
            self.next = Some(numbers.last(self.channel) + 1);
        }
        let request = self.kind.request(self);
        self.send(&request)
    }

    /// Reads up to `most` bytes, and checks them.
    pub fn receive(&mut self, world: &mut World, most: usize) -> Result<Fate, String> {
        let mut block = [0; 64 << 10];
        let most = most.min(block.len());
        let Some(socket) = &mut self.socket else { return Ok(Fate::GoesOn) };
        match socket.read(&mut block[..most]) {
            Ok(0) => self.ended(world),
            Ok(count) => self.take(world, &mut block[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Fate::GoesOn),
            Err(error) => Err(error.to_string()),
        }
    }

    fn take(&mut self, world: &mut World, bytes: &mut [u8]) -> Result<Fate, String> {
        if self.stage != Stage::Head {
            return self.content(world, bytes);
        }
        self.input.extend_from_slice(bytes);
        let Some(head) = head::read(&self.input).map_err(|error| error.to_string())? else {
            return Ok(Fate::GoesOn);
        };
        let expected = if self.kind.is_websocket() { 101 } else { 200 };
        if head.status != expected {
            return Err(format!("the answer has the status {}", head.status));
        }
        (self.body, self.keeps, self.stage) = (head.body, head.keeps, Stage::Body);
        let mut rest = self.input.split_off(head.length);
        self.input.clear();
        self.content(world, &mut rest)
    }

    fn content(&mut self, world: &mut World, bytes: &mut [u8]) -> Result<Fate, String> {
        if self.kind.is_websocket() {
            return self.frames(world, bytes);
        }
        let taken = self.body.take(bytes).map_err(|error| error.to_string())?;
        if taken.used < bytes.len() {
            return Err(format!("{} bytes behind the answer", bytes.len() - taken.used));
        }
        self.input.extend_from_slice(&bytes[..taken.body]);
        if self.kind.is_stream() {
            self.events(world)?;
        }
        match self.body.ended() {
            true => self.whole(world),
            false if self.kind == Kind::Passer && self.step >= PASSING_ITEMS => Ok(Fate::ComesAgain),
            false => Ok(Fate::GoesOn),
        }
    }

    /// Checks the events of a stream.
    fn events(&mut self, world: &mut World) -> Result<(), String> {
        while let Some(end) = self.input.windows(2).position(|window| window == b"\n\n") {
            let event: Vec<u8> = self.input.drain(..end + 2).collect();
            let event = String::from_utf8(event).map_err(|error| error.to_string())?;
            if event == OPENING && self.last_at_opening.is_none() {
                self.last_at_opening = Some(world.numbers.last(self.channel));
                self.was_open = true;
                continue;
            }
            // A drain tells EventSources when to come back.
            if world.ends_allowed && event.starts_with("retry:") {
                continue;
            }
            let text = event.strip_prefix("data: ").and_then(|text| text.strip_suffix("\n\n"));
            self.item(world, text.ok_or_else(|| format!("the event {event:?}"))?)?;
        }
        Ok(())
    }

    fn frames(&mut self, world: &mut World, bytes: &[u8]) -> Result<Fate, String> {
        self.input.extend_from_slice(bytes);
        let (mut messages, mut pings, mut is_closed) = (Vec::new(), Vec::new(), false);
        let used = frames::take(&self.input, &mut |arrival| match arrival {
            Arrival::Message(text) => messages.push(String::from_utf8_lossy(text).into_owned()),
            Arrival::Ping(payload) => pings.push(payload.to_vec()),
            Arrival::Closed => is_closed = true,
        });
        self.input.drain(..used.map_err(|error| error.to_string())?);
        for message in messages {
            match message.strip_prefix("said ") {
                Some(said) => self.said(world, said)?,
                None if message == "joined" && !self.was_open => self.was_open = true,
                None if message == "joined" && world.ends_allowed => {}
                None => self.item(world, &message)?,
            }
        }
        for payload in pings {
            self.send(&frames::pong(&payload))?;
        }
        match is_closed {
            true if world.ends_allowed => Ok(Fate::ComesAgain),
            true => Err("the WebSocket was closed".to_owned()),
            false => Ok(Fate::GoesOn),
        }
    }

    /// Checks an item: it must be the next one, to the byte.
    fn item(&mut self, world: &mut World, text: &str) -> Result<(), String> {
        let Some((channel, number)) = claimed(text) else { return Err(format!("the item {text:?}")) };
        let expected = self.channel.text_for(number, self.user());
        if channel != self.channel || text != expected {
            return Err(format!("torn: {text:?} instead of {expected:?}"));
        }
        let (is_first, is_exact) =
            (std::mem::take(&mut self.may_have_missed), self.channel.group().is_exact());
        match self.next {
            Some(next) if number < next => {
                return Err(format!("doubled or out of order: {number} comes instead of {next}"));
            }
            Some(next) if number > next && is_exact && !is_first => {
                return Err(format!("lost: {number} comes instead of {next}"));
            }
            next => world.counts.missed += number - next.unwrap_or(number),
        }
        match self.last_at_opening.filter(|_| is_first && is_exact) {
            Some(last) if number > self.channel.following(last, self.user()) => {
                return Err(format!("lost: the first item is {number}, and {last} was the last before"));
            }
            _ => {}
        }
        self.next = Some(self.channel.following(number, self.user()));
        self.step += u64::from(self.kind == Kind::Passer);
        world.counts.items += 1;
        let now = Instant::now();
        let silence = self.last_item.replace(now).map_or(0, |last| (now - last).as_millis() as u64);
        world.counts.longest_silence_ms = world.counts.longest_silence_ms.max(silence);
        Ok(())
    }

    /// Checks what the application repeats.
    fn said(&mut self, world: &mut World, said: &str) -> Result<(), String> {
        let expected = self.kind.saying(self, self.answered + 1);
        if self.asked == self.answered || said != expected {
            return Err(format!("said {said:?} instead of {expected:?}, of {} asked", self.asked));
        }
        self.answered += 1;
        world.counts.answers += 1;
        Ok(())
    }

    /// Takes an answer that is whole.
    fn whole(&mut self, world: &mut World) -> Result<Fate, String> {
        if self.kind.is_stream() {
            return match world.ends_allowed {
                true => Ok(Fate::ComesAgain),
                false => Err("the stream was ended".to_owned()),
            };
        }
        let input = std::mem::take(&mut self.input);
        let text = String::from_utf8(input).map_err(|error| error.to_string())?;
        if self.kind == Kind::Poll {
            text.lines().try_for_each(|line| self.item(world, line))?;
        } else if text != self.kind.answer(self) {
            return Err(format!("the answer {text:?} instead of {:?}", self.kind.answer(self)));
        }
        self.answered += 1;
        world.counts.answers += 1;
        self.was_open = true;
        (self.stage, self.is_reused) = (Stage::Head, true);
        if !self.keeps {
            return Ok(Fate::ComesAgain);
        }
        if self.kind == Kind::Poll {
            self.ask(world.numbers)?;
        }
        Ok(Fate::GoesOn)
    }

    /// The connection has ended.
    fn ended(&mut self, world: &mut World) -> Result<Fate, String> {
        let is_between = self.stage == Stage::Head && self.asked == self.answered && self.input.is_empty();
        // What a body that ends with its connection has at a drain is whole.
        let is_whole = self.body == Body::open() && self.input.is_empty();
        match world.ends_allowed && (is_between || is_whole) {
            true => Ok(Fate::ComesAgain),
            false => Err(format!("closed in {:?}, with {} bytes of something", self.stage, self.input.len())),
        }
    }
}

/// Items after which a passer gives its stream up.
const PASSING_ITEMS: u64 = 2;
