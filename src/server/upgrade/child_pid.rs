//! The process id of a new process, for the main thread, which may have to end it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::atomic::{AtomicI32, Ordering};

/// The process id of a new process; 0 before it is started. The process is not waited for before the upgrade is over, so
/// nobody else has its id.
#[derive(Default)]
pub(super) struct ChildPid(AtomicI32);

impl ChildPid {
    pub fn set(&self, pid: u32) {
        self.0.store(pid.cast_signed(), Ordering::Release);
    }

    /// Kills the process, if it was started.
    pub fn kill(&self) {
        let pid = self.0.load(Ordering::Acquire);
        if pid > 0 {
            // It may have ended already.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
