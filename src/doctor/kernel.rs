//! The kernel's version. The server does not start on a kernel that is too old. At start, `wire/probe.rs` tests the
//! kernel's features themselves.

use super::{Finding, Machine, Plan, Remedy};

pub fn findings(machine: &Machine, _: &Plan) -> Vec<Finding> {
    version(machine).into_iter().collect()
}

fn version(machine: &Machine) -> Option<Finding> {
    let release = machine.sysctl("kernel.osrelease")?;
    let mut parts = release.split(|letter: char| !letter.is_ascii_digit());
    let major: u64 = parts.next()?.parse().ok()?;
    let minor: u64 = parts.next()?.parse().ok()?;
    if (major, minor) >= NEEDED {
        return Some(Finding::ok("kernel", release));
    }
    Some(Finding::problem(
        "kernel",
        release,
        Remedy {
            wanted: "Linux 6.1 or newer".into(),
            why: "client sockets need direct descriptors, multishot receives and DEFER_TASKRUN of io_uring"
                .into(),
            mend: "boot a newer kernel".into(),
        },
    ))
}

/// Major and minor version.
const NEEDED: (u64, u64) = (6, 1);
