//! A wire that becomes quiet and goes on, and connections that move from one wire to another, with real sockets.

use super::*;
use crate::runtime::block_on;
use crate::wire::{
    AddressLimits, DatagramSocket, Doorbell, Ledger, Preface, WireEvent, WireLimits, bind, bind_udp,
    bind_unix,
};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More bytes than the kernel takes for a client that does not read.
const MUCH: usize = 16 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

/// The wire of one process.
struct Process {
    wire: Wire,
    ledger: Arc<Ledger>,
    events: VecDeque<WireEvent>,
    _doorbell: Doorbell,
}

impl Process {
    fn new(slots: u32, listeners: Vec<(TcpListener, Preface)>, local: Vec<UnixListener>) -> Process {
        let doorbell = Doorbell::new().unwrap();
        let limits = WireLimits {
            connections: slots,
            reserved: 0,
            backlog_bytes: 2 * MUCH,
            backlog_bytes_total: 8 * MUCH,
        };
        let ledger = Arc::new(Ledger::new(Instant::now()));
        let local = local.into_iter().map(|listener| (listener, Preface::default())).collect();
        let mut wire = Wire::new(listeners, local, limits, ledger.clone(), &doorbell).unwrap();
        wire.set_address_limits(AddressLimits { connections: 1, ..AddressLimits::default() });
        Process { wire, ledger, events: VecDeque::new(), _doorbell: doorbell }
    }

    /// A process that takes over from another one, and is quiet.
    fn successor(slots: u32) -> Process {
        let mut process = Process::new(slots, Vec::new(), Vec::new());
        process.wire.quiesce();
        assert!(process.wire.is_quiet());
        process
    }

    fn turn(&mut self) {
        self.wire.poll(&mut self.events).unwrap();
    }

    fn turn_until(&mut self, mut is_reached: impl FnMut(&mut Process) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_reached(self) {
            assert!(Instant::now() < deadline, "the expected state is not reached in time");
            self.turn();
            std::thread::yield_now();
        }
    }

    fn become_quiet(&mut self) {
        self.wire.quiesce();
        self.turn_until(|process| process.wire.is_quiet());
    }

    fn accept(&mut self) -> Slot {
        let mut accepted = None;
        self.turn_until(|process| {
            let slot = |event: WireEvent| match event {
                WireEvent::Accepted { slot, .. } | WireEvent::AcceptedLocal { slot, .. } => Some(slot),
                _ => None,
            };
            accepted = std::iter::from_fn(|| process.events.pop_front()).find_map(slot);
            accepted.is_some()
        });
        accepted.unwrap()
    }

    /// Turns until `count` bytes of `slot` were received, and returns them. No connection may fail or end.
    fn hear(&mut self, slot: Slot, count: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        self.turn_until(|process| {
            for event in process.events.drain(..) {
                match event {
                    WireEvent::Received { slot: of, bytes } if of == slot => heard.extend_from_slice(&bytes),
                    WireEvent::Failed { .. } | WireEvent::Ended { .. } => panic!("a connection is over"),
                    _ => {}
                }
            }
            heard.len() >= count
        });
        heard
    }

    /// Moves `slots` to `other`, as two processes do; the clients have no limits there but those of their address.
    fn hand_over(&mut self, slots: &[Slot], other: &mut Process) -> Vec<Slot> {
        self.become_quiet();
        let sockets = self.wire.install(slots).unwrap();
        let packed: Vec<_> = slots.iter().map(|slot| self.wire.pack(*slot)).collect();
        let adopted = other.wire.adopt(sockets, &[]).unwrap();
        for (slot, state) in adopted.iter().zip(packed) {
            other.wire.unpack(*slot, state, Some(Ipv4Addr::LOCALHOST.into()));
        }
        adopted
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1).unwrap().pop().unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A process with a port for any number of clients from one address, and this port's address.
fn serving(slots: u32) -> (Process, SocketAddr) {
    let (listener, address) = listen();
    let mut process = Process::new(slots, vec![(listener, Preface::default())], Vec::new());
    process.wire.set_address_limits(AddressLimits { connections: slots, ..AddressLimits::default() });
    (process, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// Bytes whose order can be checked.
fn numbered(count: usize) -> Vec<u8> {
    (0..count as u32 / 4).flat_map(u32::to_be_bytes).collect()
}

fn read_exactly(client: &mut impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn connections_keep_their_places_where_these_are_free() {
    block_on(async {
        let (mut old, address) = serving(8);
        let clients: Vec<TcpStream> = (0..4).map(|_| connect(address)).collect();
        let slots: Vec<Slot> = clients.iter().map(|_| old.accept()).collect();
        old.become_quiet();
        let place = |slot: &Slot| Place { slot: Slot(slot.0 + 2), generation: 7 + slot.0 };
        let wanted: Vec<Place> = slots.iter().map(place).collect();
        let mut new = Process::successor(16);
        let kept = new.wire.adopt(old.wire.install(&slots).unwrap(), &wanted).unwrap();
        let generations: Vec<u32> = kept.iter().map(|slot| new.wire.generation(*slot)).collect();
        assert_eq!(kept, wanted.iter().map(|place| place.slot).collect::<Vec<_>>());
        assert_eq!(generations, wanted.iter().map(|place| place.generation).collect::<Vec<_>>());
        let again = new.wire.adopt(old.wire.install(&slots).unwrap(), &wanted).unwrap();
        assert!(again.len() == 4 && again.iter().all(|slot| !kept.contains(slot)));
        let mut small = Process::successor(4);
        let fitted = small.wire.adopt(old.wire.install(&slots).unwrap(), &wanted).unwrap();
        assert!(fitted.len() == 4 && fitted.iter().all(|slot| slot.0 < 4));
    });
}

#[test]
fn a_quiet_wire_takes_nothing_from_anybody_until_it_goes_on() {
    block_on(async {
        let (mut old, address) = serving(8);
        let mut client = connect(address);
        let slot = old.accept();
        old.become_quiet();
        client.write_all(b"late").unwrap();
        let _second = connect(address);
        (0..100).for_each(|_| old.turn());
        assert!(old.events.is_empty() && old.wire.is_quiet());
        old.wire.resume_all();
        let mut heard = Vec::new();
        let mut accepted = 0;
        old.turn_until(|process| {
            for event in process.events.drain(..) {
                match event {
                    WireEvent::Received { slot: of, bytes } if of == slot => heard.extend_from_slice(&bytes),
                    WireEvent::Accepted { .. } => accepted += 1,
                    _ => panic!("an event that nobody caused"),
                }
            }
            (heard.as_slice(), accepted) == (b"late", 1)
        });
    });
}

#[test]
fn a_wire_that_is_quiet_from_the_start_accepts_nobody_before_it_goes_on() {
    block_on(async {
        let (mut new, address) = serving(8);
        new.wire.quiesce();
        let mut client = connect(address);
        client.write_all(b"hello").unwrap();
        (0..100).for_each(|_| new.turn());
        assert!(new.events.is_empty() && new.wire.is_quiet() && new.wire.open_connections() == 0);
        new.wire.resume_all();
        let slot = new.accept();
        assert_eq!(new.hear(slot, 5), b"hello");
    });
}

#[test]
fn a_stream_of_bytes_is_whole_however_often_the_wire_stops_and_goes_on() {
    block_on(async {
        let (mut old, address) = serving(8);
        let sent = numbered(MUCH);
        let mut client = connect(address);
        let slot = old.accept();
        let whole = sent.clone();
        let writer = std::thread::spawn(move || client.write_all(&whole).map(|()| client));
        let (mut heard, mut rounds) = (Vec::new(), 0);
        while heard.len() < sent.len() {
            rounds += 1;
            old.wire.quiesce();
            // Every other time it goes on before it was quiet.
            if rounds % 2 == 0 {
                old.turn_until(|process| process.wire.is_quiet() || !process.events.is_empty());
            }
            old.wire.resume_all();
            heard.extend(old.hear(slot, 1));
        }
        assert!(heard == sent && rounds > 10, "{rounds} rounds");
        drop(writer.join().unwrap().unwrap());
    });
}

#[test]
fn a_slow_client_gets_all_bytes_in_order_though_its_sends_are_cancelled() {
    block_on(async {
        let (mut old, address) = serving(8);
        let mut client = connect(address);
        let slot = old.accept();
        let sent = numbered(MUCH);
        old.wire.send(slot, sent.clone().into()).unwrap();
        let mut got = Vec::new();
        while got.len() < sent.len() {
            old.become_quiet();
            let part = (sent.len() - got.len()).min(300_000);
            // A quiet wire sends nothing, so only the first bytes are there.
            client.set_nonblocking(true).unwrap();
            let mut bytes = vec![0; part];
            let read = client.read(&mut bytes).unwrap_or(0);
            got.extend_from_slice(&bytes[..read]);
            old.wire.resume_all();
            old.turn();
            assert!(old.events.drain(..).all(|event| matches!(event, WireEvent::Drained { .. })));
        }
        assert!(got == sent);
        assert_eq!((old.wire.is_backlogged(slot), old.wire.backlog_bytes()), (false, 0));
    });
}

#[test]
fn a_connection_moves_with_everything_that_waits_for_its_client() {
    block_on(async {
        let (mut old, address) = serving(8);
        let mut client = connect(address);
        let slot = old.accept();
        let sent = numbered(MUCH);
        old.wire.send(slot, sent.clone().into()).unwrap();
        old.wire.flush();
        old.wire.cork(slot);
        old.wire.send(slot, b"behind the cork".as_slice().into()).unwrap();
        old.wire.pause(slot);
        client.write_all(b"unread").unwrap();
        let mut new = Process::successor(4);
        let [moved] = old.hand_over(&[slot], &mut new)[..] else { panic!("one connection") };
        assert_eq!((new.ledger.connections(), new.wire.open_connections()), (1, 1));
        assert_eq!(new.wire.backlog_bytes(), old.wire.backlog_bytes());
        old.wire.let_go(slot);
        assert_eq!((old.wire.open_connections(), old.wire.backlog_bytes()), (0, 0));
        old.turn();
        assert_eq!(old.ledger.connections(), 0);
        drop(old);
        new.wire.resume_all();
        assert!(new.wire.is_paused(moved) && new.wire.is_backlogged(moved));
        let reader = std::thread::spawn(move || (read_exactly(&mut client, MUCH), client));
        new.turn_until(|process| !process.wire.is_backlogged(moved));
        let drained = |event: WireEvent| matches!(event, WireEvent::Drained { slot } if slot == moved);
        assert!(new.events.drain(..).all(drained), "nothing is received while the slot is paused");
        new.wire.uncork(moved).unwrap();
        new.wire.flush();
        let (got, mut client) = reader.join().unwrap();
        assert!(got == sent);
        assert_eq!(read_exactly(&mut client, 15), b"behind the cork");
        new.wire.resume(moved);
        assert_eq!(new.hear(moved, 6), b"unread");
        new.wire.close(moved);
        new.turn();
        assert_eq!((client.read(&mut [0]).unwrap(), new.ledger.connections()), (0, 0));
    });
}

#[test]
fn many_connections_move_at_a_time_and_each_client_keeps_its_own() {
    const MANY: usize = 200;
    block_on(async {
        let (mut old, address) = serving(256);
        let mut clients: Vec<_> = (0..MANY).map(|_| (connect(address), old.accept())).collect();
        let slots: Vec<Slot> = clients.iter().map(|(_, slot)| *slot).collect();
        let mut new = Process::successor(MANY as u32);
        let moved = old.hand_over(&slots, &mut new);
        assert_eq!(new.ledger.connections(), MANY as u64, "beyond the limit of one for each address");
        slots.iter().for_each(|slot| old.wire.let_go(*slot));
        drop(old);
        new.wire.resume_all();
        for (number, ((client, _), slot)) in clients.iter_mut().zip(moved).enumerate() {
            let number = number.to_be_bytes();
            new.wire.send(slot, number.to_vec().into()).unwrap();
            new.wire.flush();
            assert_eq!(read_exactly(client, number.len()), number);
            client.write_all(&number).unwrap();
            assert_eq!(new.hear(slot, number.len()), number);
        }
    });
}

#[test]
fn the_old_process_goes_on_if_the_new_one_ends_before_it_serves() {
    block_on(async {
        let (mut old, address) = serving(8);
        let mut client = connect(address);
        let slot = old.accept();
        let sent = numbered(MUCH);
        old.wire.send(slot, sent.clone().into()).unwrap();
        let mut new = Process::successor(8);
        old.hand_over(&[slot], &mut new);
        drop(new);
        client.write_all(b"still here").unwrap();
        old.wire.resume_all();
        let reader = std::thread::spawn(move || read_exactly(&mut client, MUCH));
        assert_eq!(old.hear(slot, 10), b"still here");
        old.turn_until(|process| !process.wire.is_backlogged(slot));
        assert!(reader.join().unwrap() == sent);
    });
}

#[test]
fn clients_that_stay_are_served_on_while_no_others_are_accepted() {
    block_on(async {
        let (mut old, address) = serving(8);
        let mut client = connect(address);
        let slot = old.accept();
        old.become_quiet();
        old.wire.resume_clients();
        client.write_all(b"hello").unwrap();
        let _second = connect(address);
        assert_eq!(old.hear(slot, 5), b"hello");
        (0..100).for_each(|_| old.turn());
        assert!(old.events.is_empty() && old.wire.open_connections() == 1);
    });
}

#[test]
fn more_connections_than_slots_are_an_error_and_take_none() {
    block_on(async {
        let (mut old, address) = serving(8);
        let _clients: Vec<_> = (0..3).map(|_| connect(address)).collect();
        let slots: Vec<Slot> = (0..3).map(|_| old.accept()).collect();
        old.become_quiet();
        let sockets = old.wire.install(&slots).unwrap();
        let mut new = Process::successor(2);
        let error = new.wire.adopt(sockets, &[]).unwrap_err();
        assert!(matches!(error, MoveError::Slots { sockets: 3, free: 2 }), "{error}");
        let sockets = old.wire.install(&slots[1..]).unwrap();
        assert_eq!(new.wire.adopt(sockets, &[]).unwrap().len(), 2);
        assert!(matches!(old.wire.install(&[Slot(7)]), Err(MoveError::Install(_))), "nobody is there");
    });
}

#[test]
fn a_client_by_a_unix_socket_moves_and_the_next_one_waits_for_the_new_process() {
    block_on(async {
        let path = std::env::temp_dir().join(format!("gripwire-moving-{}", std::process::id()));
        let (listener, file) = bind_unix(&path, 0o600).unwrap();
        let same = listener.try_clone().unwrap();
        let mut old = Process::new(8, Vec::new(), vec![listener]);
        let (mut client, mut slot) = (UnixStream::connect(&path).unwrap(), old.accept());
        for _ in 0..3 {
            old.become_quiet();
            let next = UnixStream::connect(&path).unwrap();
            let mut new = Process::new(8, Vec::new(), vec![same.try_clone().unwrap()]);
            new.wire.quiesce();
            let [moved] = old.hand_over(&[slot], &mut new)[..] else { panic!("one connection") };
            old.wire.let_go(slot);
            old.turn();
            assert_eq!((old.wire.open_connections(), new.wire.open_connections()), (0, 1));
            new.wire.resume_all();
            let accepted = new.accept();
            client.write_all(b"hello").unwrap();
            assert_eq!(new.hear(moved, 5), b"hello");
            new.wire.close(moved);
            (old, client, slot) = (new, next, accepted);
        }
        file.disarm();
        assert!(path.exists());
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn connections_that_the_other_process_could_not_continue_do_not_move() {
    block_on(async {
        let ((plain, address), (proxied, behind_proxy)) = (listen(), listen());
        let preface = Preface { proxy_protocol: true, ..Preface::default() };
        let listeners = vec![(plain, Preface::default()), (proxied, preface)];
        let mut old = Process::new(8, listeners, Vec::new());
        old.wire.set_address_limits(AddressLimits::default());
        let (mut client, slot) = (connect(address), old.accept());
        let (_proxy, waiting) = (connect(behind_proxy), old.accept());
        let conversation = old.wire.open_virtual();
        assert!(old.wire.can_move(slot));
        assert!(!old.wire.can_move(waiting) && !old.wire.can_move(conversation.slot()));
        assert!(!old.wire.can_move(Slot(7)), "a free slot");
        old.wire.shutdown(slot);
        assert!(!old.wire.can_move(slot), "the kernel is shutting it down");
        old.become_quiet();
        assert!(old.wire.can_move(slot));
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn datagrams_are_reported_when_the_wire_goes_on() {
    block_on(async {
        let mut process = Process::new(2, Vec::new(), Vec::new());
        let bound = || bind_udp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1).unwrap().pop().unwrap();
        let sockets = [bound(), bound()];
        process.wire.watch_datagrams(0, &sockets[0]);
        process.become_quiet();
        process.wire.watch_datagrams(1, &sockets[1]);
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for socket in &sockets {
            let address = UdpSocket::from(socket.as_fd().try_clone_to_owned().unwrap()).local_addr().unwrap();
            sender.send_to(b"hi", address).unwrap();
        }
        (0..100).for_each(|_| process.turn());
        assert!(process.events.is_empty() && process.wire.is_quiet());
        process.wire.resume_all();
        let mut readable = Vec::new();
        process.turn_until(|process| {
            readable.extend(process.events.drain(..).map(|event| match event {
                WireEvent::Readable { socket } => socket,
                _ => panic!("an event that nobody caused"),
            }));
            readable.len() == 2
        });
        readable.sort_unstable();
        assert_eq!(readable, [0, 1]);
        let received = DatagramSocket::from_socket(sockets[0].as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!((received.is_local(), received.kernel_drops()), (false, 0));
    });
}
