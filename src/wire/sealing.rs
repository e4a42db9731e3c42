//! Clients with TLS. The core sends and receives plain data as for all other clients; in between, a [`Session`]
//! encrypts and decrypts.
//!
//! Data is encrypted (sealed) when it is sent, never before. All sealed bytes must be sent, in the order of sealing,
//! while data that is not sealed can still be refused and is shared between clients. So a slow client has one piece
//! of sealed data in flight, which is its backlog for the rest of the wire, and the data behind it is not sealed yet.
//! The data behind a cork is not sealed either.

use super::backlog::Backlog;
use super::buffers::Received;
use super::events::{Wire, WireEvent};
use super::slots::{Overflow, flag};
use crate::ids::Slot;
use crate::tls::{Heard, Offer, Session};
use bytes::Bytes;

/// Plain bytes that are sealed at a time, for slow clients and for long data.
const PIECE_BYTES: usize = 64 * 1024;
/// The most that sealing adds to short messages (TLS 1.2; a record has 16 KiB).
const SEAL_BYTES: usize = 32;
/// Sealed bytes that a client may leave unread. Only a client that makes the session itself answer again and again
/// can exceed it.
const SEALED_BYTES: usize = 256 * 1024;

impl Wire {
    /// TLS connections that failed since start: they ended in their handshake, or their client violated TLS.
    pub fn tls_failures(&self) -> u64 {
        self.secure.failures
    }

    /// Prevents a close_notify for `slot`, so that its client cannot mistake the end of the connection for the end of
    /// the data.
    pub fn tear(&mut self, slot: Slot) {
        if let Some(session) = self.secure.sessions.get_mut(&slot) {
            session.tear();
        }
    }

    /// Starts a session for a client of a port with TLS; returns whether that succeeded.
    pub(super) fn begin_session(&mut self, slot: Slot, offer: &Offer) -> bool {
        let session = Session::new(offer.clone());
        let session = session.inspect_err(
            |error| tracing::warn!(%error, "TLS cannot start for a client; its connection is closed"),
        );
        self.slots.set(slot, flag::INDIRECT);
        session.is_ok_and(|session| self.secure.sessions.insert(slot, Box::new(session)).is_none())
    }

    /// Drops the keys and the unsent data of a connection that ends.
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

    /// Sends a close_notify to the client of `slot`, if it uses TLS and nothing else waits to be sent.
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

    /// Decrypts `bytes` of the client of `slot`, and reports the data.
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
                tracing::debug!(%error, "the TLS session with a client failed");
                self.events.push_back(WireEvent::Failed { slot });
            }
            Ok(()) if heard.ended => self.events.push_back(WireEvent::Ended { slot }),
            Ok(()) => {}
        }
    }

    /// Sends `data`, which is not empty, to a client with TLS.
    pub(super) fn send_secure(&mut self, slot: Slot, data: Bytes) -> Result<(), Overflow> {
        if self.slots.has(slot, flag::BACKLOGGED) {
            return self.defer(slot, data, false);
        }
        if data.len() > PIECE_BYTES {
            // As for all clients: with no data in front of it, data of any length is accepted.
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

    /// Seals and sends the next piece of the data that waits; returns whether there was any. No sealed data waits
    /// before it.
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

    /// Appends `data` to `sealed`, encrypted; returns whether that succeeded. A failure is reported as the end of the
    /// connection.
    fn seal(&mut self, slot: Slot, data: &[u8], sealed: &mut Vec<u8>) -> bool {
        let Some(session) = self.secure.sessions.get_mut(&slot) else { return false };
        let outcome = session.seal(data, sealed);
        if let Err(error) = &outcome {
            tracing::debug!(%error, "the TLS session with a client cannot send");
            self.events.push_back(WireEvent::Failed { slot });
        }
        outcome.is_ok()
    }

    /// Sends bytes that the session itself made, such as alerts.
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
