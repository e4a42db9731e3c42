//! The log of a running server, made so that no client can fill a disk or the memory with it. `fields` cuts long values,
//! `thinning` leaves out warnings and errors of a kind that come many times a second, and `queue` is the bounded way to
//! the thread that writes, so that a slow terminal or disk never holds up a core.

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

/// The open log; what was written last is lost if this is not kept to the end.
pub struct Log {
    set_filter: Box<dyn Fn(EnvFilter)>,
    _written_at_the_end: queue::Thread,
}

impl Log {
    /// Opens it, with a filter that has been checked.
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
            // It fails when nothing is logged any more.
            let _ = handle.reload(filter);
        });
        Log { set_filter, _written_at_the_end: thread }
    }

    /// Changes the filter.
    pub fn set_level(&self, level: &str) {
        (self.set_filter)(filter(level));
    }
}

/// What `level` says. rustls warns of what any client may do wrong, as often as it likes: that is for who asks for it.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("rustls=error,{level}"))
}
