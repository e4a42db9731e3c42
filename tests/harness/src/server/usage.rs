//! What a server takes of the machine: memory, CPU, files.

use super::Server;
use std::time::Duration;

impl Server {
    /// A line of /proc/PID/status, such as `VmRSS`, `VmHWM` or `RssAnon`, in bytes.
    pub fn memory_bytes(&self, name: &str) -> u64 {
        self.kibibytes("status", name) * 1024
    }

    /// A line of /proc/PID/smaps_rollup, such as `Pss` or `Pss_Anon`, in bytes: pages that processes share are counted
    /// in part.
    pub fn proportional_bytes(&self, name: &str) -> u64 {
        self.kibibytes("smaps_rollup", name) * 1024
    }

    /// CPU time of all its threads since it started.
    pub fn cpu_time(&self) -> Duration {
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: both calls are given places of their own for their answers.
        let done = unsafe {
            libc::clock_getcpuclockid(self.pid(), &mut clock) == 0
                && libc::clock_gettime(clock, &mut time) == 0
        };
        assert!(done, "the CPU time of {}: {}", self.id(), std::io::Error::last_os_error());
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    /// How many descriptors it has.
    pub fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).expect("a process that runs").count()
    }

    /// Bounds the files it may have open; the bound before.
    pub fn limit_files(&self, limit: u64) -> u64 {
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `before` is a place for the answer, and nothing is to be changed.
        let read = unsafe { libc::prlimit(self.pid(), libc::RLIMIT_NOFILE, std::ptr::null(), &mut before) };
        let wanted = libc::rlimit { rlim_cur: limit, ..before };
        // SAFETY: `wanted` is valid, and nothing is asked.
        let set = unsafe { libc::prlimit(self.pid(), libc::RLIMIT_NOFILE, &wanted, std::ptr::null_mut()) };
        assert_eq!((read, set), (0, 0), "{}", std::io::Error::last_os_error());
        before.rlim_cur
    }

    fn kibibytes(&self, file: &str, name: &str) -> u64 {
        let path = format!("/proc/{}/{file}", self.id());
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {name} in {path}"))
    }

    fn pid(&self) -> libc::pid_t {
        libc::pid_t::try_from(self.id()).expect("a process id")
    }
}
