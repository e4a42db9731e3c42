//! The log of a running server, bounded so that no client can fill a disk or the memory with log lines. `fields` cuts
//! long values. `thinning` leaves out warnings and errors that repeat many times a second. `queue` is a bounded queue to
//! the thread that writes, so that a slow terminal or disk never blocks a core.

mod fields;
mod queue;
mod thinning;

use queue::Queue;
use std::io::IsTerminal;
use std::sync::Arc;
use thinning::{Thinned, Thinning};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, reload};

/// The open log. Keep it until the process ends, or the last lines are lost.
pub struct Log {
    set_filter: Box<dyn Fn(EnvFilter)>,
    _written_at_the_end: queue::Thread,
}

impl Log {
    /// Opens the log. `level` is a filter that was checked before.
    pub fn open(level: &str) -> Log {
        let (queue, thinning) = (Arc::<Queue>::default(), Arc::<Thinning>::default());
        let thread = queue.clone().write_to(std::io::stderr(), {
            let thinning = thinning.clone();
            move || thinning.left_out()
        });
        let (filter, handle) = reload::Layer::new(filter(level));
        let lines = fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_span_events(FmtSpan::NONE)
            .fmt_fields(fields::cut())
            .with_writer(queue);
        tracing_subscriber::registry().with(filter).with(Thinned(thinning)).with(lines).init();
        let set_filter = Box::new(move |filter| {
            // This fails only after the log was dropped.
            let _ = handle.reload(filter);
        });
        Log { set_filter, _written_at_the_end: thread }
    }

    /// Changes the filter.
    pub fn set_level(&self, level: &str) {
        (self.set_filter)(filter(level));
    }
}

/// The filter for `level`. Warnings of rustls are off by default, because any client can cause any number of them;
/// `level` can turn them on.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("rustls=error,{level}"))
}
