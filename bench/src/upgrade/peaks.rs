//! The most memory and descriptors that two processes had while one replaced the other, by looks at /proc.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The peaks of an old and a new process.
#[derive(Clone, Copy, Default)]
pub struct Peaks {
    /// User memory, bytes: anonymous and shared pages.
    pub old_bytes: u64,
    pub new_bytes: u64,
    /// User memory of both at the same moment.
    pub both_bytes: u64,
    /// Descriptors. Sockets that only a ring has are none.
    pub old_descriptors: usize,
    pub new_descriptors: usize,
}

/// Looks every few milliseconds until it is stopped.
pub struct PeakWatch {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Peaks>,
}

impl PeakWatch {
    /// Watches two processes.
    pub fn start(old: u32, new: u32) -> PeakWatch {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let watch = move || {
            let mut peaks = Peaks::default();
            while !over.load(Ordering::Acquire) {
                peaks.look(old, new);
                std::thread::sleep(INTERVAL);
            }
            peaks
        };
        PeakWatch { is_over, thread: std::thread::spawn(watch) }
    }

    /// The peaks.
    pub fn stop(self) -> Peaks {
        self.is_over.store(true, Ordering::Release);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Peaks {
    fn look(&mut self, old: u32, new: u32) {
        let (of_old, of_new) = (user_bytes(old), user_bytes(new));
        self.old_bytes = self.old_bytes.max(of_old);
        self.new_bytes = self.new_bytes.max(of_new);
        self.both_bytes = self.both_bytes.max(of_old + of_new);
        self.old_descriptors = self.old_descriptors.max(descriptors(old));
        self.new_descriptors = self.new_descriptors.max(descriptors(new));
    }
}

/// User memory of a process; 0 if it has ended.
pub fn user_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = |name: &str| -> u64 {
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    (kib("RssAnon:") + kib("RssShmem:")) * 1024
}

/// Descriptors of a process; 0 if it has ended.
pub fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

const INTERVAL: Duration = Duration::from_millis(5);
