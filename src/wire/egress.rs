//! Sending. A send is tried inside `io_uring_enter`, hundreds in each call, and posts no completion if all of it was
//! sent (MSG_DONTWAIT, MSG_WAITALL, IOSQE_CQE_SKIP_SUCCESS). So the bytes may be released when the call returns, and
//! the common case needs no bookkeeping. Bytes that the socket does not take become the connection's backlog with a
//! waiting send, and the connection leaves the fast path until its backlog is empty. The bytes of one connection
//! always keep their order: a second send to a slot is never queued while the result of the first is unknown.

use super::backlog::Backlog;
use super::events::{Wire, WireEvent};
use super::operation::{Completion, Operation};
use super::slots::{Overflow, flag};
use super::token::{Kind, Token};
use crate::ids::Slot;
use bytes::Bytes;

/// Sends that are handed to the kernel in one call.
const BATCH: usize = 256;

impl Wire {
    /// Sends `data` to `slot`, behind everything sent to it before. The next [`Wire::flush`] hands it to the kernel.
    ///
    /// # Errors
    /// [`Overflow`] if the backlog of the slot, or of the core, has no room for `data`.
    pub fn send(&mut self, slot: Slot, data: Bytes) -> Result<(), Overflow> {
        if data.is_empty() || !self.slots.has(slot, flag::OPEN) {
            return Ok(());
        }
        match self.slots.has(slot, flag::CORKED) {
            true => self.defer(slot, data, true),
            false => self.send_now(slot, data),
        }
    }

    /// Sends `data` to `slot` past a cork.
    ///
    /// # Errors
    /// As for [`Wire::send`].
    pub fn send_now(&mut self, slot: Slot, data: Bytes) -> Result<(), Overflow> {
        if data.is_empty() || !self.slots.has(slot, flag::OPEN) {
            return Ok(());
        }
        if self.slots.has_any(slot, flag::QUEUED | flag::BACKLOGGED | flag::INDIRECT) {
            return self.send_carefully(slot, data);
        }
        self.queue(slot, data);
        Ok(())
    }

    fn send_carefully(&mut self, slot: Slot, data: Bytes) -> Result<(), Overflow> {
        if self.slots.has(slot, flag::QUEUED) {
            self.flush();
        }
        if self.slots.has(slot, flag::INDIRECT) {
            return match slot.is_virtual() {
                true => self.send_virtual(slot, data),
                false => self.send_secure(slot, data),
            };
        }
        if self.slots.has(slot, flag::BACKLOGGED) {
            return self.defer(slot, data, false);
        }
        self.queue(slot, data);
        Ok(())
    }

    /// Queues a send to `slot`, which has no queued send and no backlog.
    pub(super) fn queue(&mut self, slot: Slot, data: Bytes) {
        self.slots.set(slot, flag::QUEUED);
        // SAFETY: `queued` keeps `data` until `flush` saw the kernel finish it.
        unsafe { self.push_send(slot, &data) };
        self.queued.push((slot, data));
        if self.queued.len() >= BATCH {
            self.flush();
        }
    }

    /// Sends `frame` to all `slots`; pushes to `overflowed` the slots whose backlog had no room for it.
    ///
    /// All sends finish before this returns, so the sends share the frame by reference and change no reference count.
    pub fn broadcast(&mut self, slots: &[Slot], frame: &Bytes, overflowed: &mut Vec<Slot>) {
        if frame.is_empty() {
            return;
        }
        self.flush();
        for batch in slots.chunks(BATCH) {
            let mut has_indirect = false;
            for &slot in batch {
                if !self.slots.has(slot, flag::OPEN) {
                    continue;
                }
                if self.slots.has_any(slot, flag::BACKLOGGED | flag::CORKED | flag::INDIRECT) {
                    if self.slots.has(slot, flag::INDIRECT) {
                        has_indirect = true;
                        continue;
                    }
                    let is_corked = self.slots.has(slot, flag::CORKED);
                    if self.defer(slot, frame.clone(), is_corked).is_err() {
                        overflowed.push(slot);
                    }
                    continue;
                }
                // SAFETY: `frame` outlives the submit below, in which the send finishes.
                unsafe { self.push_send(slot, frame) };
            }
            self.submit();
            self.settle(|_| Some(frame.clone()));
            if has_indirect {
                self.send_to_indirect(batch, frame, overflowed);
            }
        }
    }

    /// Sends `frame` to those `slots` that are TLS connections, encrypted for each one, or virtual slots.
    fn send_to_indirect(&mut self, slots: &[Slot], frame: &Bytes, overflowed: &mut Vec<Slot>) {
        self.secure.read_ahead(slots);
        for &slot in slots {
            if self.slots.has(slot, flag::INDIRECT) && self.send(slot, frame.clone()).is_err() {
                overflowed.push(slot);
            }
        }
    }

    /// Hands all queued sends to the kernel, and starts a backlog for each slot whose socket did not take all bytes.
    pub fn flush(&mut self) {
        if self.queued.is_empty() {
            return;
        }
        self.submit();
        let queued = std::mem::take(&mut self.queued);
        for (slot, _) in &queued {
            self.slots.clear(*slot, flag::QUEUED);
        }
        self.settle(|slot| queued.iter().find(|(sent, _)| *sent == slot).map(|(_, data)| data.clone()));
        self.queued = queued;
        self.queued.clear();
    }

    /// Corks `slot`: data for it waits until [`Wire::uncork`], except with [`Wire::send_now`].
    pub fn cork(&mut self, slot: Slot) {
        if self.slots.has(slot, flag::OPEN) {
            self.slots.set(slot, flag::CORKED);
        }
    }

    /// Removes the cork of `slot`, and sends the data that waited, in order.
    ///
    /// # Errors
    /// As for [`Wire::send`].
    pub fn uncork(&mut self, slot: Slot) -> Result<(), Overflow> {
        self.slots.clear(slot, flag::CORKED);
        let Some(corked) = self.slots.corked.remove(&slot) else { return Ok(()) };
        self.slots.backlog_bytes -= corked.bytes();
        corked.into_slices().into_iter().try_for_each(|data| self.send_now(slot, data))
    }

    /// Sets the limits on unsent bytes of one client, and of all clients together.
    pub fn set_backlog_limits(&mut self, of_one: usize, of_all: usize) {
        self.limits.backlog_bytes = of_one;
        self.limits.backlog_bytes_total = of_all;
    }

    /// Unsent bytes of all connections.
    pub fn backlog_bytes(&self) -> usize {
        self.slots.backlog_bytes
    }

    /// Whether `slot` has unsent bytes in a backlog.
    pub fn is_backlogged(&self, slot: Slot) -> bool {
        self.slots.has(slot, flag::BACKLOGGED)
    }

    /// Handles the completions of sends in the submission just made. Each is a send that fell short; `sent` gives its
    /// data.
    fn settle(&mut self, sent: impl Fn(Slot) -> Option<Bytes>) {
        let before = self.completions.len();
        self.ring.reap(&mut self.completions);
        let fresh: Vec<Completion> = self.completions.drain(before..).collect();
        for completion in fresh {
            match Token::unpack(completion.token) {
                Some(token) if token.kind == Kind::Send => {
                    if self.slots.is_current(token) {
                        self.fell_short(token.slot, completion.result, sent(token.slot));
                    }
                }
                _ => self.completions.push(completion),
            }
        }
    }

    fn fell_short(&mut self, slot: Slot, result: i32, data: Option<Bytes>) {
        let sent = match result {
            sent if sent >= 0 => sent as usize,
            error if error == -libc::EAGAIN => 0,
            _ => return self.events.push_back(WireEvent::Failed { slot }),
        };
        let Some(rest) = data.filter(|data| sent < data.len()).map(|data| data.slice(sent..)) else { return };
        // The limit is not checked here: once the kernel has taken a part, the rest must follow, or the stream is
        // corrupt.
        self.fly(slot, rest);
    }

    /// Starts a backlog with `data` and its waiting send.
    pub(super) fn fly(&mut self, slot: Slot, data: Bytes) {
        self.slots.set(slot, flag::BACKLOGGED);
        self.slots.backlog_bytes += Backlog::cost(&data);
        self.slots.backlogs.entry(slot).or_default().push(data);
        self.drain(slot);
    }

    /// Keeps data that cannot be sent now, within the limits: behind the cork, in the backlog of a slot that has one,
    /// or for a TLS connection in the queue of data to be encrypted.
    pub(super) fn defer(&mut self, slot: Slot, data: Bytes, is_corked: bool) -> Result<(), Overflow> {
        let backlogs = match is_corked {
            true => &mut self.slots.corked,
            false if self.slots.has(slot, flag::INDIRECT) && !slot.is_virtual() => &mut self.secure.unsealed,
            false => &mut self.slots.backlogs,
        };
        let backlog = backlogs.entry(slot).or_default();
        let cost = Backlog::cost(&data);
        let within_core = self.slots.backlog_bytes + cost <= self.limits.backlog_bytes_total;
        if !within_core || backlog.bytes() + cost > self.limits.backlog_bytes {
            return Err(Overflow);
        }
        self.slots.backlog_bytes += cost;
        backlog.push(data);
        Ok(())
    }

    /// Starts the waiting send of the backlog's front slice. While the wire is quiet, the backlog only waits.
    pub(super) fn drain(&mut self, slot: Slot) {
        let is_quiet = self.stillness.clients;
        let Some(backlog) = self.slots.backlogs.get_mut(&slot) else { return };
        backlog.is_in_flight = backlog.front().is_some() && !is_quiet;
        let Some(front) = backlog.front().filter(|_| !is_quiet) else { return };
        let send = Operation::PatientSend { slot, data: front.as_ptr(), length: length(front) };
        // SAFETY: the front slice is trimmed only by this send's completion; `close` keeps it as an orphan.
        unsafe { self.push(send, self.slots.token(Kind::Drain, slot)) };
    }

    /// Handles the finished waiting send of `token`.
    pub(super) fn drained(&mut self, token: Token, result: i32) {
        self.orphans.remove(&token.pack());
        if !self.slots.is_current(token) {
            return;
        }
        let slot = token.slot;
        let Some(backlog) = self.slots.backlogs.get_mut(&slot) else { return };
        backlog.is_in_flight = false;
        if result < 0 && !has_sent_nothing(result) {
            return self.events.push_back(WireEvent::Failed { slot });
        }
        let (before, sent) = (backlog.bytes(), result.max(0) as usize);
        backlog.advance(sent);
        self.slots.backlog_bytes -= before - backlog.bytes();
        self.progress.gave(slot, sent);
        if backlog.front().is_some() {
            return self.drain(slot);
        }
        self.slots.backlogs.remove(&slot);
        if self.seal_waiting(slot) {
            return;
        }
        self.slots.clear(slot, flag::BACKLOGGED);
        self.progress.forget(slot);
        self.events.push_back(WireEvent::Drained { slot });
    }

    /// Drops the backlog of a slot that closes; the slice in flight is kept until its send has completed.
    pub(super) fn abandon_backlog(&mut self, slot: Slot) {
        self.abandon_corked(slot);
        self.progress.forget(slot);
        let Some(backlog) = self.slots.backlogs.remove(&slot) else { return };
        self.slots.backlog_bytes -= backlog.bytes();
        if let Some(front) = backlog.front().filter(|_| backlog.is_in_flight) {
            self.orphans.insert(self.slots.token(Kind::Drain, slot), front.clone());
        }
    }

    /// Drops the data behind the cork.
    pub(super) fn abandon_corked(&mut self, slot: Slot) {
        if let Some(corked) = self.slots.corked.remove(&slot) {
            self.slots.backlog_bytes -= corked.bytes();
        }
    }

    /// Queues a send that finishes inside the next call of the kernel.
    ///
    /// # Safety
    /// `data` must stay where it is until the next submission returned.
    #[inline]
    unsafe fn push_send(&mut self, slot: Slot, data: &Bytes) {
        let send = Operation::Send { slot, data: data.as_ptr(), length: length(data) };
        // SAFETY: passed on to the caller.
        unsafe { self.push(send, self.slots.token(Kind::Send, slot)) };
    }
}

/// Whether a waiting send ended before it sent anything, and the connection goes on. Of an open connection, only
/// [`Wire::quiesce`] cancels sends.
fn has_sent_nothing(result: i32) -> bool {
    [libc::EINTR, libc::EAGAIN, libc::ECANCELED].contains(&-result)
}

/// A send's length field is 32 bits wide; a longer slice goes out in several.
fn length(data: &Bytes) -> u32 {
    data.len().min(1 << 30) as u32
}
