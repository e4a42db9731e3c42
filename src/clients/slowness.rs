//! Finds slow clients, in both directions: clients that take bytes too slowly, and clients that send a request's body
//! too slowly. Clients with a backlog, which are few, are all looked at about every two seconds; clients without a
//! backlog have no overhead. A client that takes bytes puts off its timeouts (`closing`), and it must take at least
//! `http.min_answer_bytes_per_s`. A request's body is judged by its [`BodyClock`](super::least_rate::BodyClock) and by
//! the timer of its exchange.

use super::Clients;
use super::exchange::Exchange;
use super::held::InKernel;
use super::least_rate::{LeastRate, Pace};
use crate::config::Http;
use crate::context::ticks;
use crate::ids::Slot;
use crate::slack::Look;
use crate::wire::Taken;
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// How often clients with a backlog are looked at in a window, or in the idle timeout if that is shorter.
const LOOKS: u64 = 4;
/// The longest time between two looks, ms. The shortest is a tick.
const SELDOM_MS: u64 = 2_000;

/// All clients of a core that have a backlog.
#[derive(Default)]
pub(super) struct Takings {
    by_slot: FxHashMap<Slot, Taking>,
    /// The tick of the last look at them.
    looked_at: u32,
}

/// The pace at which one client takes its backlog.
struct Taking {
    pace: Pace,
    looked_at: u32,
    /// The tick at which the client last took bytes, or was found to have a backlog.
    progress: u32,
}

impl Takings {
    /// The client in `slot` has no backlog any more.
    pub fn forget(&mut self, slot: Slot) {
        if !self.by_slot.is_empty() {
            self.by_slot.remove(&slot);
        }
    }

    /// Shows the table to `look`, which shrinks tables that have been nearly empty for a while.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.by_slot);
    }
}

impl Clients {
    /// Looks at clients with a backlog, if that is due. Returns whether there are more to look at.
    pub fn look_at_backlogs(&self) -> bool {
        let mut takings = self.takings.borrow_mut();
        if self.context.now().wrapping_sub(takings.looked_at) >= look_every(&self.context.settings().http) {
            takings.looked_at = self.context.now();
            self.wire.borrow_mut().begin_to_measure();
        }
        self.wire.borrow_mut().measure_some()
    }

    /// Judges the client in `slot`, which has a backlog, by the bytes that it has taken since the last look.
    pub fn took(self: &Rc<Self>, slot: Slot, taken: Taken) {
        if !self.wire.borrow().is_backlogged(slot) {
            return;
        }
        let rate = answer_rate(&self.context.settings().http);
        let (bytes, is_too_slow) = self.takings.borrow_mut().judge(slot, self.context.now(), taken, rate);
        if bytes > 0
            && let Some(held) = self.held(slot)
        {
            // A client that is still taking a long message cannot answer a ping behind it, but is not silent.
            held.took();
        }
        if is_too_slow {
            let peer = self.rows.borrow_mut().get(slot).and_then(|row| row.peer());
            tracing::debug!(?peer, "a client was reset: it reads too slowly (http.min_answer_bytes_per_s)");
            self.context.metrics.slow_readers_total.add(1);
            self.reset(slot, InKernel::Discarded);
        }
    }

    /// The tick since which the client in `slot` has taken no bytes, if it has a backlog.
    pub(super) fn takes_nothing_since(&self, slot: Slot) -> Option<u32> {
        // The client of a virtual slot is this server itself, and its SockJS conversation has a timeout of its own.
        if slot.is_virtual() || !self.wire.borrow().is_backlogged(slot) {
            return None;
        }
        // A client that was not looked at yet has had a backlog only for a moment.
        Some(self.takings.borrow().by_slot.get(&slot).map_or(self.context.now(), |taking| taking.progress))
    }

    /// Whether the client in `slot` has a backlog, and has taken bytes of it within the last `patience_ms`.
    pub fn takes_within(&self, slot: Slot, patience_ms: u64) -> bool {
        let since = self.takes_nothing_since(slot);
        since.is_some_and(|since| self.context.now().wrapping_sub(since) < ticks(patience_ms))
    }

    /// Sets the timer of `exchange` so that it fires when a window ends, until the body is complete.
    pub(super) fn watch_body(&self, exchange: &Exchange) {
        let settings = self.context.settings();
        let Some(rate) = body_rate(&settings.http) else { return };
        let is_current =
            self.rows.borrow_mut().get(exchange.slot).is_some_and(|row| row.is_answered_by(exchange));
        if let Some(due) = exchange.body_due(rate).filter(|_| is_current) {
            let idle_due = self.context.now().wrapping_add(ticks(settings.http.idle_timeout_ms));
            let first = self.earlier(due, idle_due);
            self.timers.borrow_mut().set(exchange.slot, first);
        }
    }

    /// Judges an exchange whose timer has fired. An exchange may wait for its origin as long as the origin's timeout
    /// allows, but it may wait for its client, or for a slow body, only as long as the settings for clients allow.
    pub(super) fn check_progress(self: &Rc<Self>, exchange: &Exchange) {
        let settings = self.context.settings();
        let rate = body_rate(&settings.http);
        if rate.is_some_and(|rate| exchange.body_is_too_slow(rate)) {
            return self.refuse_slow_body(exchange);
        }
        let patience = ticks(settings.http.idle_timeout_ms);
        let left = match exchange.waits_for_client_since() {
            Some(since) => patience.saturating_sub(self.context.now().wrapping_sub(since)),
            None => patience,
        };
        if left == 0 {
            return self.close_idle(exchange.slot);
        }
        let idle_due = self.context.now().wrapping_add(left);
        let due = rate.and_then(|rate| exchange.body_due(rate)).unwrap_or(idle_due);
        let first = self.earlier(due, idle_due);
        self.timers.borrow_mut().set(exchange.slot, first);
    }

    /// The earlier of two ticks, which may have passed.
    fn earlier(&self, one: u32, other: u32) -> u32 {
        let ahead = |tick: u32| tick.wrapping_sub(self.context.now()) as i32;
        if ahead(one) <= ahead(other) { one } else { other }
    }

    /// The client in `slot` has sent nothing for as long as a connection may be idle. Closes the connection, unless the
    /// client is taking its backlog.
    pub(super) fn is_idle(self: &Rc<Self>, slot: Slot) {
        let patience = ticks(self.context.settings().http.idle_timeout_ms);
        let idle = self.takes_nothing_since(slot).map(|since| self.context.now().wrapping_sub(since));
        match idle.filter(|idle| *idle < patience) {
            Some(idle) => {
                self.timers.borrow_mut().set(slot, self.context.now().wrapping_add(patience - idle));
            }
            None => self.close_idle(slot),
        }
    }

    fn close_idle(self: &Rc<Self>, slot: Slot) {
        let is_backlogged = self.wire.borrow().is_backlogged(slot);
        match is_backlogged {
            true => self.reset(slot, InKernel::Discarded),
            false => self.close(slot, false),
        }
    }

    fn refuse_slow_body(self: &Rc<Self>, exchange: &Exchange) {
        let peer = self.rows.borrow_mut().get(exchange.slot).and_then(|row| row.peer());
        tracing::debug!(
            ?peer,
            "a request was refused: its body came too slowly (http.min_request_bytes_per_s)"
        );
        self.context.metrics.slow_bodies_total.add(1);
        if exchange.has_answered() {
            return self.reset(exchange.slot, InKernel::Discarded);
        }
        exchange.end();
        self.close_with_error(exchange.slot, 408, "The request body came too slowly.\n");
    }
}

impl Takings {
    /// The bytes that the client in `slot` is known to have taken since the last look, and whether a window has ended
    /// with too few bytes.
    fn judge(&mut self, slot: Slot, now: u32, taken: Taken, rate: Option<LeastRate>) -> (u64, bool) {
        if taken == Taken::Unknown {
            self.by_slot.remove(&slot);
        }
        let new = || Taking { pace: Pace::default(), looked_at: now, progress: now };
        let taking = self.by_slot.entry(slot).or_insert_with(new);
        let passed = now.wrapping_sub(std::mem::replace(&mut taking.looked_at, now));
        let (bytes, is_too_slow) = match (taken, rate) {
            (Taken::Bytes(bytes), Some(rate)) => (bytes, taking.pace.is_too_slow(rate, passed, bytes)),
            (Taken::Bytes(bytes) | Taken::AtLeast(bytes), _) => (bytes, false),
            (Taken::Unknown, _) => (0, false),
        };
        if bytes > 0 {
            taking.progress = now;
        }
        (bytes, is_too_slow)
    }
}

/// Ticks between two looks.
fn look_every(http: &Http) -> u32 {
    let shortest_ms = http.rate_grace_ms.min(http.idle_timeout_ms);
    ticks((shortest_ms / LOOKS).clamp(1, SELDOM_MS))
}

fn answer_rate(http: &Http) -> Option<LeastRate> {
    LeastRate::new(http.min_answer_bytes_per_s, ticks(http.rate_grace_ms))
}

fn body_rate(http: &Http) -> Option<LeastRate> {
    LeastRate::new(http.min_request_bytes_per_s, ticks(http.rate_grace_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 bytes a second, in windows of one.
    fn rate() -> Option<LeastRate> {
        LeastRate::new(1_000, 10)
    }

    #[test]
    fn a_client_is_judged_from_the_first_look_on_and_anew_when_it_had_caught_up() {
        let (slot, mut takings) = (Slot(3), Takings::default());
        assert_eq!(takings.judge(slot, 50, Taken::Unknown, rate()), (0, false));
        assert_eq!(takings.judge(slot, 59, Taken::Bytes(0), rate()), (0, false));
        assert_eq!(takings.judge(slot, 60, Taken::Unknown, rate()), (0, false));
        assert_eq!(takings.judge(slot, 69, Taken::Bytes(10), rate()), (10, false));
        assert_eq!(takings.by_slot[&slot].progress, 69);
        assert_eq!(takings.judge(slot, 70, Taken::Bytes(0), rate()), (0, true));
        assert_eq!(takings.by_slot[&slot].progress, 69);
    }

    #[test]
    fn nobody_is_judged_by_what_the_kernel_cannot_tell_or_without_a_rate() {
        let (slot, mut takings) = (Slot(3), Takings::default());
        takings.judge(slot, 0, Taken::Unknown, rate());
        assert_eq!(takings.judge(slot, 1_000, Taken::AtLeast(0), rate()), (0, false));
        assert_eq!(takings.judge(slot, 2_000, Taken::Bytes(0), None), (0, false));
        assert_eq!(takings.judge(slot, 2_001, Taken::AtLeast(5), rate()), (5, false));
    }

    #[test]
    fn looks_are_frequent_enough_for_every_timeout_and_seldom_otherwise() {
        let of = |rate_grace_ms, idle_timeout_ms| {
            look_every(&Http { rate_grace_ms, idle_timeout_ms, ..Http::default() })
        };
        assert_eq!([of(10_000, 120_000), of(2_000, 120_000), of(10_000, 1_000), of(1, 1)], [20, 5, 3, 1]);
    }
}
