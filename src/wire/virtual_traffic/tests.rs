//! Virtual slots beside the kernel's ring: limits, order, and ends from both sides.

use super::*;
use crate::runtime::block_on;
use crate::wire::backlog::SLICE_BYTES;
use crate::wire::{Doorbell, Ledger, Preface, bind};
use futures_lite::future::poll_once;
use std::collections::VecDeque;
use std::future::Future;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The limit on unsent bytes for one slot, and for all slots together.
const BACKLOG_BYTES: usize = 2 * WINDOW_BYTES;
const BACKLOG_BYTES_TOTAL: usize = 3 * WINDOW_BYTES;
const PATIENCE: Duration = Duration::from_secs(20);

/// A wire that listens, and its doorbell.
struct World {
    wire: Wire,
    address: SocketAddr,
    _doorbell: Doorbell,
}

impl World {
    fn new() -> World {
        let doorbell = Doorbell::new().unwrap();
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1).unwrap().pop().unwrap();
        let address = listener.local_addr().unwrap();
        let limits = WireLimits {
            connections: 4,
            reserved: 0,
            backlog_bytes: BACKLOG_BYTES,
            backlog_bytes_total: BACKLOG_BYTES_TOTAL,
        };
        let ledger = Arc::new(Ledger::new(Instant::now()));
        let listeners = vec![(listener, Preface::default())];
        let wire = Wire::new(listeners, Vec::new(), limits, ledger, &doorbell).unwrap();
        World { wire, address, _doorbell: doorbell }
    }

    /// The events of one poll, in words.
    fn poll(&mut self) -> Vec<String> {
        let mut events = VecDeque::new();
        self.wire.poll(&mut events).unwrap();
        events.into_iter().map(|event| told(&event)).collect()
    }

    fn take(&mut self, client: &VirtualClient) -> Poll<Option<Bytes>> {
        self.wire.take_sent(client)
    }

    /// Takes all bytes that wait.
    fn take_all(&mut self, client: &VirtualClient) -> Vec<u8> {
        let mut all = Vec::new();
        while let Poll::Ready(Some(bytes)) = self.take(client) {
            all.extend_from_slice(&bytes);
        }
        all
    }

    fn say(&mut self, client: &VirtualClient, bytes: &[u8]) -> Poll<Option<io::ErrorKind>> {
        self.wire.take_said(client, bytes).map(|said| said.err().map(|error| error.kind()))
    }

    fn expect_empty(&self) {
        let tables = [self.wire.virtual_slots(), self.wire.backlog_bytes(), self.wire.slots.corked.len()];
        assert_eq!((tables, self.wire.open_connections()), ([0; 3], 0));
        assert!(self.wire.slots.backlogs.is_empty() && self.wire.metered.is_empty());
    }
}

fn told(event: &WireEvent) -> String {
    match event {
        WireEvent::Received { bytes, .. } => format!("received {}", bytes.len()),
        WireEvent::Drained { .. } => "drained".into(),
        WireEvent::Ended { .. } => "ended".into(),
        WireEvent::Failed { .. } => "failed".into(),
        _ => "something else".into(),
    }
}

/// Runs a test inside an executor, which a doorbell needs.
fn on_a_core<T>(test: impl Future<Output = T>) -> T {
    block_on(test)
}

#[test]
fn a_client_that_takes_nothing_is_backlogged_and_then_too_slow_until_it_takes_all() {
    on_a_core(async {
        let mut world = World::new();
        let client = world.wire.open_virtual();
        let slot = client.slot();
        let window = Bytes::from(vec![b'w'; WINDOW_BYTES - SLICE_BYTES]);
        assert_eq!(world.wire.send(slot, window.clone()), Ok(()));
        assert!(!world.wire.is_backlogged(slot), "data within the window is no backlog");
        assert_eq!(world.wire.send(slot, Bytes::from_static(b"more")), Ok(()));
        assert!(world.wire.is_backlogged(slot));
        assert_eq!(world.wire.send(slot, window.clone()), Err(Overflow));
        let mut overflowed = Vec::new();
        world.wire.broadcast(&[slot], &window, &mut overflowed);
        assert_eq!((overflowed, world.wire.backlog_bytes()), (vec![slot], WINDOW_BYTES + 4 + SLICE_BYTES));
        assert_eq!(world.take(&client), Poll::Ready(Some(window.clone())));
        assert!(world.wire.is_backlogged(slot), "the backlog lasts until all data is taken");
        assert_eq!(world.take(&client), Poll::Ready(Some(Bytes::from_static(b"more"))));
        assert!(world.take(&client).is_pending() && !world.wire.is_backlogged(slot));
        assert!(world.wire.has_work());
        assert_eq!(world.poll(), ["drained"]);
        assert!(!world.wire.has_work() && world.poll().is_empty());
        world.wire.close(slot);
        assert_eq!(world.take(&client), Poll::Ready(None));
        world.wire.hang_up(&client);
        world.expect_empty();
    });
}

#[test]
fn a_paused_slot_that_closes_keeps_nothing() {
    on_a_core(async {
        let mut world = World::new();
        let before = world.wire.kept_bytes();
        for _ in 0..3 {
            let client = world.wire.open_virtual();
            world.wire.pause(client.slot());
            world.wire.close(client.slot());
            world.wire.hang_up(&client);
        }
        assert_eq!(world.wire.kept_bytes(), before);
    });
}

#[test]
fn a_core_that_is_full_makes_all_clients_slow_that_have_not_taken_everything() {
    on_a_core(async {
        let mut world = World::new();
        let clients: Vec<VirtualClient> = (0..4).map(|_| world.wire.open_virtual()).collect();
        let window = Bytes::from(vec![b'w'; WINDOW_BYTES - SLICE_BYTES]);
        for client in &clients {
            assert_eq!(world.wire.send(client.slot(), window.clone()), Ok(()));
        }
        let backlogged: Vec<bool> =
            clients.iter().map(|client| world.wire.is_backlogged(client.slot())).collect();
        assert_eq!(backlogged, [false, false, false, true]);
        assert_eq!(world.wire.send(clients[3].slot(), window), Err(Overflow));
        for client in &clients {
            world.wire.close(client.slot());
            world.wire.hang_up(client);
        }
        world.expect_empty();
    });
}

#[test]
fn what_a_client_says_is_heard_in_pieces_unless_it_is_paused_and_makes_it_wait() {
    on_a_core(async {
        let mut world = World::new();
        let client = world.wire.open_virtual();
        let slot = client.slot();
        world.wire.pause(slot);
        assert_eq!(world.say(&client, &[b'x'; WINDOW_BYTES + 1]), Poll::Ready(None));
        assert!(world.say(&client, b"y").is_pending());
        assert!(world.poll().is_empty() && world.wire.is_paused(slot));
        world.wire.resume(slot);
        let mut has_room = std::pin::pin!(client.changed());
        assert!(poll_once(&mut has_room).await.is_none());
        let mut events = VecDeque::new();
        world.wire.poll_all(&mut events).unwrap();
        assert!(events.len() == 1 && !world.wire.is_read(slot), "one poll does not report all data");
        while world.wire.has_work() {
            world.wire.poll_all(&mut events).unwrap();
        }
        let lengths: Vec<String> = events.iter().map(told).collect();
        let mut expected = vec![format!("received {PIECE_BYTES}"); WINDOW_BYTES / PIECE_BYTES];
        expected.push("received 1".into());
        assert_eq!(lengths, expected);
        assert!(world.wire.is_read(slot));
        assert!(poll_once(has_room).await.is_some(), "a client that waits for room is woken");
        assert_eq!(world.say(&client, b"y"), Poll::Ready(None));
        assert_eq!(world.poll(), ["received 1"]);
        world.wire.close(slot);
        assert_eq!(world.say(&client, b"z"), Poll::Ready(Some(io::ErrorKind::BrokenPipe)));
        world.wire.hang_up(&client);
        world.expect_empty();
    });
}

#[test]
fn a_client_takes_what_was_sent_before_a_close_but_no_backlog() {
    on_a_core(async {
        let mut world = World::new();
        for (bytes, left) in [(10, 10), (WINDOW_BYTES + 1, 0)] {
            let client = world.wire.open_virtual();
            world.wire.send(client.slot(), Bytes::from(vec![b'x'; bytes])).unwrap();
            world.wire.cork(client.slot());
            world.wire.send(client.slot(), Bytes::from_static(b"corked")).unwrap();
            world.wire.close(client.slot());
            assert!(world.poll().is_empty());
            assert_eq!(world.take_all(&client).len(), left);
            assert_eq!(world.take(&client), Poll::Ready(None));
            assert_eq!(world.wire.send(client.slot(), Bytes::from_static(b"late")), Ok(()));
            world.wire.hang_up(&client);
            world.expect_empty();
        }
        let client = world.wire.open_virtual();
        world.wire.send(client.slot(), Bytes::from_static(b"last")).unwrap();
        world.wire.shutdown(client.slot());
        assert_eq!(world.take_all(&client), b"last");
        assert_eq!(world.take(&client), Poll::Ready(None), "nothing follows a shutdown");
        assert_eq!(world.say(&client, b"still heard"), Poll::Ready(None));
        world.wire.hang_up(&client);
        assert_eq!((world.poll(), world.poll()), (vec!["received 11".into()], vec!["ended".into()]));
        world.wire.close(client.slot());
        world.expect_empty();
    });
}

#[test]
fn a_client_that_hangs_up_is_heard_to_its_end_and_fails_where_it_has_not_taken_everything() {
    on_a_core(async {
        let mut world = World::new();
        let [orderly, early, late] = [(); 3].map(|()| world.wire.open_virtual());
        assert_eq!(world.say(&orderly, b"bye"), Poll::Ready(None));
        world.wire.hang_up(&orderly);
        assert_eq!((world.poll(), world.poll()), (vec!["received 3".into()], vec!["ended".into()]));
        world.wire.send(early.slot(), Bytes::from(vec![b'x'; 2 * WINDOW_BYTES])).unwrap();
        world.wire.hang_up(&early);
        assert!(!world.wire.is_backlogged(early.slot()));
        assert_eq!(world.poll(), ["failed"]);
        // The end of a client that is paused is noticed when something is sent to it.
        world.wire.pause(late.slot());
        world.wire.hang_up(&late);
        assert!(world.poll().is_empty());
        world.wire.send(late.slot(), Bytes::from_static(b"hello?")).unwrap();
        assert_eq!(world.poll(), ["failed"]);
        for client in [&orderly, &early, &late] {
            world.wire.close(client.slot());
        }
        world.expect_empty();
    });
}

#[test]
fn a_broadcast_reaches_both_kinds_of_slots_in_order_and_corks_hold() {
    on_a_core(async {
        let mut world = World::new();
        let mut socket = TcpStream::connect(world.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut events, deadline) = (VecDeque::new(), Instant::now() + PATIENCE);
        let accepted = loop {
            world.wire.poll(&mut events).unwrap();
            if let Some(WireEvent::Accepted { slot, .. }) = events.pop_front() {
                break slot;
            }
            assert!(Instant::now() < deadline, "no client is accepted");
            std::thread::yield_now();
        };
        let [plain, corked] = [(); 2].map(|()| world.wire.open_virtual());
        world.wire.cork(corked.slot());
        let slots = [plain.slot(), accepted, corked.slot()];
        for frame in ["one ", "two"] {
            let mut overflowed = Vec::new();
            world.wire.broadcast(&slots, &Bytes::from(frame), &mut overflowed);
            assert!(overflowed.is_empty());
        }
        let mut got = [0; 7];
        socket.read_exact(&mut got).unwrap();
        assert_eq!((&got[..], &world.take_all(&plain)[..]), (&b"one two"[..], &b"one two"[..]));
        world.wire.send_now(corked.slot(), Bytes::from_static(b"zero ")).unwrap();
        assert_eq!(world.take_all(&corked), b"zero ");
        world.wire.uncork(corked.slot()).unwrap();
        assert_eq!(world.take_all(&corked), b"one two");
        for slot in slots {
            world.wire.close(slot);
        }
        [&plain, &corked].into_iter().for_each(|client| world.wire.hang_up(client));
        world.expect_empty();
    });
}

#[test]
fn a_slot_is_not_given_out_again_soon_nor_while_its_client_is_there() {
    on_a_core(async {
        let mut world = World::new();
        let stays = world.wire.open_virtual();
        world.wire.close(stays.slot());
        let next = world.wire.open_virtual();
        world.wire.close(next.slot());
        world.wire.hang_up(&next);
        assert_ne!(world.wire.open_virtual().slot(), next.slot());
        world.wire.virtual_slots.next = 0;
        assert_ne!(world.wire.open_virtual().slot(), stays.slot());
    });
}
