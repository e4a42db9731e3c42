//! How clients and operators share the slots, with real sockets.

use super::*;
use crate::runtime::block_on;
use crate::wire::{Doorbell, Ledger, WireLimits, bind};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SLOTS: u32 = 40;
const RESERVED: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(20);

/// A wire with one listener for clients and one for operators.
struct World {
    wire: Wire,
    clients: SocketAddr,
    operators: SocketAddr,
    /// Open connections, by listener.
    open: [Vec<Slot>; 2],
    _doorbell: Doorbell,
}

impl World {
    fn new() -> World {
        let doorbell = Doorbell::new().unwrap();
        let listen = || bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1).unwrap().pop().unwrap();
        let listeners: Vec<_> = [PortUse::Clients, PortUse::Operators]
            .map(|port_use| (listen(), Preface { port_use, ..Preface::default() }))
            .into();
        let address = |index: usize| listeners[index].0.local_addr().unwrap();
        let (clients, operators) = (address(0), address(1));
        let limits = WireLimits {
            connections: SLOTS,
            reserved: RESERVED,
            backlog_bytes: 1000,
            backlog_bytes_total: 1000,
        };
        let ledger = Arc::new(Ledger::new(Instant::now()));
        let wire = Wire::new(listeners, Vec::new(), limits, ledger, &doorbell).unwrap();
        World { wire, clients, operators, open: [Vec::new(), Vec::new()], _doorbell: doorbell }
    }

    fn turn(&mut self) {
        let mut events = VecDeque::new();
        self.wire.poll(&mut events).unwrap();
        for event in events {
            if let WireEvent::Accepted { slot, listener, .. } = event {
                self.open[listener].push(slot);
            }
        }
    }

    /// Turns until this many clients and operators are connected, and then some more turns in which nothing may
    /// change.
    fn turn_until(&mut self, clients: usize, operators: usize) {
        let deadline = Instant::now() + PATIENCE;
        let open = |world: &World| world.open.each_ref().map(Vec::len);
        while open(self) != [clients, operators] {
            assert!(Instant::now() < deadline, "{:?} are open", open(self));
            self.turn();
            std::thread::yield_now();
        }
        (0..100).for_each(|_| self.turn());
        assert_eq!(open(self), [clients, operators], "no further connection is accepted");
    }

    fn close_all(&mut self, index: usize) {
        let open = std::mem::take(&mut self.open[index]);
        open.into_iter().for_each(|slot| self.wire.close(slot));
    }
}

fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(address).unwrap()).collect()
}

#[test]
fn clients_leave_the_reserved_slots_to_operators_who_leave_half_to_clients() {
    block_on(async {
        let (most_clients, most_operators) = ((SLOTS - RESERVED) as usize, SLOTS as usize / 2);
        let mut world = World::new();
        assert_eq!(world.wire.client_slots(), most_clients);
        let flood = connect(world.clients, 100);
        world.turn_until(most_clients, 0);
        let operators = connect(world.operators, 100);
        world.turn_until(most_clients, RESERVED as usize);
        // Clients that leave make room for operators first, until these have half.
        drop(flood);
        world.close_all(0);
        let clients = connect(world.clients, 100);
        let deadline = Instant::now() + PATIENCE;
        while world.open[1].len() < most_operators {
            assert!(Instant::now() < deadline, "{} operators", world.open[1].len());
            world.turn();
            // Clients of the first flood are still in the kernel's queue.
            world.close_all(0);
        }
        (0..100).for_each(|_| world.turn());
        assert_eq!(world.open[1].len(), most_operators);
        drop(operators);
        world.close_all(1);
        world.close_all(0);
        drop(clients);
        assert_eq!(world.wire.open_connections(), 0);
        assert_eq!(world.wire.admission.operators(), 0);
    });
}
