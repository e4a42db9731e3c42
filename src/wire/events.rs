//! [`Wire`]: the ring, its listeners, buffers and slots, and the turning of completions into events for the core. The core
//! owns the decision; the wire only reports. Every event about a connection is made while that is open; after `close` no
//! event for it is made any more, but one already queued may still be seen by the core.

use super::WireLimits;
use super::admission::{Admission, PortUse};
use super::buffers::{Buffers, Received};
use super::datagrams::DatagramSocket;
use super::doorbell::Doorbell;
use super::ledger::Ledger;
use super::listeners::Listeners;
use super::local_clients::LocalClients;
use super::operation::{Completion, Operation};
use super::progress::{Progress, Taken};
use super::proxied::{Preface, Proxied};
use super::ring::Ring;
use super::secure::Secure;
use super::slots::{Slots, flag};
use super::socket_file::Credentials;
use super::token::{Kind, Token};
use super::virtual_slots::VirtualSlots;
use crate::ids::Slot;
use crate::proto::proxy_protocol::Source;
use crate::slack::Look;
use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::Arc;

/// What happened to a client connection, or to a datagram socket.
pub enum WireEvent {
    /// A client connected through listener `listener` (by the order given at start).
    Accepted {
        /// Its slot, from now until `close`.
        slot: Slot,
        /// Which listener.
        listener: usize,
        /// The client's address.
        peer: SocketAddr,
        /// That is a proxy, if it is one: whom it has relayed comes before anything else.
        is_proxied: bool,
    },
    /// A proxy has said whose connection it relays.
    Proxied {
        /// Its slot.
        slot: Slot,
        /// Whose.
        source: Source,
    },
    /// A client of this machine connected.
    AcceptedLocal {
        /// Its slot, from now until `close`.
        slot: Slot,
        /// Which of the listeners of this machine.
        listener: usize,
        /// Whose process it is.
        peer: Credentials,
    },
    /// Datagrams have arrived at a socket that was watched.
    Readable {
        /// The number it was watched by.
        socket: u32,
    },
    /// Bytes arrived.
    Received {
        /// From whom.
        slot: Slot,
        /// The bytes, in a borrowed receive buffer.
        bytes: Received,
    },
    /// The client will send nothing more.
    Ended {
        /// Which client.
        slot: Slot,
    },
    /// The connection broke.
    Failed {
        /// Which client.
        slot: Slot,
    },
    /// A client that is behind was looked at.
    Took {
        /// Which client.
        slot: Slot,
        /// What it took since the last look.
        taken: Taken,
    },
    /// The client has taken all that was waiting for it.
    Drained {
        /// Which client.
        slot: Slot,
    },
}

/// All client sockets of one core.
pub struct Wire {
    // First, so that the kernel has let go of everything below when that is dropped.
    pub(super) ring: Ring,
    pub(super) limits: WireLimits,
    pub(super) slots: Slots,
    pub(super) queued: Vec<(Slot, Bytes)>,
    /// What waiting sends of closed connections still point to, by token.
    pub(super) orphans: FxHashMap<u64, Bytes>,
    /// Clients that were paused, whose receives take one buffer at a time.
    pub(super) metered: FxHashSet<Slot>,
    /// Shutdowns in flight of connections that are closed meanwhile, by token.
    late_closes: FxHashSet<u64>,
    pub(super) completions: Vec<Completion>,
    /// Not all that had come was gathered by the last `poll`.
    is_behind: bool,
    /// Clients that sent something for which there was no buffer, since the last `poll_all` began.
    starved: FxHashSet<Slot>,
    /// Of whom the last `poll_all` did not report everything; `None` if nobody knows.
    unread: Option<FxHashSet<Slot>>,
    pub(super) events: VecDeque<WireEvent>,
    buffers: Rc<Buffers>,
    pub(super) listeners: Listeners,
    pub(super) admission: Admission,
    pub(super) progress: Progress,
    pub(super) proxied: Proxied,
    pub(super) secure: Secure,
    pub(super) local: LocalClients,
    pub(super) virtual_slots: VirtualSlots,
    pub(super) open: u32,
    /// Connections of which no bytes are taken for now.
    pub(super) paused: usize,
    broken: Option<io::Error>,
}

impl Wire {
    /// Sets up the ring and starts accepting on `listeners`, by TLS where there is something to offer, and on `local` those
    /// of this machine. Connections are counted in `ledger`, which all cores share. Must run on the core's own thread.
    pub fn new(
        listeners: Vec<(TcpListener, Preface)>,
        local: Vec<(UnixListener, PortUse)>,
        limits: WireLimits,
        ledger: Arc<Ledger>,
        doorbell: &Doorbell,
    ) -> io::Result<Wire> {
        let mut ring = Ring::new(limits.connections)?;
        ring.register_doorbell(doorbell)?;
        let buffers = Buffers::register(&mut ring)?;
        let mut wire = Wire {
            ring,
            limits,
            slots: Slots::new(limits.connections),
            queued: Vec::new(),
            orphans: FxHashMap::default(),
            metered: FxHashSet::default(),
            late_closes: FxHashSet::default(),
            completions: Vec::new(),
            is_behind: false,
            starved: FxHashSet::default(),
            unread: None,
            events: VecDeque::new(),
            buffers,
            listeners: Listeners::new(listeners, &local, &limits),
            admission: Admission::new(limits.connections, ledger),
            progress: Progress::default(),
            proxied: Proxied::default(),
            secure: Secure::default(),
            local: LocalClients::new(local),
            virtual_slots: VirtualSlots::default(),
            open: 0,
            paused: 0,
            broken: None,
        };
        wire.arm_accepts();
        Ok(wire)
    }

    /// Submits what is queued, looks at what completed, and appends what happened to `events`. The kernel posts some twenty
    /// completions at a time, so there may be more.
    pub fn poll(&mut self, events: &mut VecDeque<WireEvent>) -> io::Result<()> {
        self.flush();
        self.arm_accepts();
        self.gather(0)?;
        self.report(events)
    }

    /// As [`Wire::poll`], but of everything that had come before this call, so that deadlines can be judged;
    /// [`Wire::is_read`] says of whom it could not. It takes more memory at a time, as clients are heard before any can be
    /// paused.
    pub fn poll_all(&mut self, events: &mut VecDeque<WireEvent>) -> io::Result<()> {
        self.flush();
        self.arm_accepts();
        // Those that lacked a buffer receive again with this.
        self.starved.clear();
        self.gather(GATHERED)?;
        self.report(events)?;
        let held_back = self.completions.iter().filter_map(|it| Token::unpack(it.token));
        let held_back =
            held_back.filter(|token| matches!(token.kind, Kind::Receive | Kind::Drain | Kind::Measure));
        let unheard = self.virtual_slots.noted().iter().copied();
        let unread = held_back.map(|token| token.slot).chain(self.starved.drain()).chain(unheard).collect();
        self.unread = (!self.is_behind).then_some(unread);
        Ok(())
    }

    /// Turns completions into `events`, as many as there is time for.
    fn report(&mut self, events: &mut VecDeque<WireEvent>) -> io::Result<()> {
        let mut completions = std::mem::take(&mut self.completions);
        let mut done = 0;
        self.secure.begin_turn();
        while self.secure.has_time()
            && let Some(completion) = completions.get(done)
        {
            self.complete(*completion);
            done += 1;
        }
        completions.drain(..done);
        completions.append(&mut self.completions);
        self.completions = completions;
        self.look_at_virtual_slots();
        events.append(&mut self.events);
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Takes completions that the kernel has to post: all of them, unless there are `enough`.
    ///
    /// The kernel sets IORING_SQ_TASKRUN after it has queued work, so another CPU may set it when that work is done
    /// already. It stays then until more comes: it counts only where something was posted.
    fn gather(&mut self, enough: usize) -> io::Result<()> {
        loop {
            let before = self.completions.len();
            self.ring.run_task_work()?;
            self.ring.reap(&mut self.completions);
            self.is_behind = self.completions.len() > before && self.ring.has_task_work();
            if !self.is_behind || self.completions.len() >= enough {
                return Ok(());
            }
        }
    }

    /// Whether all that `slot` had sent, or taken, before the last [`Wire::poll_all`] was in events.
    pub fn is_read(&self, slot: Slot) -> bool {
        self.unread.as_ref().is_some_and(|unread| !unread.contains(&slot))
    }

    /// Whether completions or operations wait for the next [`Wire::poll`].
    pub fn has_work(&self) -> bool {
        let has_queues = !self.completions.is_empty() || !self.events.is_empty() || !self.queued.is_empty();
        self.is_behind || has_queues || self.virtual_slots.have_work()
    }

    /// Whether the doorbell stays silent: while the core is awake it polls anyway.
    pub fn silence_doorbell(&mut self, silent: bool) {
        self.ring.silence_doorbell(silent);
    }

    /// Reports once, with an event, that `socket` has datagrams to receive; `number` tells it from others.
    pub fn watch_datagrams(&mut self, number: u32, socket: &DatagramSocket) {
        self.watch(Kind::Readable, number, socket.descriptor());
    }

    /// Ends the sending side once all queued bytes are with the kernel; receiving goes on.
    pub fn shutdown(&mut self, slot: Slot) {
        self.say_goodbye(slot);
        self.flush();
        if !self.slots.has(slot, flag::OPEN) || self.slots.has(slot, flag::SHUTTING) {
            return;
        }
        if slot.is_virtual() {
            return self.shutdown_virtual(slot);
        }
        self.slots.set(slot, flag::SHUTTING);
        // SAFETY: a shutdown points to nothing.
        unsafe { self.push(Operation::Shutdown { slot }, self.slots.token(Kind::Shutdown, slot)) };
    }

    /// Closes `slot` at once. A backlog is dropped; nothing is reported for the connection from now on.
    pub fn close(&mut self, slot: Slot) {
        if !self.slots.has(slot, flag::OPEN) {
            return;
        }
        if slot.is_virtual() {
            return self.close_virtual(slot);
        }
        self.say_goodbye(slot);
        self.flush();
        // No other operation of a slot waits in the kernel: a send that is not a backlog's is over when the kernel was
        // entered, and a shutdown is waited for below.
        for (flag, kind) in [(flag::RECEIVING, Kind::Receive), (flag::BACKLOGGED, Kind::Drain)] {
            if self.slots.has(slot, flag) {
                self.cancel(kind, slot);
            }
        }
        self.abandon_backlog(slot);
        self.end_session(slot);
        self.proxied.forget(slot);
        self.metered.remove(&slot);
        self.unpause(slot);
        if self.slots.has(slot, flag::SHUTTING) {
            // The kernel works on a shutdown in a thread of its own and looks up the slot only then: released now, it
            // could hold another client by that time.
            self.late_closes.insert(self.slots.token(Kind::Shutdown, slot));
        } else {
            self.release(slot);
        }
        self.slots.retire(slot);
    }

    /// Cancels the one operation of this kind that waits for `slot`.
    ///
    /// By its token, which the kernel looks up in a hash table. To cancel by descriptor, it looks at every operation that
    /// waits in the ring: among 18,000 idle connections that took 180 us for each cancellation, against 6 us.
    pub(super) fn cancel(&mut self, kind: Kind, slot: Slot) {
        let cancel = Operation::Cancel { token: self.slots.token(kind, slot) };
        // SAFETY: a cancellation points to nothing.
        unsafe { self.push(cancel, self.slots.token(Kind::Cancel, slot)) };
    }

    /// Gives the slot back to the kernel, for another client.
    fn release(&mut self, slot: Slot) {
        // SAFETY: a close points to nothing.
        unsafe { self.push(Operation::Close { slot }, self.slots.token(Kind::Close, slot)) };
        self.open -= 1;
        self.admission.release(slot);
    }

    fn was_shut_down(&mut self, token: Token) {
        if self.late_closes.remove(&token.pack()) {
            self.release(token.slot);
        } else if self.slots.is_current(token) {
            self.slots.clear(token.slot, flag::SHUTTING);
        }
    }

    /// Tells the connection in `slot` from those that were there before it.
    pub fn generation(&self, slot: Slot) -> u32 {
        self.slots.generation(slot)
    }

    /// Client connections open now.
    pub fn open_connections(&self) -> u32 {
        self.open
    }

    /// Has a look at its tables. Those with a word for each slot are as large as they are at start.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.queued);
        look.at(&mut self.orphans);
        look.at(&mut self.metered);
        look.at(&mut self.late_closes);
        look.at(&mut self.completions);
        look.at(&mut self.slots.backlogs);
        look.at(&mut self.slots.corked);
        self.progress.look_at_tables(look);
        self.secure.look_at_tables(look);
        self.virtual_slots.look_at_tables(look);
    }

    fn complete(&mut self, completion: Completion) {
        let Some(token) = Token::unpack(completion.token) else { return };
        match token.kind {
            Kind::Accept => self.accepted(token.slot.0, completion.result),
            Kind::Receive => self.received(token, completion),
            Kind::Drain => self.drained(token, completion.result),
            Kind::Measure => self.measured(token, completion.result),
            Kind::MeasureUnread => self.measured_unread(token, completion.result),
            Kind::Shutdown => self.was_shut_down(token),
            Kind::Readable => self.events.push_back(WireEvent::Readable { socket: token.slot.0 }),
            Kind::Knock => self.knocked(token.slot.0),
            Kind::MoveIn => self.moved_in(token.slot.0, completion.result),
            // A send's shortfall is settled right after its submission, so one that comes here is late.
            Kind::Send | Kind::Cancel | Kind::Close => {}
        }
    }

    fn received(&mut self, token: Token, completion: Completion) {
        let length = completion.result.max(0) as usize;
        let bytes = completion.buffer().map(|id| self.buffers.received(id, length));
        if !self.slots.is_current(token) {
            return;
        }
        let slot = token.slot;
        let armed = completion.goes_on();
        if !armed {
            self.slots.clear(slot, flag::RECEIVING);
        }
        match completion.result {
            0 => return self.events.push_back(WireEvent::Ended { slot }),
            error if error < 0 && !is_transient(error) => {
                return self.events.push_back(WireEvent::Failed { slot });
            }
            _ => {}
        }
        if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
            match self.proxied.awaits(slot) {
                true => self.read_proxy_header(slot, bytes),
                false => self.heard(slot, bytes),
            }
        }
        if !armed && !self.slots.has(slot, flag::PAUSED) {
            if completion.result == -libc::ENOBUFS {
                self.starved.insert(slot);
            }
            self.arm_receive(slot);
        }
    }

    /// The client of `slot` sent `bytes`, sealed or not.
    pub(super) fn heard(&mut self, slot: Slot, bytes: Received) {
        match self.slots.has(slot, flag::INDIRECT) {
            true => self.unseal(slot, bytes),
            false => self.events.push_back(WireEvent::Received { slot, bytes }),
        }
    }

    /// Queues an operation; a ring that cannot take it is reported by the next `poll`.
    ///
    /// # Safety
    /// As for [`Ring::push`].
    #[inline(always)]
    pub(super) unsafe fn push(&mut self, operation: Operation, token: u64) {
        // SAFETY: passed on to the caller.
        if let Err(error) = unsafe { self.ring.push(operation, token) } {
            self.broken.get_or_insert(error);
        }
    }

    pub(super) fn submit(&mut self) {
        if let Err(error) = self.ring.submit() {
            self.broken.get_or_insert(error);
        }
    }
}

/// Receive errors after which the connection goes on: cancelled by `pause`, or out of buffers for a moment.
fn is_transient(error: i32) -> bool {
    [libc::ECANCELED, libc::ENOBUFS, libc::EINTR, libc::EAGAIN].contains(&-error)
}

/// Completions gathered at a time at most; as many as the ring holds.
const GATHERED: usize = 16 * 1024;

#[cfg(test)]
mod tests;
