//! The TLS sessions of a core, in a table beside the slots, so that who speaks no TLS costs nothing more, and what waits
//! to be sealed. `sealing` uses them.

use super::backlog::Backlog;
use crate::ids::Slot;
use crate::slack::Look;
use crate::tls::Session;
use rustc_hash::FxHashMap;

/// What an idle session takes: its state and keys (`gripwire-bench tls`).
const SESSION_BYTES: usize = 3_600;
/// Steps of handshakes in a turn of the core. One may take as long as hundreds of sends (0.1 to 1 ms, by the kind of
/// key), and clients come by thousands at once.
const STEPS: u32 = 16;

/// The sessions of a core.
#[derive(Default)]
pub(super) struct Secure {
    pub sessions: FxHashMap<Slot, Box<Session>>,
    /// What waits behind what is in flight.
    pub unsealed: FxHashMap<Slot, Backlog>,
    /// Bytes of records that are not whole.
    pub partial_bytes: usize,
    /// Sessions that ended before they were agreed on, or broke.
    pub failures: u64,
    /// Steps of handshakes taken in this turn of the core.
    pub steps: u32,
}

impl Secure {
    /// Has a look at its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.sessions);
        look.at(&mut self.unsealed);
    }

    /// Bytes that sessions take, beside what waits for their clients.
    pub fn kept_bytes(&self) -> usize {
        self.sessions.len() * SESSION_BYTES + self.partial_bytes
    }

    /// The part of that for one client which grows with what the client sends.
    pub fn kept_for(&self, slot: Slot) -> usize {
        self.sessions.get(&slot).map_or(0, |session| session.partial_bytes())
    }

    /// A turn of the core begins.
    pub fn begin_turn(&mut self) {
        self.steps = 0;
    }

    /// Whether more may be looked at in this turn.
    pub fn has_time(&self) -> bool {
        self.steps < STEPS
    }
}
