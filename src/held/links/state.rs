//! The state of a stream with links between two requests, and the times of its next actions.

use super::gone::GoneLink;
use super::target::Next;
use crate::channel::HeardUpTo;
use crate::context::{TICK_MS, ticks};
use crate::held::keep_alive::KeepAlive;
use std::rc::Rc;

/// The state of a stream with links.
pub(super) struct State {
    /// The stream's keep-alive, if it has one.
    pub keep_alive: Option<Rc<KeepAlive>>,
    /// The next link.
    pub next: Option<Next>,
    /// The gone link.
    pub gone: Option<GoneLink>,
    pub doing: Doing,
    pub failures: u32,
    /// How many times in a row the link's answer was behind the published items when it arrived.
    pub behind: u32,
    pub(super) keep_alive_due: Option<u32>,
    pub(super) next_due: Option<u32>,
}

/// What a stream is doing now.
pub(super) enum Doing {
    /// The stream is held.
    Held,
    /// The stream will request its next link when its client has taken everything that was sent.
    GoesOn,
    /// The request of its next link, with this number, is under way or waits for its permit.
    Fetching { number: u64, heard: Vec<HeardUpTo> },
}

/// The actions that are due.
#[derive(Default)]
pub(super) struct Due {
    /// Send this keep-alive.
    pub keep_alive: Option<Rc<KeepAlive>>,
    /// Request the next link, if the channels have been quiet for this many seconds.
    pub next_after_s: Option<u64>,
}

impl State {
    /// The state of a stream that is held, or that continues with its link at once (`goes_on`).
    pub fn new(
        keep_alive: Option<Rc<KeepAlive>>,
        next: Option<Next>,
        gone: Option<GoneLink>,
        goes_on: bool,
    ) -> State {
        let doing = if goes_on { Doing::GoesOn } else { Doing::Held };
        let (keep_alive_due, next_due) = (None, None);
        State { keep_alive, next, gone, doing, keep_alive_due, next_due, failures: 0, behind: 0 }
    }

    /// Whether the stream will request its next link when its client has taken everything that was sent.
    pub fn goes_on(&self) -> bool {
        matches!(self.doing, Doing::GoesOn)
    }

    /// Whether the stream waits for its request with this number.
    pub fn waits_for(&self, number: u64) -> bool {
        matches!(self.doing, Doing::Fetching { number: own, .. } if own == number)
    }

    /// Whether the stream has a next link that is not being requested.
    pub fn can_fetch(&self) -> bool {
        self.next.is_some() && !matches!(self.doing, Doing::Fetching { .. })
    }

    /// Sets the times of the keep-alive and of the next link anew, beginning at `now`. Returns the delay until the
    /// first of them, ms.
    pub fn restart_clock(&mut self, now: u32) -> Option<u64> {
        let keep_alive = self.keep_alive.as_ref().map(|keep_alive| ticks(keep_alive.period_ms));
        self.keep_alive_due = keep_alive.map(|delay| now.wrapping_add(delay));
        let next = self.timeout_s().map(|timeout_s| ticks(timeout_s.saturating_mul(1000)));
        self.next_due = next.map(|delay| now.wrapping_add(delay));
        self.delay_ms(now)
    }

    /// Takes out what is due at tick `now`.
    pub fn take_due(&mut self, now: u32) -> Due {
        let is_due = |due: &u32| (due.wrapping_sub(now) as i32) <= 0;
        let keep_alive = self.keep_alive_due.take_if(|due| is_due(due));
        let next = self.next_due.take_if(|due| is_due(due));
        Due { keep_alive: keep_alive.and(self.keep_alive.clone()), next_after_s: next.and(self.timeout_s()) }
    }

    /// Sets the keep-alive to `keep_alive_ms` from tick `now`, and the next link to `next` ticks from `now`, as far as
    /// they are given. Returns the delay until the first action, ms.
    pub fn wind(&mut self, now: u32, keep_alive_ms: Option<u64>, next: Option<u32>) -> Option<u64> {
        if let Some(delay_ms) = keep_alive_ms {
            self.keep_alive_due = Some(now.wrapping_add(ticks(delay_ms)));
        }
        if let Some(delay) = next {
            self.next_due = Some(now.wrapping_add(delay));
        }
        self.delay_ms(now)
    }

    /// After how many seconds of quiet the next link is requested. At least 1, because a timeout of 0 would request it
    /// without end.
    fn timeout_s(&self) -> Option<u64> {
        self.next.as_ref().map(|next| next.timeout_s.max(1))
    }

    fn delay_ms(&self, now: u32) -> Option<u64> {
        let all = [self.keep_alive_due, self.next_due].into_iter().flatten();
        all.map(|due| u64::from(remaining(due, now)) * TICK_MS).min()
    }
}

/// Ticks from `now` to `due`; at least one.
pub(super) fn remaining(due: u32, now: u32) -> u32 {
    (due.wrapping_sub(now) as i32).max(1) as u32
}
