//! Bounds how often filters ask one URL: at most [`PER_SECOND`] times a second over all cores, and the first few times
//! at once. This is a value without a clock: it is told the time, and says how long to wait.

use crate::ids::NameMap;
use crate::proto::grip::LinkTarget;

/// Requests of filters to one URL in a second.
const PER_SECOND: u64 = 100;
/// Requests without delay to a URL that was not asked for a while.
const AT_ONCE: u64 = 10;
/// With this many remembered URLs, the URLs that need not be remembered are removed.
const URLS: usize = 1024;

/// When each URL may be asked.
pub(super) struct Pace {
    interval_us: u64,
    /// For each URL, the time up to which its requests so far use up its rate, us.
    even: NameMap<LinkTarget, u64>,
}

impl Pace {
    /// The share of one core in a server with this many `cores`.
    pub fn new(cores: usize) -> Pace {
        let interval_us = 1_000_000 * cores.max(1) as u64 / PER_SECOND;
        Pace { interval_us, even: NameMap::default() }
    }

    /// How long the next request to `url` must wait, ms. Counts the request as made.
    pub fn delay_ms(&mut self, url: &LinkTarget, now_ms: u64) -> u64 {
        let now_us = now_ms * 1000;
        if self.even.len() >= URLS {
            self.even.retain(|_, even_us| *even_us > now_us);
        }
        let even_us = self.even.get(url).map_or(now_us, |even_us| (*even_us).max(now_us));
        self.even.insert(url.clone(), even_us + self.interval_us);
        let ahead_us = (even_us - now_us).saturating_sub((AT_ONCE - 1) * self.interval_us);
        ahead_us.div_ceil(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(path: &str) -> LinkTarget {
        LinkTarget { https: false, authority: "a".into(), path_and_query: path.into() }
    }

    #[test]
    fn each_url_has_a_pace_of_its_own() {
        let mut pace = Pace::new(1);
        let delays: Vec<u64> = (0..12).map(|_| pace.delay_ms(&url("/a"), 5)).collect();
        assert_eq!(delays, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 20]);
        assert_eq!((pace.delay_ms(&url("/b"), 5), pace.delay_ms(&url("/a"), 10_000)), (0, 0));
        let mut quarter = Pace::new(4);
        assert_eq!((0..12).map(|_| quarter.delay_ms(&url("/a"), 0)).max(), Some(80));
    }

    #[test]
    fn urls_that_are_quiet_are_forgotten() {
        let mut pace = Pace::new(1);
        for number in 0..3 * URLS as u64 {
            pace.delay_ms(&url(&number.to_string()), number * 1000);
        }
        assert!(pace.even.len() <= URLS);
    }

    proptest! {
        #[test]
        fn in_no_second_are_there_more_than_may_be(
            cores in 1..5usize, gaps in prop::collection::vec(0..30u64, 1..600),
        ) {
            let (mut pace, mut now_ms) = (Pace::new(cores), 0);
            let mut asked: Vec<u64> = gaps.iter().map(|gap| {
                now_ms += gap;
                now_ms + pace.delay_ms(&url("/"), now_ms)
            }).collect();
            asked.sort_unstable();
            let most = (PER_SECOND / cores as u64 + AT_ONCE + 1) as usize;
            prop_assert!(asked.windows(most + 1).all(|window| window[most] - window[0] >= 1000));
        }
    }
}
