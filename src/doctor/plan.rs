//! The number of connections that the machine shall serve, and the descriptors and memory that they need. The figures
//! for one connection were measured with `gripwire-bench`; `tuning/README.md` says how.

use crate::config::Config;
use crate::wire::FILES_PER_CORE;

/// A number of connections on a number of cores.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Clients connected at the same time.
    pub connections: u64,
    /// Cores, each with its own ring.
    pub cores: u64,
}

impl Plan {
    /// A plan for `connections` on `cores` cores, or on one core if `cores` is 0.
    pub fn new(connections: u64, cores: u64) -> Plan {
        Plan { connections, cores: cores.max(1) }
    }

    /// Most connections that one core may get. The kernel spreads connections by a hash, not quite evenly, and clients
    /// beyond a core's table wait in the core's queue even if other cores have room.
    pub fn connections_per_core(&self) -> u64 {
        let share = self.connections.div_ceil(self.cores);
        share.saturating_add(share / HEADROOM_PARTS)
    }

    /// The least RLIMIT_NOFILE. It limits two tables separately: the direct descriptors of each ring, and the ordinary
    /// descriptors of the process.
    pub fn files(&self) -> u64 {
        self.connections_per_core().max(self.ordinary_files())
    }

    /// Open files of the whole system, direct descriptors included.
    pub fn files_of_the_system(&self) -> u64 {
        self.connections.saturating_add(self.ordinary_files()).saturating_add(OTHER_FILES)
    }

    /// Most connections to origins at the same time.
    pub fn origin_connections(&self) -> u64 {
        self.cores.saturating_mul(Config::default().proxy.open_requests_per_core as u64)
    }

    /// Memory for held connections with no message in flight, bytes.
    pub fn held_bytes(&self) -> u64 {
        let connections = self.connections.saturating_mul(USER_BYTES + KERNEL_BYTES);
        connections.saturating_add(self.cores.saturating_mul(CORE_BYTES))
    }

    /// Memory for the backlogs of slow clients, bytes, in addition to `held_bytes`.
    pub fn backlog_bytes(&self) -> u64 {
        self.cores.saturating_mul(Config::default().limits.backlog_bytes_per_core as u64)
    }

    fn ordinary_files(&self) -> u64 {
        self.cores.saturating_mul(FILES_PER_CORE).saturating_add(self.origin_connections())
    }
}

/// A core may get an eighth more than its share of connections.
const HEADROOM_PARTS: u64 = 8;
/// Files that the rest of the system has open.
const OTHER_FILES: u64 = 10_000;
/// User memory of a held stream.
const USER_BYTES: u64 = 130;
/// Kernel memory of an accepted socket and its waiting receive: TCP socket 2,368, inode 832, file 192, directory entry
/// 192, request of io_uring 256 with 608 for its message and its poll, labels 56, and the slack of slabs.
const KERNEL_BYTES: u64 = 4_700;
/// Memory of a core's rings, receive buffers, tables and executor.
const CORE_BYTES: u64 = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_grows_with_the_connections() {
        let (small, large) = (Plan::new(100_000, 2), Plan::new(1_000_000, 2));
        assert_eq!(small.files(), 56_250);
        assert_eq!(large.files(), 562_500);
        assert!(large.held_bytes() > 4_500_000_000 && small.held_bytes() < 600_000_000);
        assert!(large.files_of_the_system() - small.files_of_the_system() == 900_000);
    }

    #[test]
    fn a_few_connections_still_need_files_for_applications() {
        assert_eq!(Plan::new(10, 4).files(), 4 * (1_000 + FILES_PER_CORE));
        assert_eq!(Plan::new(10, 0).cores, 1);
        Plan::new(u64::MAX, 1).held_bytes();
    }
}
