//! Clients of WebSockets that send more than an application takes, or what never becomes a message.

use crate::DEADLINE;
use flate2::{Compress, Compression, FlushCompress};
use gripwire_harness::deadline::await_some;
use gripwire_harness::frames::{Peer, TEXT};
use gripwire_harness::innocent::Innocent;
use gripwire_harness::origin::{Answer, Origin};
use gripwire_harness::random::Random;
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::websocket::Socket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// An empty message, masked.
const EMPTY: [u8; 6] = [0x81, 0x80, 0, 0, 0, 0];
const FLOODERS: usize = 4;
const FLOOD: usize = 100_000;
/// How long the application takes for a request.
const SLOWNESS: Duration = Duration::from_millis(20);
/// What one request with events may bring.
const REQUEST_BYTES: usize = 200_000;

/// What an application has seen.
#[derive(Default)]
struct Heard {
    events: AtomicUsize,
    largest: AtomicUsize,
}

/// Accepts every WebSocket, and takes its time for what comes.
fn slow_application(heard: Arc<Heard>) -> Origin {
    Origin::http(move |request| {
        if request.body == b"OPEN\r\n" {
            return Answer::events("OPEN\r\n");
        }
        thread::sleep(SLOWNESS); // It is slow: that is the attack.
        let events = request.body.windows(8).filter(|window| window == b"TEXT 0\r\n").count();
        heard.events.fetch_add(events, Ordering::Relaxed);
        heard.largest.fetch_max(request.body.len(), Ordering::Relaxed);
        Answer::events("")
    })
}

fn launch(application: &Origin) -> Launch {
    Launch::route(&format!("* {},over_http", application.address())).and_route(Innocent::ROUTE)
}

/// By how much the server has grown beyond `before`, at its largest.
fn growth(server: &Server, before: u64) -> u64 {
    server.memory_bytes("VmHWM") - before
}

#[test]
fn messages_without_content_wait_at_the_client_for_a_slow_application() {
    let heard = Arc::new(Heard::default());
    let application = slow_application(heard.clone());
    let server = launch(&application).start();
    let innocent = Innocent::beside(&server);
    let before = server.memory_bytes("VmHWM");
    let sockets: Vec<_> = (0..FLOODERS).map(|_| server.websocket("any.test", "/")).collect();
    let flooders: Vec<_> = sockets.iter().map(Peer::client).map(flood).collect();
    flooders.into_iter().for_each(|flooder| flooder.join().expect("the server takes all in time"));
    await_some("the application hears every message", || {
        (heard.events.load(Ordering::Relaxed) == FLOODERS * FLOOD).then_some(())
    });
    let largest = heard.largest.load(Ordering::Relaxed);
    assert!(largest <= REQUEST_BYTES, "a request of {largest} bytes");
    let grown = growth(&server, before);
    assert!(grown < 50_000_000, "{grown} bytes for events that wait");
    innocent.expect_unharmed(DEADLINE);
    drop(sockets);
    server.await_empty();
}

/// Clients that come one after the other, and what all of them may have the server keep.
const COMERS: usize = 300;
const COMERS_BYTES: u64 = 30_000_000;
/// What two cores keep before anybody comes.
const CORES_BYTES: u64 = 32 << 20;

#[test]
fn events_of_clients_that_were_closed_are_not_kept_for_an_application_that_hangs() {
    let gate = Arc::new(Gate::default());
    let application = hanging_application(gate.clone());
    let server = launch(&application).settings("[websocket]\nincoming_bytes_per_core = 4000000").start();
    let innocent = Innocent::beside(&server);
    // Each sends what takes 170 kB as events, by a little at a time.
    let part = EMPTY.repeat(1_300);
    let comers: Vec<_> = (0..COMERS)
        .map(|_| {
            let socket = server.websocket("any.test", "/");
            Peer::client(&socket).raw(&part);
            socket
        })
        .collect();
    let stats = server.await_stats(|stats| stats["refused_messages_total"] > COMERS as u64 / 2);
    let kept = stats["kept_bytes"];
    assert!(kept < CORES_BYTES + COMERS_BYTES, "{kept} bytes are kept, also for {COMERS} clients");
    innocent.expect_unharmed(DEADLINE);
    gate.open();
    drop(comers);
    server.await_empty();
}

#[test]
fn thousands_of_pings_at_once_are_answered_without_keeping_others_waiting() {
    let application = hanging_application(Arc::default());
    let server = launch(&application).start();
    let innocent = Innocent::beside(&server);
    let sockets: Vec<_> = (0..PINGERS).map(|_| server.websocket("any.test", "/")).collect();
    let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(1_000);
    let pingers: Vec<_> =
        sockets.iter().map(Peer::client).map(|client| ping(client, pings.clone())).collect();
    pingers.into_iter().for_each(|pinger| pinger.join().expect("the server takes all in time"));
    innocent.expect_unharmed(DEADLINE);
    drop(sockets);
    server.await_empty();
}

/// Clients that send pings, and how often each sends a thousand.
const PINGERS: usize = 10;
const PINGS: usize = 30;

fn ping(mut client: Peer, pings: Vec<u8>) -> thread::JoinHandle<()> {
    thread::spawn(move || (0..PINGS).for_each(|_| client.raw(&pings)))
}

fn flood(mut client: Peer) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let part = EMPTY.repeat(1000);
        (0..FLOOD / 1000).for_each(|_| client.raw(&part));
    })
}

/// What opens once, for everybody who waits.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().expect("the gate") = true;
        self.1.notify_all();
    }

    fn await_open(&self) {
        let is_open = self.0.lock().expect("the gate");
        drop(self.1.wait_while(is_open, |is_open| !*is_open).expect("the gate"));
    }
}

/// Accepts every WebSocket, and answers nothing else until `gate` is open.
fn hanging_application(gate: Arc<Gate>) -> Origin {
    Origin::http(move |request| {
        if request.body == b"OPEN\r\n" {
            return Answer::events("OPEN\r\n");
        }
        gate.await_open();
        Answer::events("")
    })
}

#[test]
fn messages_that_grow_when_they_are_inflated_have_a_bound_for_each_and_for_all() {
    let gate = Arc::new(Gate::default());
    let application = hanging_application(gate.clone());
    let server = launch(&application).settings("[websocket]\ncompression = true").start();
    let innocent = Innocent::beside(&server);
    let before = server.memory_bytes("VmHWM");
    // DEFLATE of zeros: 16 MB in 16 kB, and 1.5 MB in 16 kB, which is within the ratio.
    let (bomb, large) = (deflated(16_000_000, 0), deflated(1_400_000, 14_000));
    let mut bombers: Vec<_> = (0..60).map(|_| compressing(&server)).collect();
    for bomber in &mut bombers {
        bomber.raw(&bomb);
        bomber.expect_close(1009, "");
    }
    let mut keepers: Vec<_> = (0..200).map(|_| compressing(&server)).collect();
    keepers.iter_mut().for_each(|keeper| keeper.raw(&large));
    // What the core has no room for is refused in one of two ways: by its own size, or by that of all.
    server.await_stats(|stats| stats["bad_requests_total"] + stats["refused_messages_total"] > 60 + 100);
    let grown = growth(&server, before);
    assert!(grown < 300_000_000, "{grown} bytes for inflated messages");
    innocent.expect_unharmed(DEADLINE);
    gate.open();
    drop((bombers, keepers));
    server.await_empty();
}

#[test]
fn messages_that_never_end_have_a_time_and_a_bound_for_all() {
    let application = slow_application(Arc::default());
    let server = launch(&application)
        .settings("[websocket]\nmessage_timeout_ms = 8000\nincoming_bytes_per_core = 16000000")
        .start();
    let innocent = Innocent::beside(&server);
    let before = server.memory_bytes("VmHWM");
    let mut small = Peer::client(&server.websocket("any.test", "/"));
    small.part(TEXT, "kept");
    let senders: Vec<_> = (0..12).map(|_| Peer::client(&server.websocket("any.test", "/"))).collect();
    let senders: Vec<_> =
        senders.into_iter().map(|client| thread::spawn(|| send_without_end(client))).collect();
    senders.into_iter().for_each(|sender| sender.join().expect("the sender is closed"));
    small.expect_close(1008, "");
    let grown = growth(&server, before);
    assert!(grown < 140_000_000, "{grown} bytes for messages that are not whole");
    assert!(server.stats()["refused_messages_total"] >= 13);
    innocent.expect_unharmed(DEADLINE);
    server.await_empty();
}

/// Sends 15 MB of a message and waits; all clients together send 180 MB.
fn send_without_end(mut client: Peer) {
    // A frame of 15,999,999 bytes, its mask, and a part of its content.
    let head = [&[0x02, 0xff][..], &15_999_999_u64.to_be_bytes(), &[0; 4]].concat();
    client.raw(&head);
    let part = vec![0; 100_000];
    // It may be closed at any time.
    for _ in 0..150 {
        if client.try_raw(&part).is_err() {
            return;
        }
    }
    client.expect_closing();
}

/// A WebSocket that may compress.
fn compressing(server: &Server) -> Peer {
    let extensions = [("Sec-WebSocket-Extensions", "permessage-deflate; client_no_context_takeover")];
    Peer::client(&Socket::over(server.connect(), "any.test", "/", &extensions))
}

/// A frame, masked with zeros, with a compressed message of `zeros` and of `noise` bytes that do not compress.
fn deflated(zeros: usize, noise: usize) -> Vec<u8> {
    let mut random = Random::new(7);
    let message = [random.bytes(noise), vec![0; zeros]].concat();
    let mut compressed = Vec::with_capacity(64 * 1024);
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(&message, &mut compressed, FlushCompress::Sync).expect("it is compressed");
    assert_eq!(compress.total_in(), message.len() as u64);
    let content = compressed.strip_suffix(&[0, 0, 0xff, 0xff]).expect("a flush");
    let length = u16::try_from(content.len()).expect("a short frame");
    [&[0xc2, 0xfe][..], &length.to_be_bytes(), &[0; 4], content].concat()
}
