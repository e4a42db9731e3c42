//! [`Wire`]: the ring, its listeners, buffers and slots, and the translation of completions into events for the core.
//! The wire only reports; the core decides. Events about a connection are made only while it is open: `close` stops
//! new events, but the core may still see an event that was queued before.

use super::WireLimits;
use super::admission::Admission;
use super::buffers::{Buffers, Received};
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
use super::stillness::Stillness;
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

/// An event of a client connection, or of a datagram socket.
pub enum WireEvent {
    /// A client connected through listener `listener` (by the order given at start).
    Accepted {
        /// The slot of the client, until `close`.
        slot: Slot,
        /// Which listener.
        listener: usize,
        /// The client's address.
        peer: SocketAddr,
        /// Whether `peer` is a proxy. If so, [`WireEvent::Proxied`] comes before any other event of the slot.
        is_proxied: bool,
    },
    /// A proxy has named the client of the connection.
    Proxied {
        /// The slot of the connection.
        slot: Slot,
        /// The source of the connection, as the proxy names it.
        source: Source,
    },
    /// A client connected through a Unix socket.
    AcceptedLocal {
        /// The slot of the client, until `close`.
        slot: Slot,
        /// The index of the Unix socket among the listeners of this kind.
        listener: usize,
        /// The credentials of the client's process.
        peer: Credentials,
    },
    /// Datagrams have arrived at a watched socket.
    Readable {
        /// The number that was given to [`Wire::watch_datagrams`].
        socket: u32,
    },
    /// Bytes arrived from a client.
    Received {
        /// The slot of the client.
        slot: Slot,
        /// The bytes, in a borrowed receive buffer.
        bytes: Received,
    },
    /// The client has closed its sending side.
    Ended {
        /// The slot of the client.
        slot: Slot,
    },
    /// The connection failed.
    Failed {
        /// The slot of the client.
        slot: Slot,
    },
    /// The kernel was asked how far a client with a backlog has come.
    Took {
        /// The slot of the client.
        slot: Slot,
        /// Bytes that the client took since the last measurement.
        taken: Taken,
    },
    /// The backlog of the client is empty again.
    Drained {
        /// The slot of the client.
        slot: Slot,
    },
}

/// All client sockets of one core.
pub struct Wire {
    // The first field, because the kernel must have let go of the memory below before that memory is dropped.
    pub(super) ring: Ring,
    pub(super) limits: WireLimits,
    pub(super) slots: Slots,
    pub(super) queued: Vec<(Slot, Bytes)>,
    /// Data of waiting sends whose connection has closed, by token.
    pub(super) orphans: FxHashMap<u64, Bytes>,
    /// Clients that were paused before; each of their receives takes one buffer.
    pub(super) metered: FxHashSet<Slot>,
    /// Tokens of shutdowns in flight whose connection has been closed meanwhile.
    pub(super) late_closes: FxHashSet<u64>,
    pub(super) completions: Vec<Completion>,
    /// The last `poll` did not take all completions that the kernel had.
    pub(super) is_behind: bool,
    /// Clients that have sent bytes for which there was no buffer, since the last `poll_all` began.
    pub(super) starved: FxHashSet<Slot>,
    /// Clients whose bytes the last `poll_all` did not report completely; `None` if that is not known.
    pub(super) unread: Option<FxHashSet<Slot>>,
    pub(super) events: VecDeque<WireEvent>,
    pub(super) buffers: Rc<Buffers>,
    pub(super) listeners: Listeners,
    pub(super) admission: Admission,
    pub(super) progress: Progress,
    pub(super) proxied: Proxied,
    pub(super) secure: Secure,
    pub(super) local: LocalClients,
    pub(super) virtual_slots: VirtualSlots,
    pub(super) open: u32,
    /// Connections that are paused.
    pub(super) paused: usize,
    pub(super) stillness: Stillness,
    pub(super) broken: Option<io::Error>,
}

impl Wire {
    /// Sets up the ring. From the first [`Wire::poll`] on, clients are accepted on `listeners`, with TLS where the
    /// [`Preface`] has an offer, and on the Unix sockets `local`. Connections are counted in `ledger`, which all cores
    /// share. Must run on the core's own thread.
    ///
    /// # Errors
    /// The system's error, if the ring, its buffers or its doorbell cannot be set up.
    pub fn new(
        listeners: Vec<(TcpListener, Preface)>,
        local: Vec<(UnixListener, Preface)>,
        limits: WireLimits,
        ledger: Arc<Ledger>,
        doorbell: &Doorbell,
    ) -> io::Result<Wire> {
        let mut ring = Ring::new(limits.connections)?;
        ring.register_doorbell(doorbell)?;
        let buffers = Buffers::register(&mut ring)?;
        Ok(Wire {
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
            stillness: Stillness::default(),
            broken: None,
        })
    }

    /// Submits queued operations, handles completions, and appends the resulting events to `events`. The kernel posts
    /// about twenty completions at a time, so there may be more.
    ///
    /// # Errors
    /// The system's error, if the ring has failed.
    pub fn poll(&mut self, events: &mut VecDeque<WireEvent>) -> io::Result<()> {
        self.flush();
        self.arm_accepts();
        // The faster the operations end that were cancelled, the shorter clients wait.
        let enough = if self.stillness.clients { GATHERED } else { 0 };
        self.gather(enough)?;
        self.report(events)
    }

    /// Like [`Wire::poll`], but handles everything that had arrived before this call, so that deadlines can be
    /// judged. [`Wire::is_read`] says for which clients this was not possible. It takes more memory at a time,
    /// because no client can be paused in between.
    ///
    /// # Errors
    /// The system's error, if the ring has failed.
    pub fn poll_all(&mut self, events: &mut VecDeque<WireEvent>) -> io::Result<()> {
        self.flush();
        self.arm_accepts();
        // Receives that ended for lack of a buffer were armed again, and are submitted with this.
        self.starved.clear();
        self.gather(GATHERED)?;
        self.report(events)?;
        let held_back = self.completions.iter().filter_map(|it| Token::unpack(it.token));
        let held_back =
            held_back.filter(|token| matches!(token.kind, Kind::Receive | Kind::Drain | Kind::Measure));
        let unheard = self.virtual_slots.noted().iter().copied();
        let unread = held_back.map(|token| token.slot).chain(self.starved.drain()).chain(unheard).collect();
        // Nothing is received while the wire is quiet.
        self.unread = (!self.is_behind && !self.stillness.clients).then_some(unread);
        Ok(())
    }

    /// Turns completions into `events`, as long as there is time for handshakes in this turn.
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

    /// Takes completions from the kernel: all that it has to post, or at least `enough`.
    ///
    /// The kernel sets IORING_SQ_TASKRUN after it has queued work. Another CPU may set the flag after that work was
    /// done, and then it stays set until more work is queued. So the flag counts only if completions were posted.
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

    /// Whether the events of the last [`Wire::poll_all`] had everything that `slot` had sent, or taken, before that
    /// call.
    pub fn is_read(&self, slot: Slot) -> bool {
        self.unread.as_ref().is_some_and(|unread| !unread.contains(&slot))
    }

    /// Whether completions or operations wait for the next [`Wire::poll`].
    pub fn has_work(&self) -> bool {
        let has_queues = !self.completions.is_empty() || !self.events.is_empty() || !self.queued.is_empty();
        self.is_behind || has_queues || self.virtual_slots.have_work()
    }

    /// Silences the doorbell, or enables it again. While the core is awake it polls anyway.
    pub fn silence_doorbell(&mut self, silent: bool) {
        self.ring.silence_doorbell(silent);
    }

    /// Ends the sending side once the kernel has all queued bytes; receiving goes on.
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

    /// Closes `slot` at once. Its backlog is dropped, and no more events are made for the connection.
    pub fn close(&mut self, slot: Slot) {
        if !self.slots.has(slot, flag::OPEN) {
            return;
        }
        if slot.is_virtual() {
            return self.close_virtual(slot);
        }
        self.say_goodbye(slot);
        self.flush();
        // No other operation of this slot can be waiting in the kernel: a send without a backlog finished when the
        // kernel was entered, and a shutdown in flight is handled below.
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
            // The kernel runs a shutdown in a thread of its own, which looks up the slot. If the slot were released
            // now, another client could have it by then.
            self.late_closes.insert(self.slots.token(Kind::Shutdown, slot));
        } else {
            self.release(slot);
        }
        self.slots.retire(slot);
    }

    /// Cancels the waiting operation of this kind for `slot`.
    ///
    /// The operation is found by its token, which the kernel looks up in a hash table. To cancel by descriptor, the
    /// kernel searches all waiting operations of the ring: with 18,000 idle connections a cancellation took 180 us,
    /// against 6 us.
    pub(super) fn cancel(&mut self, kind: Kind, slot: Slot) {
        self.cancel_token(Token { kind, generation: self.slots.generation(slot), slot });
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

    /// The generation of `slot`, which differs between connections that use the slot one after another.
    pub fn generation(&self, slot: Slot) -> u32 {
        self.slots.generation(slot)
    }

    /// Client connections open now.
    pub fn open_connections(&self) -> u32 {
        self.open
    }

    /// Lets `look` shrink the wire's tables. Tables with one word for each slot keep their size.
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
            Kind::Readable => self.readable(token.slot.0),
            Kind::Knock => self.knocked(token.slot.0),
            Kind::MoveIn => self.moved_in(token.slot.0, completion.result),
            // The result of a send is handled right after its submission, so a send that comes here was late.
            // Calls that move connections wait for their completions.
            Kind::Send | Kind::Cancel | Kind::Close | Kind::Install | Kind::Adopt => {}
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

    /// Handles `bytes` that the client of `slot` sent, encrypted or not.
    pub(super) fn heard(&mut self, slot: Slot, bytes: Received) {
        match self.slots.has(slot, flag::INDIRECT) {
            true => self.unseal(slot, bytes),
            false => self.events.push_back(WireEvent::Received { slot, bytes }),
        }
    }

    /// Queues an operation. If the ring cannot take it, the next `poll` reports the error.
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

/// Errors of a receive after which the connection goes on: it was cancelled by `pause`, or there was no buffer.
fn is_transient(error: i32) -> bool {
    [libc::ECANCELED, libc::ENOBUFS, libc::EINTR, libc::EAGAIN].contains(&-error)
}

/// At most this many completions are taken at a time: as many as the ring holds.
const GATHERED: usize = 16 * 1024;

#[cfg(test)]
mod tests;
