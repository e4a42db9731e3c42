//! Clients that speak TLS. The core above sees what they say and sends what they are told, as with all others; in
//! between stands a [`Session`].
//!
//! What is sent is sealed when it goes, never before: a session's bytes must all arrive, in the order of sealing, and
//! what waits unsealed can still be refused, and is shared between clients. So a slow client has one piece sealed and
//! in flight (its backlog, as the rest of the wire knows it), and what is behind that waits as it came. Corks hold what
//! is not sealed either.

use super::backlog::Backlog;
use super::buffers::Received;
use super::events::{Wire, WireEvent};
use super::slots::{Overflow, flag};
use crate::ids::Slot;
use crate::tls::{Heard, Offer, Session};
use bytes::Bytes;

/// So much is sealed at a time for a client that is slow, or of what is long.
const PIECE_BYTES: usize = 64 * 1024;
/// What sealing adds to most messages, at most (TLS 1.2; a record has 16 KiB).
const SEAL_BYTES: usize = 32;
/// Sealed bytes that a client may leave unread; only one that makes the session itself speak, again and again, has
/// more.
const SEALED_BYTES: usize = 256 * 1024;

impl Wire {
    /// Connections by TLS that ended in their handshake, or because their client broke the rules, since start.
    pub fn tls_failures(&self) -> u64 {
        self.secure.failures
    }

    /// Whoever reads from `slot` is not to take the end of the connection for the end of what was sent.
    pub fn tear(&mut self, slot: Slot) {
        if let Some(session) = self.secure.sessions.get_mut(&slot) {
            session.tear();
        }
    }

    /// A client came by a port with `event_batch`; whether it can be spoken to.
    pub(super) fn begin_session(&mut self, slot: Slot, offer: &Offer) -> bool {
        let session = Session::new(offer.clone());
        let session = session.inspect_err(|error| tracing::warn!(%error, "a client's TLS cannot begin"));
        self.slots.set(slot, flag::INDIRECT);
        session.is_ok_and(|session| self.secure.sessions.insert(slot, Box::new(session)).is_none())
    }

    /// The connection is over, or about to be: what waits for it is forgotten, and its keys.
    pub(super) fn end_session(&mut self, slot: Slot) {
        if !self.slots.has(slot, flag::INDIRECT) {
            return;
        }
        if let Some(unsealed) = self.secure.unsealed.remove(&slot) {
            self.slots.backlog_bytes -= unsealed.bytes();
        }
        if let Some(session) = self.secure.sessions.remove(&slot) {
            self.secure.partial_bytes -= session.partial_bytes();
            self.secure.failures += u64::from(session.has_failed());
        }
    }

    /// Tells the client of `slot` that nothing follows, if it speaks TLS and has been sent everything.
    pub(super) fn say_goodbye(&mut self, slot: Slot) {
        if !self.slots.has(slot, flag::INDIRECT) || self.slots.has_any(slot, flag::BACKLOGGED | flag::CORKED)
        {
            return;
        }
        let Some(session) = self.secure.sessions.get_mut(&slot) else { return };
        let mut goodbye = Vec::new();
        session.close(&mut goodbye);
        self.send_sealed(slot, goodbye.into());
    }

    /// The client of `slot` sent `bytes`.
    pub(super) fn unseal(&mut self, slot: Slot, mut bytes: Received) {
        let Some(session) = self.secure.sessions.get_mut(&slot) else { return };
        self.secure.steps += u32::from(session.is_handshaking());
        let mut heard = Heard::default();
        self.secure.partial_bytes -= session.partial_bytes();
        let outcome = session.receive(&mut bytes, &mut heard);
        self.secure.partial_bytes += session.partial_bytes();
        drop(bytes);
        self.send_sealed(slot, heard.reply.into());
        if !heard.plain.is_empty() {
            self.events.push_back(WireEvent::Received { slot, bytes: Received::unsealed(heard.plain) });
        }
        match outcome {
            Err(error) => {
                tracing::debug!(%error, "a client's TLS failed");
                self.events.push_back(WireEvent::Failed { slot });
            }
            Ok(()) if heard.ended => self.events.push_back(WireEvent::Ended { slot }),
            Ok(()) => {}
        }
    }

    /// Sends `data`, which is not empty, to a client that speaks TLS.
    pub(super) fn send_secure(&mut self, slot: Slot, data: Bytes) -> Result<(), Overflow> {
        if self.slots.has(slot, flag::BACKLOGGED) {
            return self.defer(slot, data, false);
        }
        if data.len() > PIECE_BYTES {
            // As for all clients: what nothing waits before is taken, whatever its length.
            self.slots.set(slot, flag::BACKLOGGED);
            self.slots.backlog_bytes += Backlog::cost(&data);
            self.secure.unsealed.entry(slot).or_default().push(data);
            self.seal_waiting(slot);
            return Ok(());
        }
        let mut sealed = Vec::with_capacity(data.len() + SEAL_BYTES);
        if self.seal(slot, &data, &mut sealed) {
            self.queue(slot, sealed.into());
        }
        Ok(())
    }

    /// Puts the next piece of what waits into flight; whether there was any. Nothing sealed waits.
    pub(super) fn seal_waiting(&mut self, slot: Slot) -> bool {
        let Some(mut unsealed) = self.secure.unsealed.remove(&slot) else { return false };
        let before = unsealed.bytes();
        let mut piece = Vec::new();
        while let Some(front) = unsealed.front().filter(|_| piece.len() < PIECE_BYTES) {
            let part = front.slice(..front.len().min(PIECE_BYTES));
            unsealed.advance(part.len());
            if !self.seal(slot, &part, &mut piece) {
                break;
            }
        }
        self.slots.backlog_bytes -= before - unsealed.bytes();
        if unsealed.front().is_some() {
            self.secure.unsealed.insert(slot, unsealed);
        }
        if !piece.is_empty() {
            self.fly(slot, piece.into());
        }
        before > 0
    }

    /// Appends `data` to `sealed` as it is sent; whether that could be done, as the end of the session is reported.
    fn seal(&mut self, slot: Slot, data: &[u8], sealed: &mut Vec<u8>) -> bool {
        let Some(session) = self.secure.sessions.get_mut(&slot) else { return false };
        let outcome = session.seal(data, sealed);
        if let Err(error) = &outcome {
            tracing::debug!(%error, "a client's TLS cannot go on");
            self.events.push_back(WireEvent::Failed { slot });
        }
        outcome.is_ok()
    }

    /// Sends what the session itself has to say.
    fn send_sealed(&mut self, slot: Slot, sealed: Bytes) {
        if sealed.is_empty() {
            return;
        }
        if self.slots.has(slot, flag::QUEUED) {
            self.flush();
        }
        if !self.slots.has(slot, flag::BACKLOGGED) {
            return self.queue(slot, sealed);
        }
        let backlog = self.slots.backlogs.entry(slot).or_default();
        if backlog.bytes() + Backlog::cost(&sealed) > SEALED_BYTES {
            return self.events.push_back(WireEvent::Failed { slot });
        }
        self.slots.backlog_bytes += Backlog::cost(&sealed);
        backlog.push(sealed);
    }
}
