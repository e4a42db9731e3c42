//! The channel of each subscriber. Every process computes it from the subscriber's number alone, so no table of a million
//! entries is sent or kept.

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Zipf};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How subscribers are spread over channels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// All subscribers have one channel.
    One,
    /// Each subscriber has its own channel.
    Each,
    /// The channel of rank k has a share of subscribers in proportion to k to the power of `-exponent`.
    Zipf {
        /// Number of channels. Nothing is published to channels without subscribers.
        channels: u32,
        /// The exponent: 1 is Zipf's law, 0 spreads subscribers evenly.
        exponent: f64,
    },
}

impl Layout {
    /// The channel of a subscriber, the same in every run.
    pub fn channel(&self, subscriber: u32) -> u32 {
        match *self {
            Layout::One => 0,
            Layout::Each => subscriber,
            Layout::Zipf { channels, exponent } => {
                let Ok(zipf) = Zipf::new(f64::from(channels.max(1)), exponent.max(0.0)) else { return 0 };
                let rank: f64 = zipf.sample(&mut SmallRng::seed_from_u64(u64::from(subscriber)));
                rank as u32 - 1
            }
        }
    }

    /// The channels of the first `subscribers` subscribers.
    pub fn channels(&self, subscribers: u32) -> Vec<u32> {
        match self {
            Layout::One => vec![0],
            Layout::Each => (0..subscribers).collect(),
            Layout::Zipf { .. } => {
                let mut listeners: BTreeMap<u32, u32> = BTreeMap::new();
                (0..subscribers)
                    .for_each(|subscriber| *listeners.entry(self.channel(subscriber)).or_default() += 1);
                listeners.into_keys().collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_favours_the_first_channels() {
        let layout = Layout::Zipf { channels: 100, exponent: 1.0 };
        let mut listeners = [0; 100];
        (0..10_000).for_each(|subscriber| listeners[layout.channel(subscriber) as usize] += 1);
        // Of 10,000: 1/H(100) = 19 % for the first, half of that for the second.
        assert!((1700..2200).contains(&listeners[0]), "{}", listeners[0]);
        assert!((800..1150).contains(&listeners[1]), "{}", listeners[1]);
        assert!(listeners[99] < 60, "{}", listeners[99]);
    }

    #[test]
    fn channels_are_those_that_have_listeners() {
        assert_eq!(Layout::One.channels(5), [0]);
        assert_eq!(Layout::Each.channels(3), [0, 1, 2]);
        let layout = Layout::Zipf { channels: 1000, exponent: 1.2 };
        let channels = layout.channels(50);
        assert!(channels.len() <= 50 && (0..50).all(|one| channels.contains(&layout.channel(one))));
    }
}
