//! The kernel's version. Nothing starts on one that is too old, whatever the number of connections. `wire/probe.rs`
//! asks the kernel itself at start, by doing what the wire does.

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
