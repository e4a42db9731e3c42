//! Clients of WebSockets that send more than an application takes, or what never becomes a message.

use crate::DEADLINE;
use gripwire_harness::deadline::await_some;
use gripwire_harness::frames::Peer;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::origin::{Answer, Origin};
use gripwire_harness::server::{Launch, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// An empty message, masked.
const EMPTY: [u8; 6] = [0x81, 0x80, 0, 0, 0, 0];
const FLOODERS: usize = 8;
const FLOOD: usize = 150_000;
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

fn flood(mut client: Peer) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let part = EMPTY.repeat(1000);
        (0..FLOOD / 1000).for_each(|_| client.raw(&part));
    })
}
