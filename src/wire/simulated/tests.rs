//! The wire on a simulated kernel, with clients that read slowly, disconnect midway, and use TLS or not. Now and then
//! the wire stops, and all clients move to another wire. However operations fall short, come late or are cancelled,
//! each client gets the data for it, in order, and the core gets each client's data in order.

use crate::ids::Slot;
use crate::runtime;
use crate::simulation::{Listener, Random, Simulation, connect, current, listen};
use crate::tls::stand::{Stand, stand};
use crate::wire::{Doorbell, Ledger, Preface, Taken, Wire, WireEvent, WireLimits};
use bytes::Bytes;
use futures_lite::future::{or, zip};
use futures_lite::io::split;
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use futures_rustls::TlsConnector;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 443);
/// Clients of one world. [`SLOTS`] of them can be connected at a time.
const CLIENTS: usize = 24;
const SLOTS: u32 = 6;
/// Worlds in each test.
const SEEDS: u64 = 12;
/// The longest time that a world may run.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rounds in which the core sends.
const ROUNDS: usize = 400;

/// The data between the core and one client. A client's number is the first byte that it sends.
#[derive(Default, Clone)]
struct Account {
    /// Bytes sent by the client, and bytes sent to it.
    said: Vec<u8>,
    told: Vec<u8>,
    /// Bytes received by the core, and bytes received by the client.
    heard: Vec<u8>,
    got: Vec<u8>,
    /// The connection ended before both sides were done.
    is_cut: bool,
}

type Book = Rc<RefCell<Vec<Account>>>;

#[test]
fn clients_get_and_say_everything_in_order_however_the_kernel_cuts_it() {
    (0..SEEDS).for_each(|seed| world(seed, false));
}

#[test]
fn clients_by_tls_get_and_say_everything_in_order_however_the_kernel_cuts_it() {
    (0..SEEDS).for_each(|seed| world(seed, true));
}

#[test]
fn clients_that_speak_no_tls_are_counted_where_it_is_spoken() {
    let simulation = Simulation::new(1);
    let done = simulation.run(async {
        let mut core = TestCore::new(true, Book::default());
        let mut client = connect(ADDRESS).await.expect("a connection");
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("room");
        let turns = async {
            loop {
                core.turn();
                runtime::sleep(Duration::from_micros(100)).await;
            }
        };
        // The client gets an alert and the end, or a reset because its request was not read to the end.
        let ends = async { drop(client.read_to_end(&mut Vec::new()).await) };
        or(ends, turns).await;
        assert_eq!((core.wire.tls_failures(), core.wire.open_connections()), (1, 0));
    });
    done.expect("the client is answered");
}

/// Runs one wire, and all its clients.
fn world(seed: u64, is_secure: bool) {
    let simulation = Simulation::new(seed);
    let book: Book = Rc::new(RefCell::new(vec![Account::default(); CLIENTS]));
    let accounts = book.clone();
    let done = simulation.run(async move {
        let mut core = TestCore::new(is_secure, accounts.clone());
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| runtime::spawn(client(number, is_secure, accounts.clone()))).collect();
        let all_leave = async {
            for client in clients {
                client.await;
            }
        };
        let too_long = runtime::sleep(PATIENCE / 2);
        or(all_leave, or(core.serve(), too_long)).await;
        while core.wire.open_connections() > 0 || !core.wire.orphans.is_empty() {
            assert!(elapsed() < PATIENCE, "seed {seed}: memory or a connection is not released");
            core.turn();
            rest(500).await;
        }
        // Slots are free once the kernel has run their close.
        core.turn();
        assert_eq!(core.wire.backlog_bytes(), 0, "seed {seed}");
        let leftovers = current().expect("a simulation").leftovers();
        assert!(leftovers.is_empty(), "seed {seed}: {leftovers:?}");
    });
    done.unwrap_or_else(|stuck| panic!("seed {seed}: {stuck:?}"));
    for (number, Account { said, told, heard, got, is_cut }) in book.borrow().iter().enumerate() {
        assert!(told.starts_with(got), "seed {seed}: client {number} got something else");
        assert!(said.starts_with(heard), "seed {seed}: the core got something else from client {number}");
        assert!(
            *is_cut || (told.len(), said.len()) == (got.len(), heard.len()),
            "seed {seed}: client {number}"
        );
    }
}

fn dice<T>(throw: impl FnOnce(&mut Random) -> T) -> T {
    current().expect("a simulation").dice(throw)
}

fn elapsed() -> Duration {
    current().expect("a simulation").elapsed()
}

async fn rest(most_us: u64) {
    runtime::sleep(Duration::from_micros(dice(|dice| dice.within(1..most_us)))).await;
}

fn some_bytes(most: usize) -> Vec<u8> {
    let first = dice(Random::number) as u8;
    let length = 1 + dice(|dice| dice.below(most));
    (0..length).map(|index| first.wrapping_add(index as u8)).collect()
}

/// A client: it waits a while, connects, sends its number and more, and reads to the end, unless it disconnects
/// before.
async fn client(number: usize, is_secure: bool, book: Book) {
    rest(20_000).await;
    let stream = connect(ADDRESS).await.expect("a connection");
    let leaves_early = dice(|dice| dice.chance(25));
    let lives = async {
        match is_secure {
            true => {
                let name = ServerName::try_from("a.test").expect("a name");
                match connector().connect(name, stream).await {
                    Ok(stream) => talk(stream, number, &book).await,
                    Err(_) => book.borrow_mut()[number].is_cut = true,
                }
            }
            false => talk(stream, number, &book).await,
        }
        false
    };
    let leaves = async {
        match leaves_early {
            true => rest(30_000).await,
            false => std::future::pending().await,
        }
        true
    };
    if or(lives, leaves).await {
        book.borrow_mut()[number].is_cut = true;
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, number: usize, book: &Book) {
    let (mut reader, mut writer) = split(stream);
    let speaks = async {
        for part in 0..dice(|dice| dice.below(20)) + 1 {
            let bytes = if part == 0 { vec![number as u8] } else { some_bytes(3000) };
            book.borrow_mut()[number].said.extend_from_slice(&bytes);
            let written = async { writer.write_all(&bytes).await.and(writer.flush().await) };
            if written.await.is_err() {
                return book.borrow_mut()[number].is_cut = true;
            }
            rest(3_000).await;
        }
    };
    let listens = async {
        let mut part = [0; 4096];
        loop {
            match reader.read(&mut part).await {
                Ok(0) => return,
                Ok(count) => book.borrow_mut()[number].got.extend_from_slice(&part[..count]),
                Err(_) => return book.borrow_mut()[number].is_cut = true,
            }
            if dice(|dice| dice.chance(20)) {
                rest(5_000).await;
            }
        }
    };
    zip(speaks, listens).await;
}

fn connector() -> TlsConnector {
    let Stand { roots, .. } = stand();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions().expect("versions");
    TlsConnector::from(Arc::new(config.with_root_certificates(roots.clone()).with_no_client_auth()))
}

fn wire(listener: &Listener, limits: WireLimits, is_secure: bool, doorbell: &Doorbell) -> Wire {
    let ledger = Arc::new(Ledger::new(runtime::now()));
    let tls = is_secure.then(|| stand().offer.clone());
    let preface = Preface { tls, ..Preface::default() };
    let socket = listener.socket().expect("a descriptor");
    Wire::new(vec![(socket, preface)], Vec::new(), limits, ledger, doorbell).expect("a wire")
}

/// A core that uses a wire at random.
struct TestCore {
    wire: Wire,
    events: VecDeque<WireEvent>,
    /// Open slots, with the client's number once it was received.
    slots: BTreeMap<u32, Option<usize>>,
    /// Bytes that the wire reported as taken, by client.
    taken: BTreeMap<usize, usize>,
    is_secure: bool,
    listener: Listener,
    limits: WireLimits,
    book: Book,
    doorbell: Doorbell,
}

impl TestCore {
    fn new(is_secure: bool, book: Book) -> TestCore {
        let doorbell = Doorbell::new().expect("a doorbell");
        let limits = WireLimits {
            connections: SLOTS,
            reserved: 0,
            backlog_bytes: if dice(|dice| dice.chance(50)) { 30_000 } else { 10_000_000 },
            backlog_bytes_total: 20_000_000,
        };
        let listener = listen(ADDRESS);
        let wire = wire(&listener, limits, is_secure, &doorbell);
        let (events, slots, taken) = (VecDeque::new(), BTreeMap::new(), BTreeMap::new());
        TestCore { wire, events, slots, taken, is_secure, listener, limits, book, doorbell }
    }

    /// Stops the wire, and goes on with it or, like another process, with a new one, to which all clients move.
    async fn stop(&mut self) {
        self.wire.quiesce();
        while !self.wire.is_quiet() {
            if dice(|dice| dice.chance(1)) {
                // The hand-over is given up early.
                return self.wire.resume_all();
            }
            rest(200).await;
            self.turn();
        }
        if !self.is_secure && dice(|dice| dice.chance(50)) {
            self.move_all();
        }
        self.wire.resume_all();
    }

    fn move_all(&mut self) {
        let mut new = wire(&self.listener, self.limits, self.is_secure, &self.doorbell);
        new.quiesce();
        let slots: Vec<Slot> = self.slots.keys().copied().map(Slot).collect();
        let sockets = self.wire.install(&slots).expect("descriptors");
        let adopted = new.adopt(sockets, &[]).expect("as many slots");
        if dice(|dice| dice.chance(20)) {
            // The new process ends, and the old one goes on.
            return;
        }
        let backlog_bytes = self.wire.backlog_bytes();
        for (slot, adopted) in slots.iter().zip(&adopted) {
            assert!(self.wire.can_move(*slot));
            new.unpack(*adopted, self.wire.pack(*slot), None);
        }
        assert_eq!(new.backlog_bytes(), backlog_bytes, "unsent bytes of all clients move");
        slots.iter().for_each(|slot| self.wire.let_go(*slot));
        let numbers = std::mem::take(&mut self.slots).into_values();
        self.slots = adopted.iter().map(|slot| slot.0).zip(numbers).collect();
        self.wire = new;
    }

    /// Sends for a while, and then ends the sending side of every client that is connected, and never returns.
    async fn serve(&mut self) {
        for _ in 0..ROUNDS {
            self.turn();
            self.act();
            self.wire.flush();
            if dice(|dice| dice.chance(5)) {
                self.stop().await;
            }
            rest(200).await;
        }
        loop {
            self.turn();
            let waiting: Vec<u32> = self.slots.keys().copied().collect();
            waiting.into_iter().for_each(|slot| self.let_go(Slot(slot)));
            self.wire.flush();
            rest(500).await;
        }
    }

    /// Ends the sending side for the client of `slot`, once the client has been sent everything.
    fn let_go(&mut self, slot: Slot) {
        self.wire.resume(slot);
        if self.wire.uncork(slot).is_err() {
            return self.cut(slot);
        }
        let is_known = self.slots.get(&slot.0).is_some_and(Option::is_some);
        if is_known && !self.wire.is_backlogged(slot) {
            self.wire.shutdown(slot);
        }
    }

    fn turn(&mut self) {
        if dice(|dice| dice.chance(20)) {
            self.wire.begin_to_measure();
        }
        self.wire.measure_some();
        self.wire.poll(&mut self.events).expect("a ring that works");
        while let Some(event) = self.events.pop_front() {
            match event {
                WireEvent::Accepted { slot, .. } => {
                    let before = self.slots.insert(slot.0, None);
                    assert!(before.is_none(), "a slot is given out twice");
                }
                WireEvent::Received { slot, bytes } => self.hear(slot, &bytes),
                // A client that was closed meanwhile may have ended before.
                WireEvent::Ended { slot } if self.is_open(slot) => self.close(slot),
                WireEvent::Failed { slot } if self.is_open(slot) => self.cut(slot),
                WireEvent::Ended { .. } | WireEvent::Failed { .. } => {}
                WireEvent::Took { slot, taken } => self.took(slot, taken),
                WireEvent::Drained { slot } => assert!(!self.wire.is_backlogged(slot) || !self.is_open(slot)),
                _ => panic!("an event that cannot occur here"),
            }
        }
    }

    /// Checks that a connected client has not taken more than it received, where the client's number and the bytes
    /// before encryption are known.
    fn took(&mut self, slot: Slot, taken: Taken) {
        let Some(Some(number)) = self.slots.get(&slot.0).filter(|_| !self.is_secure) else { return };
        if let Taken::Bytes(bytes) = taken {
            let sum = self.taken.entry(*number).or_default();
            *sum += bytes as usize;
            let account = &self.book.borrow()[*number];
            let got = account.got.len();
            assert!(account.is_cut || *sum <= got, "{sum} bytes taken of which {got} arrived");
        }
    }

    fn is_open(&self, slot: Slot) -> bool {
        self.slots.contains_key(&slot.0)
    }

    fn hear(&mut self, slot: Slot, bytes: &[u8]) {
        let Some(number) = self.slots.get_mut(&slot.0) else { return };
        let number = *number.get_or_insert(usize::from(bytes[0]));
        self.book.borrow_mut()[number].heard.extend_from_slice(bytes);
    }

    fn close(&mut self, slot: Slot) {
        self.slots.remove(&slot.0);
        self.wire.close(slot);
    }

    /// Closes a connection that is not over.
    fn cut(&mut self, slot: Slot) {
        if let Some(Some(number)) = self.slots.get(&slot.0) {
            self.book.borrow_mut()[*number].is_cut = true;
        }
        self.close(slot);
    }

    /// Does one of the things that a core may do.
    fn act(&mut self) {
        let known: Vec<(Slot, usize)> =
            self.slots.iter().filter_map(|(slot, number)| Some((Slot(*slot), (*number)?))).collect();
        if known.is_empty() {
            return;
        }
        let (slot, number) = dice(|dice| *dice.pick(&known));
        match dice(|dice| dice.below(100)) {
            0..40 => {
                let most = if dice(|dice| dice.chance(5)) { 200_000 } else { 5_000 };
                self.send(slot, number, some_bytes(most).into());
            }
            40..60 => self.broadcast(&known),
            60..65 => self.wire.cork(slot),
            65..75 if self.wire.uncork(slot).is_err() => self.cut(slot),
            75..80 => self.wire.pause(slot),
            80..90 => self.wire.resume(slot),
            90..92 => self.cut(slot),
            _ => {}
        }
    }

    fn send(&mut self, slot: Slot, number: usize, bytes: Bytes) {
        if self.wire.send(slot, bytes.clone()).is_ok() {
            self.book.borrow_mut()[number].told.extend_from_slice(&bytes);
        }
    }

    fn broadcast(&mut self, known: &[(Slot, usize)]) {
        let (frame, mut overflowed) = (Bytes::from(some_bytes(2_000)), Vec::new());
        let slots: Vec<Slot> = known.iter().map(|(slot, _)| *slot).collect();
        self.wire.broadcast(&slots, &frame, &mut overflowed);
        for (_, number) in known.iter().filter(|(slot, _)| !overflowed.contains(slot)) {
            self.book.borrow_mut()[*number].told.extend_from_slice(&frame);
        }
    }
}
