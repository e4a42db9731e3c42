//! Whether the server is ready for new clients. The main thread sets it, and a core that is asked for a drain; the cores
//! read it: `/readyz` on the control port and the metrics port answers by it, so load balancers and orchestrators follow it.
//! It only moves forward.

use std::sync::atomic::{AtomicU8, Ordering};

/// A part of the server's life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Not all cores serve yet.
    Starting,
    /// All cores serve.
    Ready,
    /// The server is about to end, and should get no new clients.
    Draining,
}

/// The phase that the server is in, shared by all threads.
#[derive(Debug, Default)]
pub struct Readiness(AtomicU8);

impl Readiness {
    /// Enters `phase`. A phase that is already over stays over, so a core that starts late does not end a drain.
    pub fn enter(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::Relaxed);
    }

    /// The phase that the server is in.
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_that_is_over_stays_over() {
        let readiness = Readiness::default();
        assert_eq!(readiness.phase(), Phase::Starting);
        for (entered, is) in [
            (Phase::Ready, Phase::Ready),
            (Phase::Starting, Phase::Ready),
            (Phase::Draining, Phase::Draining),
            (Phase::Ready, Phase::Draining),
        ] {
            readiness.enter(entered);
            assert_eq!(readiness.phase(), is);
        }
    }
}
