//! How long tests wait: every wait of the harness ends, and says what it waited for.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long anything is awaited before a test fails: a minute, or as many seconds as `GRIPWIRE_TEST_PATIENCE` says.
/// Only what is broken takes that long, so it is no measure of speed.
pub fn patience() -> Duration {
    static PATIENCE: OnceLock<Duration> = OnceLock::new();
    *PATIENCE.get_or_init(|| Duration::from_secs(number("GRIPWIRE_TEST_PATIENCE").unwrap_or(60)))
}

/// The number that the environment has under `name`.
pub fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is {value:?}; it must be a number")))
}

/// Looks every few milliseconds whether `condition` gives something, and panics with `what` when patience is over. It
/// is for conditions that nothing announces, such as a server that begins to listen.
pub fn await_some<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "after {:?} still not: {what}", patience());
        std::thread::sleep(Duration::from_millis(5));
    }
}
