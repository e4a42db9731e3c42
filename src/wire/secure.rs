//! The TLS sessions of a core, and data that is to be encrypted. Sessions are in a table beside the slots, so
//! plaintext connections have no overhead. `sealing` uses them.

use super::backlog::Backlog;
use crate::ids::Slot;
use crate::slack::Look;
use crate::tls::Session;
use rustc_hash::FxHashMap;

/// Memory of an idle session: its state and keys (`gripwire-bench tls`).
const SESSION_BYTES: usize = 2_600;
/// Handshake steps in one turn of the core. A step may take as long as hundreds of sends (0.1 to 1 ms, by the kind of
/// key), and thousands of clients may connect at once.
const STEPS: u32 = 16;

/// The sessions of a core.
#[derive(Default)]
pub(super) struct Secure {
    pub sessions: FxHashMap<Slot, Box<Session>>,
    /// Data that waits behind the sealed data in flight.
    pub unsealed: FxHashMap<Slot, Backlog>,
    /// Bytes of incomplete records.
    pub partial_bytes: usize,
    /// Sessions that failed: they ended in their handshake, or broke.
    pub failures: u64,
    /// Handshake steps in this turn of the core.
    pub steps: u32,
}

impl Secure {
    /// Lets `look` shrink its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.sessions);
        look.at(&mut self.unsealed);
    }

    /// Bytes that sessions take, without the data that waits for their clients.
    pub fn kept_bytes(&self) -> usize {
        self.sessions.len() * SESSION_BYTES + self.partial_bytes
    }

    /// Bytes of incomplete records that the session of one client keeps; they grow with the data that the client
    /// sends.
    pub fn kept_for(&self, slot: Slot) -> usize {
        self.sessions.get(&slot).map_or(0, |session| session.partial_bytes())
    }

    /// Reads the state of the sessions that are about to seal. The processor fetches the memory of several sessions at
    /// the same time; without it, each session would be waited for when it seals.
    pub fn read_ahead(&self, slots: &[Slot]) {
        slots.iter().filter_map(|slot| self.sessions.get(slot)).for_each(|session| session.read_ahead());
    }

    /// Begins a turn of the core.
    pub fn begin_turn(&mut self) {
        self.steps = 0;
    }

    /// Whether another completion may be handled in this turn.
    pub fn has_time(&self) -> bool {
        self.steps < STEPS
    }
}
