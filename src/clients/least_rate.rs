//! Judges whether a client sends or takes bytes at the required minimum rate. These are plain values without a clock or
//! a socket: ticks and bytes go in, a verdict comes out. [`Pace`] judges windows of waiting, [`BodyClock`] measures how
//! long the server waited for a request's body, and `slowness` feeds a [`Pace`] with the bytes that clients take.

use crate::context::TICK_MS;

/// Bytes beyond the rate count in advance for this many windows. TCP lets a client that reads steadily take a sixteenth
/// of its receive buffer at a time, and nothing in between.
const AHEAD_WINDOWS: u32 = 5;
/// However long a window lasted, at most the bytes of this many windows are required in it. A server that was stopped
/// did not measure meanwhile, and the kernel holds only so many bytes for it.
const LONGEST_WINDOWS: u32 = 2;

/// The minimum rate, and the window in which it is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeastRate {
    bytes_per_s: u64,
    /// Ticks.
    window: u32,
}

impl LeastRate {
    /// A rate over windows of `window` ticks; `None` if the rate is 0, which requires nothing.
    pub fn new(bytes_per_s: u64, window: u32) -> Option<LeastRate> {
        (bytes_per_s > 0).then_some(LeastRate { bytes_per_s, window: window.max(1) })
    }

    fn bytes_in(self, ticks: u32) -> u64 {
        self.bytes_per_s.saturating_mul(u64::from(ticks) * TICK_MS) / 1000
    }
}

/// The progress of a client in the current window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Ticks of the window that have passed.
    passed: u32,
    /// Bytes that the client moved in these ticks.
    moved: u64,
    /// Bytes beyond the rate in the windows before.
    ahead: u64,
}

impl Pace {
    /// Adds `ticks` in which the client could move bytes and moved `bytes`. Returns whether a window has ended with too
    /// few bytes.
    pub fn is_too_slow(&mut self, rate: LeastRate, ticks: u32, bytes: u64) -> bool {
        self.passed = self.passed.saturating_add(ticks);
        self.moved = self.moved.saturating_add(bytes);
        if self.passed < rate.window {
            return false;
        }
        let asked = rate.bytes_in(self.passed.min(rate.window.saturating_mul(LONGEST_WINDOWS)));
        let had = self.moved.saturating_add(self.ahead);
        let most_ahead = rate.bytes_in(rate.window.saturating_mul(AHEAD_WINDOWS));
        *self = Pace { ahead: had.saturating_sub(asked).min(most_ahead), ..Pace::default() };
        had < asked
    }
}

/// The pace of a request's body, measured only while the server is ready to read it.
#[derive(Debug, Default)]
pub(super) struct BodyClock {
    pace: Pace,
    /// The tick since which the server waits for content, as far as that time is not in `waited` yet.
    since: Option<u32>,
    /// Ticks of waiting that were not judged yet.
    waited: u32,
    /// Bytes of content that were not judged yet.
    came: u64,
    /// The tick at which the current wait began. Content ends a wait.
    progress: u32,
}

impl BodyClock {
    /// The server begins to wait for content at `now`. Returns whether it did not wait already.
    pub fn wait(&mut self, now: u32) -> bool {
        let is_new = self.since.is_none();
        if is_new {
            (self.since, self.progress) = (Some(now), now);
        }
        is_new
    }

    /// The wait ends: `bytes` of content have come, or no more content is wanted.
    pub fn go_on(&mut self, now: u32, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited = self.waited.saturating_add(now.wrapping_sub(since));
        }
        self.came = self.came.saturating_add(bytes as u64);
    }

    /// The tick since which the server waits without content, if it waits.
    pub fn waits_since(&self) -> Option<u32> {
        self.since.map(|_| self.progress)
    }

    /// Whether a window has ended in which too few bytes came.
    pub fn is_too_slow(&mut self, now: u32, rate: LeastRate) -> bool {
        // A complete body, or one that the server does not wait for, is not late.
        let Some(since) = &mut self.since else { return false };
        self.waited = self.waited.saturating_add(now.wrapping_sub(*since));
        *since = now;
        let (waited, came) = (std::mem::take(&mut self.waited), std::mem::take(&mut self.came));
        self.pace.is_too_slow(rate, waited, came)
    }

    /// The tick at which the window ends if the server continues to wait; it may have passed. Content that comes by
    /// drops ends waits, but does not put off the end of the window.
    pub fn due(&self, now: u32, rate: LeastRate) -> Option<u32> {
        let waited = self.waited.wrapping_add(now.wrapping_sub(self.since?));
        Some(now.wrapping_add(rate.window).wrapping_sub(self.pace.passed).wrapping_sub(waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 bytes a second, in windows of one.
    fn rate() -> LeastRate {
        LeastRate::new(1_000, 10).unwrap()
    }

    /// Whether each of `steps`, ticks and bytes, ends a window with too few.
    fn verdicts(steps: &[(u32, u64)]) -> Vec<bool> {
        let mut pace = Pace::default();
        steps.iter().map(|(ticks, bytes)| pace.is_too_slow(rate(), *ticks, *bytes)).collect()
    }

    #[test]
    fn a_window_is_judged_when_it_ends_and_not_before() {
        assert_eq!(verdicts(&[(4, 0), (5, 0), (1, 1_000)]), [false, false, false]);
        assert_eq!(verdicts(&[(4, 999), (6, 0)]), [false, true]);
        assert_eq!(verdicts(&[(10, 1_000), (9, 0), (1, 999)]), [false, false, true]);
        assert_eq!(verdicts(&[(15, 1_499)]), [true]);
        assert_eq!(verdicts(&[(15, 1_500)]), [false]);
    }

    #[test]
    fn bytes_beyond_the_rate_count_for_five_windows_more_and_no_longer() {
        let mut steps = vec![(10, 1_000_000)];
        steps.extend([(10, 0); 6]);
        assert_eq!(verdicts(&steps), [false, false, false, false, false, false, true]);
    }

    #[test]
    fn a_server_that_was_stopped_asks_no_more_than_for_two_windows() {
        assert_eq!(verdicts(&[(36_000, 2_000)]), [false]);
        assert_eq!(verdicts(&[(36_000, 1_999)]), [true]);
    }

    #[test]
    fn no_rate_asks_nothing_and_extremes_do_not_overflow() {
        assert!(LeastRate::new(0, 10).is_none());
        let mut pace = Pace::default();
        let greedy = LeastRate::new(u64::MAX, u32::MAX).unwrap();
        assert!(!pace.is_too_slow(greedy, u32::MAX - 1, u64::MAX));
        assert!(!pace.is_too_slow(greedy, u32::MAX, u64::MAX));
        let impatient = LeastRate::new(1_000, 0).unwrap();
        assert!(
            Pace::default().is_too_slow(impatient, 1, 99) && !Pace::default().is_too_slow(impatient, 1, 100)
        );
    }

    #[test]
    fn only_the_time_in_which_the_server_waits_counts_for_a_body() {
        let start = u32::MAX - 3;
        let at = |after: u32| start.wrapping_add(after);
        let mut clock = BodyClock::default();
        assert!(clock.wait(at(0)) && !clock.wait(at(2)));
        assert_eq!((clock.waits_since(), clock.due(at(4), rate())), (Some(at(0)), Some(at(10))));
        clock.go_on(at(5), 300);
        // For a long time nobody wants more.
        assert_eq!((clock.waits_since(), clock.due(at(400), rate())), (None, None));
        assert!(!clock.is_too_slow(at(400), rate()));
        assert!(clock.wait(at(500)));
        assert_eq!((clock.waits_since(), clock.due(at(500), rate())), (Some(at(500)), Some(at(505))));
        assert!(!clock.is_too_slow(at(504), rate()));
        assert_eq!(clock.waits_since(), Some(at(500)), "a look is no progress");
        assert!(clock.is_too_slow(at(505), rate()));
    }

    #[test]
    fn content_by_drops_does_not_put_the_end_of_a_window_off() {
        let mut clock = BodyClock::default();
        for now in 0..30 {
            assert!(clock.wait(now));
            assert_eq!(clock.due(now, rate()), Some(10));
            clock.go_on(now + 1, 1);
        }
        clock.wait(30);
        assert!(clock.is_too_slow(30, rate()));
        assert_eq!(clock.due(30, rate()), Some(40));
    }
}
