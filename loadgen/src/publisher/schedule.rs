//! The times at which publish calls are due. Lanes share the schedule: lane k of n sends calls k, k + n, k + 2n.

use super::plan::PublishPlan;

pub(super) struct Schedule {
    started_ns: u64,
    /// Time between two calls of all lanes; 0 means no pause.
    interval_ns: f64,
    batch: u32,
    messages: u64,
    until_ns: u64,
    lane: u64,
    lanes: u64,
}

/// A call to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub at_ns: u64,
    pub messages: u32,
}

impl Schedule {
    pub fn new(plan: &PublishPlan, started_ns: u64, lane: u64, lanes: u64) -> Schedule {
        let batch = plan.batch.max(1);
        let interval_ns = if plan.rate_hz > 0.0 { 1e9 * f64::from(batch) / plan.rate_hz } else { 0.0 };
        let duration_ns = plan.duration.map(|duration| duration.as_nanos() as u64);
        let messages = plan.messages.unwrap_or(if duration_ns.is_some() { u64::MAX } else { 1 });
        let until_ns = duration_ns.map_or(u64::MAX, |duration_ns| started_ns + duration_ns);
        Schedule { started_ns, interval_ns, batch, messages, until_ns, lane, lanes }
    }

    /// The call after `calls` calls of this lane, if there is one. Without a rate, a call is due when the server has taken
    /// the call before it.
    pub fn call(&self, calls: u64, now_ns: u64) -> Option<Due> {
        let number = calls * self.lanes + self.lane;
        let before = number.saturating_mul(u64::from(self.batch));
        let left = self.messages.saturating_sub(before).min(u64::from(self.batch)) as u32;
        let at_ns = match self.interval_ns > 0.0 {
            true => self.started_ns + (number as f64 * self.interval_ns) as u64,
            false => now_ns,
        };
        (left > 0 && at_ns < self.until_ns).then_some(Due { at_ns, messages: left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(rate_hz: f64, batch: u32, messages: Option<u64>, lane: u64) -> Schedule {
        let plan = super::super::tests::plan(rate_hz, batch, messages);
        Schedule::new(&plan, 1000, lane, 2)
    }

    #[test]
    fn lanes_take_turns_and_the_last_call_has_what_is_left() {
        let (first, second) = (schedule(1e9, 10, Some(25), 0), schedule(1e9, 10, Some(25), 1));
        assert_eq!(first.call(0, 0), Some(Due { at_ns: 1000, messages: 10 }));
        assert_eq!(second.call(0, 0), Some(Due { at_ns: 1010, messages: 10 }));
        assert_eq!(first.call(1, 0), Some(Due { at_ns: 1020, messages: 5 }));
        assert_eq!((second.call(1, 0), first.call(2, 0)), (None, None));
    }

    #[test]
    fn a_call_is_due_when_the_schedule_says_however_late_it_is() {
        assert_eq!(schedule(1e9, 1, None, 0).call(3, 1 << 40), None, "without a number there is one message");
        assert_eq!(schedule(1e9, 1, Some(100), 0).call(3, 1 << 40).map(|due| due.at_ns), Some(1006));
        assert_eq!(schedule(0.0, 1, Some(100), 0).call(3, 77).map(|due| due.at_ns), Some(77));
    }
}
