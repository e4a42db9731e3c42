//! Decides when connections are opened: only a window of them at the same time, and no faster than a rate if one is set. The
//! opening ends when all connections are open or have failed, at the latest at a deadline.

use super::subscribers::Subscribers;
use crate::orders::Assignment;

pub(super) struct Opening {
    subscribers: u32,
    window: u32,
    /// Connections opened per second; 0 means no limit.
    rate_hz: f64,
    allowed_ns: u64,
    begun: u32,
    started_ns: Option<u64>,
    /// The duration of the opening, until it is taken.
    seconds: Option<f64>,
    over: bool,
}

impl Opening {
    pub fn new(assignment: &Assignment) -> Opening {
        Opening {
            subscribers: assignment.subscribers,
            window: assignment.window.max(1),
            rate_hz: assignment.rate_hz,
            allowed_ns: assignment.opening_ms * 1_000_000,
            begun: 0,
            started_ns: None,
            seconds: None,
            over: false,
        }
    }

    /// Opens the connections that may be opened now. Returns the latest time of the next call.
    pub fn advance(&mut self, subscribers: &mut Subscribers, now_ns: u64) -> u64 {
        if self.over {
            return u64::MAX;
        }
        let started_ns = *self.started_ns.get_or_insert(now_ns);
        let elapsed_ns = now_ns.saturating_sub(started_ns);
        let limit = match self.rate_hz > 0.0 {
            true => (elapsed_ns as f64 / 1e9 * self.rate_hz) as u32 + 1,
            false => u32::MAX,
        };
        if elapsed_ns > self.allowed_ns {
            let pending = self.subscribers - subscribers.open() - subscribers.progress.failed;
            subscribers.fail(pending, "not open in time");
        }
        while self.begun < self.subscribers.min(limit) && self.pending(subscribers) < self.window {
            subscribers.begin();
            self.begun += 1;
        }
        if subscribers.open() + subscribers.progress.failed >= self.subscribers {
            self.over = true;
            self.seconds = Some(elapsed_ns as f64 / 1e9);
            return u64::MAX;
        }
        let next_ns = match limit < u32::MAX && self.begun >= limit {
            true => started_ns + (f64::from(self.begun) / self.rate_hz * 1e9) as u64,
            false => u64::MAX,
        };
        next_ns.min(started_ns + self.allowed_ns + 1)
    }

    fn pending(&self, subscribers: &Subscribers) -> u32 {
        self.begun.saturating_sub(subscribers.open() + subscribers.progress.failed)
    }

    /// Takes the duration of the opening in seconds, once, after its end.
    pub fn finished(&mut self) -> Option<f64> {
        self.seconds.take()
    }
}
