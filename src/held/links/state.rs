//! What a stream with links is between two requests, and when it is to do something next.

use super::gone::GoneLink;
use super::target::Next;
use crate::channel::HeardUpTo;
use crate::context::{TICK_MS, ticks};
use crate::held::keep_alive::KeepAlive;
use std::rc::Rc;

/// The state of a stream with links.
pub(super) struct State {
    /// What it is sent while nothing is published.
    pub keep_alive: Option<Rc<KeepAlive>>,
    /// Where it goes on.
    pub next: Option<Next>,
    /// Whom to tell when its client is gone.
    pub gone: Option<GoneLink>,
    pub doing: Doing,
    pub failures: u32,
    /// How often in a row the link's answer was behind what was published when it came.
    pub behind: u32,
    keep_alive_due: Option<u32>,
    next_due: Option<u32>,
}

/// What a stream does now.
pub(super) enum Doing {
    /// It is held.
    Held,
    /// Its next link is to be asked for when its client has taken what there is.
    GoesOn,
    /// Its next link is asked for, or will be, with this number.
    Fetching { number: u64, heard: Vec<HeardUpTo> },
}

/// What is due.
#[derive(Default)]
pub(super) struct Due {
    /// To send this.
    pub keep_alive: Option<Rc<KeepAlive>>,
    /// To ask for the next link, if the channels have been quiet for so many seconds.
    pub next_after_s: Option<u64>,
}

impl State {
    /// A stream that is held, or one that `goes_on` at once.
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

    /// Whether its next link is to be asked for when its client has taken what there is.
    pub fn goes_on(&self) -> bool {
        matches!(self.doing, Doing::GoesOn)
    }

    /// Whether it waits for its request with this number.
    pub fn waits_for(&self, number: u64) -> bool {
        matches!(self.doing, Doing::Fetching { number: own, .. } if own == number)
    }

    /// Whether its next link can be asked for, and is not already.
    pub fn can_fetch(&self) -> bool {
        self.next.is_some() && !matches!(self.doing, Doing::Fetching { .. })
    }

    /// All that is done after a while is done a while from now; the delay until the first of it, ms.
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

    /// Its keep-alive is due `keep_alive_ms` from tick `now`, and its next link in `next` ticks, as far as they are
    /// given; the delay until the first of all, ms.
    pub fn wind(&mut self, now: u32, keep_alive_ms: Option<u64>, next: Option<u32>) -> Option<u64> {
        if let Some(delay_ms) = keep_alive_ms {
            self.keep_alive_due = Some(now.wrapping_add(ticks(delay_ms)));
        }
        if let Some(delay) = next {
            self.next_due = Some(now.wrapping_add(delay));
        }
        self.delay_ms(now)
    }

    /// After how many seconds of quiet its next link is asked for. A timeout of nothing would ask without end.
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
