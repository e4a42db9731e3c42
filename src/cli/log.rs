//! The log of a running server. A thread of its own writes it, so that a slow terminal or disk never holds up a core; if
//! it falls too far behind, lines are lost rather than time.

use std::io::IsTerminal;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

/// The open log; what was written last is lost if this is not kept to the end.
pub struct Log {
    set_filter: Box<dyn Fn(EnvFilter)>,
    _flushed_at_the_end: WorkerGuard,
}

impl Log {
    /// Opens it, with a filter that has been checked.
    pub fn open(level: &str) -> Log {
        let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
        let log = tracing_subscriber::fmt().with_env_filter(filter(level)).with_writer(writer);
        let log = log.with_ansi(std::io::stderr().is_terminal()).with_filter_reloading();
        let handle = log.reload_handle();
        log.init();
        let set_filter = Box::new(move |filter| {
            // It fails when nothing is logged any more.
            let _ = handle.reload(filter);
        });
        Log { set_filter, _flushed_at_the_end: guard }
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
