//! Limits warnings and errors of one kind to a few per second, and reports how many were left out. Lines are of one kind
//! if one place in the code logs them. Lines of other levels, such as requests, subscriptions and messages, are all
//! written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Most lines of one kind per second.
const A_SECOND: u32 = 5;
const SECOND: Duration = Duration::from_secs(1);

/// The number of lines of each kind in the current second.
#[derive(Default)]
pub(super) struct Thinning {
    kinds: Mutex<HashMap<Identifier, Kind>>,
}

struct Kind {
    metadata: &'static Metadata<'static>,
    since: Instant,
    lines: u32,
    left_out: u64,
}

/// The tracing layer that leaves out lines for all layers.
pub(super) struct Thinned(pub Arc<Thinning>);

impl<S: Subscriber> Layer<S> for Thinned {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        *metadata.level() > Level::WARN || self.0.admits(metadata, Instant::now())
    }
}

impl Thinning {
    /// Whether one more line of this kind is written. If not, the line is counted.
    fn admits(&self, metadata: &'static Metadata<'static>, now: Instant) -> bool {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = match kinds.entry(metadata.callsite()) {
            Entry::Occupied(kind) => kind.into_mut(),
            Entry::Vacant(kind) => kind.insert(Kind { metadata, since: now, lines: 0, left_out: 0 }),
        };
        if now.duration_since(kind.since) >= SECOND {
            (kind.since, kind.lines) = (now, 0);
        }
        kind.lines += 1;
        let is_admitted = kind.lines <= A_SECOND;
        kind.left_out += u64::from(!is_admitted);
        is_admitted
    }

    /// One line for each kind whose lines were left out since the last call, with their number.
    pub fn left_out(&self) -> String {
        let mut lines = String::new();
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in kinds.values_mut().filter(|kind| kind.left_out > 0) {
            let (level, target) = (kind.metadata.level(), kind.metadata.target());
            let line = kind.metadata.line().unwrap_or_default();
            let count = std::mem::take(&mut kind.left_out);
            // Writing to a string cannot fail.
            let _ = writeln!(
                lines,
                "{level} {target}: {count} more lines like those of line {line} were left out"
            );
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    fn warn() {
        tracing::warn!("the same again");
    }

    #[test]
    fn a_kind_that_comes_often_is_thinned_and_counted_and_others_are_not() {
        let thinning = Arc::<Thinning>::default();
        let lines = super::super::queue::Queue::default();
        let lines = Arc::new(lines);
        let layer = tracing_subscriber::fmt::layer().with_writer(lines.clone());
        let subscriber = tracing_subscriber::registry().with(Thinned(thinning.clone())).with(layer);
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..100 {
                warn();
                tracing::info!("a request");
            }
            tracing::error!("something else");
        });
        let text = String::from_utf8(lines.take().0).expect("text");
        let count = |words: &str| text.lines().filter(|line| line.contains(words)).count();
        assert_eq!(count("a request"), 100);
        assert_eq!(count("something else"), 1);
        // If the test is delayed for a second, the count starts again.
        assert!((5..100).contains(&count("the same again")), "{text}");
        let told = thinning.left_out();
        assert!(told.contains(&format!("{} more lines", 100 - count("the same again"))), "{told}");
        assert_eq!(thinning.left_out(), "");
    }
}
