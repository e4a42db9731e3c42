//! The cost of a server on this machine, read from /proc: CPU time and resident memory of its processes, and the kernel's
//! memory for all sockets of the machine.

use serde::Serialize;
use std::fs;
use std::io;

/// Processes of a server that are watched.
pub struct ServerWatch {
    processes: Vec<u32>,
}

/// The total cost of the watched processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerCost {
    /// CPU time of all threads, as counted by the scheduler.
    pub cpu_ns: u64,
    /// Resident memory of the processes.
    pub resident_bytes: u64,
    /// Resident memory without pages of files. Pages of programs become resident at their first use, whatever the number
    /// of clients.
    pub data_bytes: u64,
    /// Kernel memory of the whole machine: slabs, page tables, stacks, and TCP's buffers.
    pub kernel_bytes: u64,
}

/// A process that cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch process {process}: {error}; --pid takes the id of a running process")]
pub struct WatchError {
    process: u32,
    error: io::Error,
}

impl ServerWatch {
    /// Watches processes by their ids.
    ///
    /// # Errors
    ///
    /// If a process does not exist.
    pub fn new(processes: &[u32]) -> Result<ServerWatch, WatchError> {
        for &process in processes {
            resident_bytes(process).map_err(|error| WatchError { process, error })?;
        }
        Ok(ServerWatch { processes: processes.to_vec() })
    }

    /// Whether no process is watched.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// The total cost so far. A process that has ended counts as 0.
    pub fn cost(&self) -> ServerCost {
        let sum =
            |of: fn(u32) -> io::Result<u64>| self.processes.iter().filter_map(|&one| of(one).ok()).sum();
        ServerCost {
            cpu_ns: sum(cpu_ns),
            resident_bytes: sum(resident_bytes),
            data_bytes: sum(data_bytes),
            kernel_bytes: kernel_bytes().unwrap_or(0),
        }
    }
}

fn cpu_ns(process: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end after the directory was read.
        let account = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        sum += number(&account);
    }
    Ok(sum)
}

fn resident_bytes(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    Ok(kib(&status, "VmRSS:") * 1024)
}

/// Anonymous memory and shared memory, which the workers of nginx use.
fn data_bytes(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    Ok((kib(&status, "RssAnon:") + kib(&status, "RssShmem:")) * 1024)
}

fn kernel_bytes() -> io::Result<u64> {
    let memory = fs::read_to_string("/proc/meminfo")?;
    let sockets = fs::read_to_string("/proc/net/sockstat")?;
    let kernel: u64 = ["Slab:", "KernelStack:", "PageTables:"].iter().map(|name| kib(&memory, name)).sum();
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:")).unwrap_or_default();
    let pages = tcp.split(" mem ").nth(1).map_or(0, number);
    Ok(kernel * 1024 + pages * PAGE_BYTES)
}

fn kib(text: &str, name: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix(name)).map_or(0, number)
}

/// The number at the start of `text`.
fn number(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

const PAGE_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_something() {
        let watch = ServerWatch::new(&[std::process::id()]).unwrap();
        let before = watch.cost();
        let mut sum = 0u64;
        while watch.cost().cpu_ns == before.cpu_ns {
            sum = (0..100_000).fold(sum, |sum, one| std::hint::black_box(sum ^ one));
        }
        assert!(before.data_bytes > 0 && before.data_bytes < before.resident_bytes, "{before:?}");
        assert!(before.resident_bytes > 500_000 && before.kernel_bytes > 1_000_000, "{before:?}");
        assert!(ServerWatch::new(&[u32::MAX]).is_err());
    }
}
