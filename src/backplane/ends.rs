//! The two ends of a backplane on a separate thread: the thread's end and the cores' ends.

use super::arrival::Arrival;
use super::contract::{Backplane, Wants};
use super::inlet::Inlet;
use super::operator::{CommandOutcome, OperatorCommand};
use super::outlet::Outlet;
use crate::ids::CoreId;
use crate::wire::{Ringer, ThreadBell};
use std::cell::RefCell;
use std::sync::Arc;
use std::{io, vec};

/// The end of the thread.
pub struct ThreadEnd {
    /// The inlets of the cores, by core.
    pub inlets: Vec<Arc<Inlet>>,
    /// The outlet of all cores.
    pub outlet: Arc<Outlet>,
    /// Rings when `outlet` has messages, or when an inlet has room again.
    pub bell: ThreadBell,
}

/// The end of a core.
struct CoreEnd {
    home: CoreId,
    wants_interest: bool,
    inlet: Arc<Inlet>,
    outlet: Arc<Outlet>,
    /// The rest of the last batch.
    batch: RefCell<vec::IntoIter<Arrival>>,
}

impl ThreadEnd {
    /// Makes the end of a thread for `cores` cores.
    ///
    /// # Errors
    /// The system has no eventfd for the thread.
    pub fn new(cores: usize) -> io::Result<ThreadEnd> {
        let bell = ThreadBell::new()?;
        let inlets = (0..cores).map(|_| Arc::default()).collect();
        let outlet = Arc::new(Outlet::new(cores, bell.ringer()));
        Ok(ThreadEnd { inlets, outlet, bell })
    }

    /// The end of core `home`, which reports interest if `wants_interest`; `None` if there is no such core.
    pub fn core_end(&self, home: CoreId, wants_interest: bool) -> Option<Box<dyn Backplane>> {
        let inlet = self.inlets.get(home.index())?.clone();
        let (outlet, batch) = (self.outlet.clone(), RefCell::default());
        Some(Box::new(CoreEnd { home, wants_interest, inlet, outlet, batch }))
    }
}

impl Backplane for CoreEnd {
    fn wants(&self) -> Wants {
        Wants { interest: self.wants_interest, items: false }
    }

    fn attach(&self, ringer: Ringer) {
        self.inlet.attach(ringer);
    }

    fn interest(&self, channel: Arc<str>, wanted: bool) {
        self.outlet.interest(self.home, channel, wanted);
    }

    fn next_arrival(&self) -> Option<Arrival> {
        let mut batch = self.batch.borrow_mut();
        let next = batch.next();
        if next.is_some() {
            return next;
        }
        *batch = self.inlet.next_batch()?.into_iter();
        batch.next()
    }

    fn took(&self, arrivals: usize, bytes: usize) {
        if self.inlet.took(arrivals, bytes) {
            self.outlet.room();
        }
    }

    fn take_commands(&self) -> Vec<(u64, OperatorCommand)> {
        self.inlet.take_commands()
    }

    fn answer(&self, ticket: u64, outcome: CommandOutcome) {
        self.outlet.outcome(ticket, outcome);
    }
}
