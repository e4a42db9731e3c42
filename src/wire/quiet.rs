//! How a wire becomes quiet, and goes on. A quiet wire has no operation of an open connection or of a listener in the
//! kernel, so nothing of a connection is known to the kernel only, and another process can take it over (`moving`).
//! Sockets are untouched: bytes of clients, and clients that connect, wait in the kernel.
//!
//! Operations are cancelled by their tokens, because any other way searches all operations of the ring for each
//! cancellation. Those armed last are cancelled first: the kernel finds the youngest operation of a bucket at once, and
//! clients mostly arm in the order of their slots. Each operation ends with a completion, which is handled like any other: its bytes or its client are
//! reported. After that it is not armed again.
//!
//! These may still be in the kernel when the wire is quiet: what is left of connections that were closed, which is
//! identified by their old generation, and the watches of datagram sockets, which read nothing. Virtual slots need no
//! kernel, and go on.

use super::datagrams::DatagramSocket;
use super::events::{Wire, WireEvent};
use super::operation::Operation;
use super::slots::flag;
use super::token::{Kind, Token};
use crate::ids::Slot;

impl Wire {
    /// Stops. Nothing is armed from now on: no accept, receive, waiting send, measurement or watch. Those in flight are
    /// cancelled. What completes meanwhile is reported as always by [`Wire::poll`], until [`Wire::is_quiet`].
    ///
    /// Data can still be sent; what a socket does not take at once stays in the backlog. A wire that is made quiet
    /// before its first [`Wire::poll`] has armed nothing before, and accepts no client until [`Wire::resume_all`].
    pub fn quiesce(&mut self) {
        self.flush();
        self.stillness.clients = true;
        self.stillness.listeners = true;
        self.cancel_accepts();
        self.cancel_knocks();
        let receiving: Vec<Slot> = self.slots.with(flag::OPEN | flag::RECEIVING).collect();
        receiving.into_iter().rev().for_each(|slot| self.cancel(Kind::Receive, slot));
        let sending = self.slots.backlogs.iter().filter(|(_, backlog)| backlog.is_in_flight);
        let sending: Vec<Slot> = sending.map(|(slot, _)| *slot).collect();
        sending.into_iter().for_each(|slot| self.cancel(Kind::Drain, slot));
        self.submit();
    }

    /// Whether the wire is quiet: everything that was cancelled has ended, nothing waits for the kernel, and the events
    /// of all completions have been taken with [`Wire::poll`].
    pub fn is_quiet(&self) -> bool {
        let has_queues = !self.completions.is_empty() || !self.events.is_empty() || !self.queued.is_empty();
        self.stillness.clients && self.stillness.listeners && !has_queues && !self.has_operations()
    }

    /// Goes on after [`Wire::quiesce`], whether the wire was quiet already or not: arms receives, waiting sends, accepts
    /// and watches. Datagram sockets that became readable meanwhile are reported.
    pub fn resume_all(&mut self) {
        self.stillness.listeners = false;
        let readable = std::mem::take(&mut self.stillness.readable);
        self.events.extend(readable.into_iter().map(|socket| WireEvent::Readable { socket }));
        for (number, descriptor) in std::mem::take(&mut self.stillness.unwatched) {
            self.watch(Kind::Readable, number, descriptor);
        }
        self.resume_clients();
        self.arm_accepts();
        self.submit();
    }

    /// Goes on with the clients that are left, and takes no others: listeners and datagram sockets belong to another
    /// process now.
    pub fn resume_clients(&mut self) {
        self.stillness.clients = false;
        let open: Vec<Slot> = self.slots.with(flag::OPEN).collect();
        open.into_iter().for_each(|slot| self.arm(slot));
        self.submit();
    }

    /// Arms the receive and the waiting send of an open slot, unless the wire is quiet. An operation whose
    /// cancellation is still under way is armed by its completion.
    pub(super) fn arm(&mut self, slot: Slot) {
        if !self.slots.has_any(slot, flag::RECEIVING | flag::PAUSED) {
            self.arm_receive(slot);
        }
        if self.slots.backlogs.get(&slot).is_some_and(|backlog| !backlog.is_in_flight) {
            self.drain(slot);
        }
    }

    /// Reports once, with [`WireEvent::Readable`] and `number`, that `socket` has datagrams; while the wire is quiet,
    /// not before it goes on.
    pub fn watch_datagrams(&mut self, number: u32, socket: &DatagramSocket) {
        match self.stillness.listeners {
            true => self.stillness.unwatched.push((number, socket.descriptor())),
            false => self.watch(Kind::Readable, number, socket.descriptor()),
        }
    }

    /// Datagram socket `number`, which was watched, has become readable.
    pub(super) fn readable(&mut self, number: u32) {
        match self.stillness.listeners {
            true => self.stillness.readable.push(number),
            false => self.events.push_back(WireEvent::Readable { socket: number }),
        }
    }

    /// Cancels the watches of the Unix listeners, and those that rest.
    fn cancel_knocks(&mut self) {
        let listeners = self.local.listeners.iter().enumerate();
        let watched: Vec<usize> =
            listeners.filter(|(_, listener)| listener.is_watched).map(|(index, _)| index).collect();
        for index in watched {
            self.cancel_token(Token { kind: Kind::Knock, generation: 0, slot: Slot(index as u32) });
        }
    }

    /// Cancels the operation with `token`.
    pub(super) fn cancel_token(&mut self, token: Token) {
        let cancel = Operation::Cancel { token: token.pack() };
        // SAFETY: a cancellation points to nothing.
        unsafe { self.push(cancel, Token { kind: Kind::Cancel, ..token }.pack()) };
    }

    /// Whether an operation of an open connection or of a listener is in the kernel.
    fn has_operations(&self) -> bool {
        let is_in_flight = |flag| self.slots.with(flag::OPEN | flag).next().is_some();
        self.listeners.all.iter().any(|(listener, _)| listener.in_flight() > 0)
            || self.local.moving() > 0
            || self.local.listeners.iter().any(|listener| listener.is_watched)
            || self.progress.asked > 0
            || self.slots.backlogs.values().any(|backlog| backlog.is_in_flight)
            || is_in_flight(flag::RECEIVING)
            || is_in_flight(flag::SHUTTING)
    }
}
