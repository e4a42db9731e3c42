//! How connections end, and what a poll reports of open connections, with real sockets.

use super::*;
use crate::runtime::block_on;
use crate::wire::{Doorbell, Preface, bind};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Clients at a time, as many as there are slots, so every further client gets a used slot.
const CLIENTS: usize = 8;
/// More bytes than the kernel takes for a client that does not read.
const MUCH: usize = 16 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

/// A wire with [`CLIENTS`] slots, and its clients.
struct World {
    wire: Wire,
    address: SocketAddr,
    events: VecDeque<WireEvent>,
    _doorbell: Doorbell,
}

impl World {
    fn new() -> World {
        World::with(CLIENTS)
    }

    fn with(connections: usize) -> World {
        let doorbell = Doorbell::new().unwrap();
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1).unwrap().pop().unwrap();
        let address = listener.local_addr().unwrap();
        let limits = WireLimits {
            connections: connections as u32,
            reserved: 0,
            backlog_bytes: 2 * MUCH,
            backlog_bytes_total: 2 * CLIENTS * MUCH,
        };
        let ledger = Arc::new(Ledger::new(Instant::now()));
        let listeners = vec![(listener, Preface::default())];
        let wire = Wire::new(listeners, Vec::new(), limits, ledger, &doorbell).unwrap();
        World { wire, address, events: VecDeque::new(), _doorbell: doorbell }
    }

    /// Connects a client, and returns it with its slot.
    fn connect(&mut self) -> (TcpStream, Slot) {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let slot = self.await_event(|event| match event {
            WireEvent::Accepted { slot, .. } => Some(*slot),
            _ => None,
        });
        (client, slot)
    }

    /// Turns until `wanted` takes an event; other events are dropped.
    fn await_event<T>(&mut self, wanted: impl Fn(&WireEvent) -> Option<T>) -> T {
        let mut found = None;
        self.turn_until(|world| {
            found = world.events.drain(..).find_map(|event| wanted(&event));
            found.is_some()
        });
        found.unwrap()
    }

    fn turn_until(&mut self, mut is_reached: impl FnMut(&mut World) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut events = std::mem::take(&mut self.events);
            self.wire.poll(&mut events).unwrap();
            self.events = events;
            if is_reached(self) {
                return;
            }
            assert!(Instant::now() < deadline, "the expected state is not reached in time");
            std::thread::yield_now();
        }
    }
}

/// Runs a test inside an executor, which a doorbell needs.
fn on_a_core(test: impl FnOnce()) {
    block_on(async { test() });
}

#[test]
fn a_client_that_is_closed_sees_it_and_the_next_in_its_slot_is_heard() {
    on_a_core(|| {
        let mut world = World::new();
        for round in 0..3 {
            let clients: Vec<_> = (0..CLIENTS).map(|_| world.connect()).collect();
            for (number, (_, slot)) in clients.iter().enumerate() {
                if number % 2 == round % 2 {
                    world.wire.pause(*slot);
                }
                world.wire.close(*slot);
            }
            assert_eq!(world.wire.open_connections(), 0);
            world.wire.flush();
            for (mut client, _) in clients {
                world.turn_until(|_| true);
                assert_eq!(client.read(&mut [0; 8]).unwrap(), 0, "round {round}");
            }
        }
        let (mut client, slot) = world.connect();
        client.write_all(b"hello").unwrap();
        let heard = world.await_event(|event| match event {
            WireEvent::Received { slot, bytes } => Some((*slot, bytes.to_vec())),
            _ => None,
        });
        assert_eq!(heard, (slot, b"hello".to_vec()));
    });
}

#[test]
fn a_close_takes_back_what_waits_to_be_sent_and_gives_its_memory_free() {
    on_a_core(|| {
        let mut world = World::new();
        let much = Bytes::from(vec![b'x'; MUCH]);
        for _ in 0..3 {
            let (mut client, slot) = world.connect();
            world.wire.send(slot, much.clone()).unwrap();
            world.wire.flush();
            assert!(world.wire.is_backlogged(slot) && world.wire.backlog_bytes() > 0);
            world.wire.close(slot);
            assert_eq!((world.wire.backlog_bytes(), world.wire.open_connections()), (0, 0));
            // The kernel has let go of the data before the client has read anything.
            world.turn_until(|world| world.wire.orphans.is_empty());
            assert!(much.is_unique());
            let mut got = Vec::new();
            let ended = client.read_to_end(&mut got);
            assert!(got.len() < MUCH && ended.is_ok(), "{} bytes, {ended:?}", got.len());
        }
    });
}

#[test]
fn what_a_client_takes_is_known_while_it_is_behind() {
    on_a_core(|| {
        let mut world = World::new();
        let (mut client, slot) = world.connect();
        world.wire.send(slot, vec![b'x'; MUCH].into()).unwrap();
        world.wire.flush();
        assert_eq!(look(&mut world), (slot, Taken::Unknown));
        // The client's kernel still takes bytes until its buffers are full.
        world.turn_until(|world| look(world) == (slot, Taken::Bytes(0)));
        client.set_nonblocking(true).unwrap();
        let (mut part, mut read, mut taken) = (vec![0; MUCH / 2], 0, 0);
        world.turn_until(|world| {
            read += client.read(&mut part[read..]).unwrap_or(0);
            let (_, Taken::Bytes(bytes)) = look(world) else { panic!("the kernel cannot tell") };
            taken += bytes as usize;
            read == MUCH / 2 && bytes == 0
        });
        // The bytes that the client reads make room for as many, except what its kernel holds back.
        assert!((MUCH / 4..MUCH).contains(&taken), "{taken} bytes of {read}");
        world.turn_until(|world| {
            let _ = client.read(&mut part);
            !world.wire.is_backlogged(slot)
        });
        world.wire.begin_to_measure();
        assert!(!world.wire.measure_some());
        world.turn_until(|_| true);
        assert!(!world.events.iter().any(|event| matches!(event, WireEvent::Took { .. })));
    });
}

#[test]
fn a_reset_reaches_a_client_that_is_behind_at_once() {
    on_a_core(|| {
        let mut world = World::new();
        let (mut client, slot) = world.connect();
        world.wire.send(slot, vec![b'x'; MUCH].into()).unwrap();
        world.wire.flush();
        world.wire.reset(slot);
        world.wire.close(slot);
        world.turn_until(|world| world.wire.orphans.is_empty());
        let ended = client.read_to_end(&mut Vec::new());
        assert_eq!(ended.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
    });
}

/// The bytes that the only client with a backlog has taken since the last measurement.
fn look(world: &mut World) -> (Slot, Taken) {
    world.wire.begin_to_measure();
    assert!(!world.wire.measure_some());
    world.await_event(|event| match event {
        WireEvent::Took { slot, taken } => Some((*slot, *taken)),
        _ => None,
    })
}

#[test]
fn a_poll_reports_all_that_has_come_or_knows_from_whom_it_lacks_it() {
    const MANY: usize = 150;
    const PIECE: usize = 32 * 1024;
    on_a_core(|| {
        let mut world = World::with(MANY);
        let mut clients: Vec<_> = (0..MANY).map(|_| world.connect()).collect();
        clients.iter_mut().for_each(|(client, _)| say(client, b"x"));
        let mut events = VecDeque::new();
        world.wire.poll_all(&mut events).unwrap();
        assert_eq!(heard_from(&events).len(), MANY);
        assert!(clients.iter().all(|(_, slot)| world.wire.is_read(*slot)));
        events.clear();
        // More bytes than there are buffers, and no buffer is given back.
        clients.iter_mut().for_each(|(client, _)| say(client, &[b'y'; PIECE]));
        world.wire.poll_all(&mut events).unwrap();
        let unread: FxHashSet<Slot> =
            clients.iter().map(|(_, slot)| *slot).filter(|slot| !world.wire.is_read(*slot)).collect();
        let all: FxHashSet<Slot> = heard_from(&events).union(&unread).copied().collect();
        assert!(all.len() == MANY && !unread.is_empty(), "{} of {MANY}, {} unread", all.len(), unread.len());
        assert!(unread.len() < MANY, "clients that were read completely are known");
        let mut bytes = 0;
        let count = |events: &mut VecDeque<WireEvent>| -> usize {
            events
                .drain(..)
                .map(|event| if let WireEvent::Received { bytes, .. } = event { bytes.len() } else { 0 })
                .sum()
        };
        bytes += count(&mut events);
        world.turn_until(|world| {
            bytes += count(&mut world.events);
            bytes == MANY * PIECE
        });
        world.wire.poll_all(&mut events).unwrap();
        assert!(clients.iter().all(|(_, slot)| world.wire.is_read(*slot)));
    });
}

/// Sends `bytes`, and returns when the kernel of the other side has them.
fn say(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut under_way: libc::c_int = 1;
    while under_way > 0 {
        // SAFETY: the descriptor is open, and the place is valid.
        assert_eq!(unsafe { libc::ioctl(client.as_raw_fd(), libc::TIOCOUTQ, &mut under_way) }, 0);
        assert!(Instant::now() < deadline, "{under_way} bytes are in transit");
    }
}

fn heard_from(events: &VecDeque<WireEvent>) -> FxHashSet<Slot> {
    let received =
        |event: &WireEvent| if let WireEvent::Received { slot, .. } = event { Some(*slot) } else { None };
    events.iter().filter_map(received).collect()
}
