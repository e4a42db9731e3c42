//! What other rooms may do with the bytes, the timer and the place of a client. Slots without a descriptor of their own are
//! written to by the same methods.

use super::Clients;
use crate::context::Owner;
use crate::ids::{RouteStatsId, Slot};
use crate::slack::Look;
use crate::wire::{Overflow, RefusedConnections, VirtualClient, WireEvent};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

/// Levels and counters of connections, for operators.
#[derive(Clone, Copy, Debug)]
pub struct Levels {
    /// Connections open now.
    pub open: u32,
    /// Virtual slots in use now.
    pub virtual_slots: usize,
    /// Unsent bytes of all of them.
    pub backlog_bytes: usize,
    /// Connections by TLS that failed, since start.
    pub tls_failures: u64,
    /// Connections that were refused, since start.
    pub refused: RefusedConnections,
}

/// What a client keeps, or has the kernel keep.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Bytes that are booked or queued.
    pub bytes: usize,
    /// Its application's answers wait in the kernel because it does not take them.
    pub stalls_answer: bool,
    /// What it sends waits in the kernel because its application does not take it.
    pub stalls_upload: bool,
}

impl Clients {
    /// Queues `data` for the client, to be sent with the next call to the kernel.
    ///
    /// # Errors
    /// When its backlog has no room for it.
    pub fn send(&self, slot: Slot, data: Bytes) -> Result<(), Overflow> {
        self.wire.borrow_mut().send(slot, data)
    }

    /// Sends `data` even while the client is corked: it is the continuation of what it was sent before.
    ///
    /// # Errors
    /// When its backlog has no room for it.
    pub fn send_now(&self, slot: Slot, data: Bytes) -> Result<(), Overflow> {
        self.wire.borrow_mut().send_now(slot, data)
    }

    /// Sends `frame` to all `slots` in as few calls as possible; those without room for it are added to `overflowed`.
    pub fn broadcast(&self, slots: &[Slot], frame: &Bytes, overflowed: &mut Vec<Slot>) {
        self.wire.borrow_mut().broadcast(slots, frame, overflowed);
    }

    /// Hands everything that is queued to the kernel.
    pub fn flush(&self) {
        self.wire.borrow_mut().flush();
    }

    /// What is sent to the client from now on waits until it is uncorked.
    pub fn cork(&self, slot: Slot) {
        self.wire.borrow_mut().cork(slot);
    }

    /// Sends what has waited since the client was corked.
    ///
    /// # Errors
    /// When its backlog has no room for it.
    pub fn uncork(&self, slot: Slot) -> Result<(), Overflow> {
        self.wire.borrow_mut().uncork(slot)
    }

    /// The client is not read from now on.
    pub fn pause(&self, slot: Slot) {
        self.wire.borrow_mut().pause(slot);
    }

    /// The client is read again.
    pub fn resume(&self, slot: Slot) {
        self.wire.borrow_mut().resume(slot);
    }

    /// Whether the client is not read.
    pub fn is_paused(&self, slot: Slot) -> bool {
        self.wire.borrow().is_paused(slot)
    }

    /// Whether the client has not taken everything that it was sent.
    pub fn is_backlogged(&self, slot: Slot) -> bool {
        self.wire.borrow().is_backlogged(slot)
    }

    /// Sets the one timer of a client to `delay_ms` from now.
    pub fn set_timer(&self, slot: Slot, delay_ms: u64) {
        self.set_timer_at(slot, self.context.now().wrapping_add(crate::context::ticks(delay_ms)));
    }

    /// Sets the one timer of a client to the tick `due`.
    pub fn set_timer_at(&self, slot: Slot, due: u32) {
        self.timers.borrow_mut().set(slot, due);
    }

    /// The client has no timer.
    pub fn cancel_timer(&self, slot: Slot) {
        self.timers.borrow_mut().cancel(slot);
    }

    /// Takes out up to `limit` clients whose timer has fired by the tick `until`, and whether there are more. A client
    /// of which something is still to be read has its timer set to the next tick instead.
    pub fn take_due(&self, until: u32, limit: usize, due: &mut Vec<Slot>) -> bool {
        let has_more = self.timers.borrow_mut().advance(until, limit, due);
        due.retain(|slot| {
            let is_read = self.wire.borrow().is_read(*slot);
            if !is_read {
                self.set_timer(*slot, crate::context::TICK_MS);
            }
            is_read
        });
        has_more
    }

    /// Where what is sent to the client is counted.
    pub fn route_stats(&self, slot: Slot) -> RouteStatsId {
        self.rows.borrow_mut().get(slot).map_or(RouteStatsId::NONE, |row| row.route_stats)
    }

    /// The client's address, if it has one.
    pub fn peer(&self, slot: Slot) -> Option<SocketAddr> {
        self.rows.borrow_mut().get(slot).and_then(|row| row.peer())
    }

    /// The owner of the bytes that are kept for the client in `slot`.
    pub fn owner(&self, slot: Slot) -> Rc<Owner> {
        let mut rows = self.rows.borrow_mut();
        let row = rows.get(slot);
        row.map_or_else(|| self.context.accounts.nobody(), |row| row.owner(slot, &self.context.accounts))
    }

    /// Takes what has happened on the wire; all of it, or what there is room for in one turn.
    ///
    /// # Errors
    /// When the ring fails.
    pub fn poll(&self, events: &mut VecDeque<WireEvent>, all: bool) -> io::Result<()> {
        let mut wire = self.wire.borrow_mut();
        if all { wire.poll_all(events) } else { wire.poll(events) }
    }

    /// Whether there is something to be done on the wire without anything happening.
    pub fn has_work(&self) -> bool {
        self.wire.borrow().has_work()
    }

    /// Has the wire ring for what happens, or not.
    pub fn silence_doorbell(&self, silent: bool) {
        self.wire.borrow_mut().silence_doorbell(silent);
    }

    /// The time of the wire's clock is `now`.
    pub fn set_now(&self, now: Instant) {
        self.wire.borrow_mut().set_now(now);
    }

    /// Why clients wait to be accepted, if they do, since this was last asked.
    pub fn take_refusal(&self) -> Option<io::Error> {
        self.wire.borrow_mut().take_refusal()
    }

    /// Unsent bytes that one client, and all together, may have waiting from now on.
    pub fn set_backlog_limits(&self, of_one: usize, of_all: usize) {
        self.wire.borrow_mut().set_backlog_limits(of_one, of_all);
    }

    /// Has the kernel say when datagrams arrive on `socket`, which is number `number`.
    pub fn watch_datagrams(&self, number: u32, socket: &crate::wire::DatagramSocket) {
        self.wire.borrow_mut().watch_datagrams(number, socket);
    }

    /// A connection whose client is this server itself.
    pub fn open_virtual(&self) -> VirtualClient {
        self.wire.borrow_mut().open_virtual()
    }

    /// What was sent to `client` next; ready with `None` when its slot is closed.
    pub fn take_sent(&self, client: &VirtualClient) -> Poll<Option<Bytes>> {
        self.wire.borrow_mut().take_sent(client)
    }

    /// Lets `client` say `bytes`, when there is room for them.
    pub fn take_said(&self, client: &VirtualClient, bytes: &[u8]) -> Poll<io::Result<()>> {
        self.wire.borrow_mut().take_said(client, bytes)
    }

    /// `client` is gone.
    pub fn hang_up(&self, client: &VirtualClient) {
        self.wire.borrow_mut().hang_up(client);
    }

    /// Levels and counters of connections.
    pub fn levels(&self) -> Levels {
        let wire = self.wire.borrow();
        Levels {
            open: wire.open_connections(),
            virtual_slots: wire.virtual_slots(),
            backlog_bytes: wire.backlog_bytes(),
            tls_failures: wire.tls_failures(),
            refused: wire.refused_connections(),
        }
    }

    /// Bytes that the wire keeps for all clients.
    pub fn queued_bytes(&self) -> usize {
        self.wire.borrow().kept_bytes()
    }

    /// How many clients have the kernel keep answers of applications, and how many what they send to one.
    pub fn stalled(&self) -> (usize, usize) {
        let (wire, mut rows) = (self.wire.borrow(), self.rows.borrow_mut());
        let mut has_application = |slot: &Slot| rows.get(*slot).is_some_and(|row| row.has_application());
        let answers = wire.behind().filter(&mut has_application).count();
        (answers, wire.unread_clients().filter(&mut has_application).count())
    }

    /// The clients of applications that weigh at least `least` by `weigh`, which calls nothing of a room.
    pub fn heavy(&self, least: usize, weigh: impl Fn(Kept) -> usize) -> Vec<(usize, Slot)> {
        let (rows, wire) = (self.rows.borrow(), self.wire.borrow());
        let clients = rows.some(0, rows.places()).filter(|(_, row)| row.service.is_for_clients());
        let weighed = clients.map(|(slot, row)| {
            let has_application = row.has_application();
            let kept = Kept {
                bytes: self.context.accounts.client_bytes(slot) + wire.kept_for(slot),
                stalls_answer: has_application && wire.is_behind(slot),
                stalls_upload: has_application && wire.is_paused(slot),
            };
            (weigh(kept), slot)
        });
        weighed.filter(|(weight, _)| *weight >= least).collect()
    }

    /// Forgets all clients, as the core ends: what holds them has this table at hand.
    pub fn forget_all(&self) {
        let rows = self.rows.take();
        drop(rows);
    }

    /// Shows the tables of clients to `look`, which shrinks tables that have been nearly empty for a while.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        self.rows.borrow_mut().look_at_tables(look);
        self.timers.borrow_mut().look_at_tables(look);
        self.takings.borrow_mut().look_at_tables(look);
        self.wire.borrow_mut().look_at_tables(look);
        look.at(&mut *self.pipelined.borrow_mut());
    }

    /// Requests that are being answered or held, and WebSockets, now.
    pub fn engaged(&self) -> u64 {
        self.engaged.get()
    }
}
