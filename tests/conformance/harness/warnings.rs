//! What the servers under test have warned of, shown with every failure. A server serves many cases and ends with the
//! last, so its log is not shown when it ends.

use std::panic;
use std::sync::{Mutex, Once};

use gripwire_harness::log::Log;

static LOGS: Mutex<Vec<(&str, Log)>> = Mutex::new(Vec::new());

/// From now on, a case that fails shows the last warnings in `log`, the log of the server `name`.
pub fn show_with_failures(name: &'static str, log: &Log) {
    static HOOK: Once = Once::new();
    LOGS.lock().expect("logs").push((name, log.clone()));
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |failure| {
            before(failure);
            show();
        }));
    });
}

fn show() {
    let Ok(logs) = LOGS.lock() else { return };
    for (name, log) in logs.iter() {
        let warnings = log.warnings();
        if !warnings.is_empty() {
            eprintln!("the last warnings of the server \"{name}\":\n{warnings}");
        }
    }
}
