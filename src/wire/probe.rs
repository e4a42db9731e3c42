//! Checks at start that the kernel has all needed features, by using them: it sets up a small ring with everything
//! the wire uses. A missing feature is reported in one line that names the likely cause and the remedy.

use super::buffers::Buffers;
use super::ring::Ring;
use io_uring::{IoUring, Probe, opcode};
use std::io;

/// A kernel feature is missing.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {remedy}")]
pub struct MissingFeature {
    what: String,
    remedy: &'static str,
}

/// Tries everything the wire needs, with a table of `connections` direct descriptors.
///
/// # Errors
/// [`MissingFeature`] names the missing feature and the remedy.
pub fn check_kernel(connections: u32) -> Result<(), MissingFeature> {
    check_memlock()?;
    let plain = IoUring::new(8)
        .map_err(|error| missing("io_uring is not available", &error, setup_remedy(&error)))?;
    check_operations(&plain)?;
    let mut ring = Ring::new(connections).map_err(|error| {
        missing("the ring for client sockets cannot be set up", &error, ring_remedy(&error))
    })?;
    Buffers::register(&mut ring).map_err(|error| {
        missing("receive buffers cannot be registered", &error, "Linux 6.1 or newer is needed")
    })?;
    Ok(())
}

/// Whether the kernel can make ordinary descriptors for sockets of a ring (IORING_OP_FIXED_FD_INSTALL, Linux 6.8), so
/// that connections can move to another process.
pub fn can_install() -> bool {
    let mut probe = Probe::new();
    let probed = IoUring::new(8).and_then(|ring| ring.submitter().register_probe(&mut probe));
    probed.is_ok() && probe.is_supported(opcode::FixedFdInstall::CODE)
}

/// Raises the soft limit on open files to the hard limit and returns it: it bounds each ring's descriptor table. It
/// must leave room for the files that all `cores` open at start.
///
/// # Errors
/// [`MissingFeature`] if the limit is too low, or cannot be read or raised.
pub fn raise_file_limit(cores: usize) -> Result<u64, MissingFeature> {
    let failed = |doing| missing(doing, &io::Error::last_os_error(), FILES_REMEDY);
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(failed("RLIMIT_NOFILE cannot be read"));
    }
    let needed = cores as u64 * FILES_PER_CORE;
    if limit.rlim_max < needed {
        let what =
            format!("RLIMIT_NOFILE is {} files, {needed} are needed for {cores} cores", limit.rlim_max);
        return Err(MissingFeature { what, remedy: FILES_REMEDY });
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid argument.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
        return Err(failed("RLIMIT_NOFILE cannot be raised to its hard limit"));
    }
    Ok(limit.rlim_cur)
}

fn check_memlock() -> Result<(), MissingFeature> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) } == 0;
    if known && limit.rlim_cur < MEMLOCK_BYTES {
        let what = format!("RLIMIT_MEMLOCK is {} bytes, {MEMLOCK_BYTES} are needed", limit.rlim_cur);
        return Err(MissingFeature {
            what,
            remedy: "set LimitMEMLOCK=infinity in the unit file, or `ulimit -l unlimited`",
        });
    }
    Ok(())
}

fn check_operations(ring: &IoUring) -> Result<(), MissingFeature> {
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .map_err(|error| missing("io_uring cannot be probed", &error, "Linux 6.1 or newer is needed"))?;
    let needed = [
        (opcode::Accept::CODE, "accept"),
        (opcode::RecvMulti::CODE, "receive"),
        (opcode::Send::CODE, "send"),
        (opcode::Shutdown::CODE, "shutdown"),
        (opcode::Connect::CODE, "connect"),
        (opcode::Close::CODE, "close"),
        (opcode::AsyncCancel2::CODE, "cancel"),
        (opcode::PollAdd::CODE, "poll"),
        (opcode::FilesUpdate::CODE, "files update"),
        (opcode::Timeout::CODE, "timeout"),
    ];
    let absent = needed.iter().find(|(code, _)| !probe.is_supported(*code)).map(|(_, name)| *name);
    let absent = absent.or((!ring.params().is_feature_skip_cqe_on_success()).then_some("silent success"));
    match absent {
        Some(name) => Err(MissingFeature {
            what: format!("io_uring on this kernel lacks {name}"),
            remedy: "Linux 6.1 or newer is needed",
        }),
        None => Ok(()),
    }
}

fn missing(doing: &str, error: &io::Error, remedy: &'static str) -> MissingFeature {
    MissingFeature { what: format!("{doing} ({error})"), remedy }
}

fn setup_remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => {
            "allow it with `sysctl kernel.io_uring_disabled=0`; in a container, use a seccomp profile that permits io_uring"
        }
        Some(libc::ENOSYS) => "Linux 6.1 or newer, built with CONFIG_IO_URING, is needed",
        Some(libc::ENOMEM) => "raise RLIMIT_MEMLOCK (`ulimit -l unlimited`) or free memory",
        Some(libc::EMFILE | libc::ENFILE) => "raise RLIMIT_NOFILE (`ulimit -n`)",
        _ => "io_uring_setup(2) explains this error",
    }
}

fn ring_remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EINVAL) => {
            "Linux 6.1 or newer is needed (SINGLE_ISSUER, DEFER_TASKRUN, direct descriptors)"
        }
        Some(libc::EMFILE) => {
            "`connections_per_core` in [limits] is above RLIMIT_NOFILE: lower it, or raise `ulimit -n`"
        }
        _ => setup_remedy(error),
    }
}

/// Locked memory that the rings of a core's executor need.
pub const MEMLOCK_BYTES: u64 = 512 * 1024;
/// Descriptors for a core's rings, eventfds, listeners, and some connections to origins.
pub const FILES_PER_CORE: u64 = 64;
const FILES_REMEDY: &str = "set LimitNOFILE=1048576 in the unit file, or raise `ulimit -n`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_offers_all_that_the_wire_uses() {
        check_kernel(64).expect("the tests need Linux 6.1 with io_uring");
    }
}
