//! Decides when a datagram socket is read. A datagram that comes alone is read as soon as the kernel reports it. In a
//! dense flow, this would cost one wakeup for each datagram, so reads are [`GATHER_US`] apart and the kernel keeps
//! the datagrams in between. If one read does not empty the socket, the socket is read again at once. Times are
//! microseconds of the core's clock.

/// The least time between two reads that each emptied the socket, us. A datagram of a dense flow waits at most this
/// long.
pub const GATHER_US: u64 = 200;
/// If one read returns at least this many datagrams, the flow is dense: more will come before a wakeup would be over.
const DENSE: usize = 4;

/// When one socket is read next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    state: State,
    last_read_us: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The kernel will report the next datagram.
    Watched,
    /// The socket may have datagrams to read.
    Ready,
    /// The socket is not read before this time.
    Waiting { until_us: u64 },
}

impl Pace {
    /// The state of a socket that the kernel watches.
    pub fn watched() -> Pace {
        Pace { state: State::Watched, last_read_us: None }
    }

    /// The kernel reported that a datagram arrived.
    pub fn arrived(&mut self, now_us: u64) {
        let until_us = self.last_read_us.map_or(0, |last| last + GATHER_US);
        self.state = if until_us > now_us { State::Waiting { until_us } } else { State::Ready };
    }

    /// Whether the socket must be read now.
    pub fn is_due(&mut self, now_us: u64) -> bool {
        if matches!(self.state, State::Waiting { until_us } if until_us <= now_us) {
            self.state = State::Ready;
        }
        self.state == State::Ready
    }

    /// Whether the kernel watches the socket and will report the next datagram.
    pub fn is_watched(&self) -> bool {
        self.state == State::Watched
    }

    /// Whether the socket waits for a time, at which the caller has to call [`Pace::is_due`] again.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    /// The socket was read: the read returned `received` datagrams, and `more` says whether others may be left.
    /// Returns whether the kernel must watch the socket from now on.
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

    /// The datagrams of the socket cannot be published now, so the socket is read later.
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
