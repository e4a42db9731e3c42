//! When a datagram socket is read. A datagram that comes alone is taken as soon as the kernel says so. In a dense flow
//! that would be a wakeup for each: there, reads are [`GATHER_US`] apart, and the kernel keeps what comes meanwhile. While
//! more is waiting than one read takes, it is read again at once. Times are microseconds of the core's clock.

/// The least time between two reads of a socket that were not full, us: what a datagram of a dense flow may wait.
pub const GATHER_US: u64 = 200;
/// As many datagrams in one read say that more will come before a wakeup would be over.
const DENSE: usize = 4;

/// The state of one socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    state: State,
    last_read_us: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The kernel will say when something arrives.
    Watched,
    /// There may be something to read.
    Ready,
    /// It is not looked at before this time.
    Waiting { until_us: u64 },
}

impl Pace {
    /// A socket that is watched.
    pub fn watched() -> Pace {
        Pace { state: State::Watched, last_read_us: None }
    }

    /// The kernel said that something arrived.
    pub fn arrived(&mut self, now_us: u64) {
        let until_us = self.last_read_us.map_or(0, |last| last + GATHER_US);
        self.state = if until_us > now_us { State::Waiting { until_us } } else { State::Ready };
    }

    /// Whether it is to be read now.
    pub fn is_due(&mut self, now_us: u64) -> bool {
        if matches!(self.state, State::Waiting { until_us } if until_us <= now_us) {
            self.state = State::Ready;
        }
        self.state == State::Ready
    }

    /// Whether the kernel will say when something arrives.
    pub fn is_watched(&self) -> bool {
        self.state == State::Watched
    }

    /// Whether it waits for a time, at which someone has to look again.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    /// It was read: `received` datagrams, and `more` may be there. Whether it must be watched from now on.
    #[must_use]
    pub fn was_read(&mut self, received: usize, more: bool, now_us: u64) -> bool {
        self.last_read_us = Some(now_us);
        self.state = match received {
            _ if more => State::Ready,
            DENSE.. => State::Waiting { until_us: now_us + GATHER_US },
            _ => State::Watched,
        };
        self.state == State::Watched
    }

    /// What was to be read cannot be taken now.
    pub fn put_off(&mut self, now_us: u64) {
        self.state = State::Waiting { until_us: now_us + GATHER_US };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_datagrams_are_taken_at_once() {
        let mut pace = Pace::watched();
        for now_us in [5, 5_000, 10_000] {
            assert!(!pace.is_due(now_us));
            pace.arrived(now_us);
            assert!(pace.is_due(now_us));
            assert!(pace.was_read(1, false, now_us));
        }
    }

    #[test]
    fn reads_of_a_flow_are_apart_unless_more_is_waiting() {
        let mut pace = Pace::watched();
        pace.arrived(1_000);
        assert!(pace.is_due(1_000) && pace.was_read(1, false, 1_000));
        pace.arrived(1_003);
        assert!(!pace.is_due(1_003) && pace.is_waiting());
        let next = 1_000 + GATHER_US;
        assert!(pace.is_due(next) && !pace.was_read(64, true, next) && pace.is_due(next));
        assert!(!pace.was_read(20, false, next));
        assert!(!pace.is_due(next + GATHER_US - 1) && pace.is_due(next + GATHER_US));
        assert!(pace.was_read(0, false, next + GATHER_US), "silence is left to the kernel");
    }

    #[test]
    fn what_cannot_be_taken_is_looked_at_later() {
        let mut pace = Pace::watched();
        pace.arrived(0);
        pace.put_off(10);
        assert!(!pace.is_due(10) && pace.is_due(10 + GATHER_US));
    }
}
