//! Whether a machine can carry a stated number of connections, and what to change where it cannot: what `gripwire
//! doctor` says. Everything is read from files below /proc and /sys; nothing is changed.
//!
//! `machine` reads them, under any root, so that tests can make machines up; `plan` is what the machine shall carry.
//! Each other file is a subject and holds its rules, which are functions of these two and know nothing else:
//! `kernel`, `limits`, `sysctl`, `memory`, `cgroup`, `topology`, `nic`, `conntrack`, and `counters` for what the
//! kernel has counted since boot. `settings` has rules about the server's own settings. A rule about something that the machine does not tell is silent.
//!
//! `tuning/` holds the files that findings refer to; tests here keep the two in agreement.

#![forbid(unsafe_code)]

mod cgroup;
mod conntrack;
mod counters;
mod cpu_list;
mod finding;
mod kernel;
mod limits;
mod machine;
mod memory;
mod nic;
mod plan;
mod settings;
mod sysctl;
mod topology;

pub use finding::{Finding, Level, Remedy, grouped};
pub use machine::{Machine, NotAMachine};
pub use plan::Plan;
pub use settings::examine_settings;

/// Everything there is to say about `machine`, what is worst first.
pub fn examine(machine: &Machine, plan: &Plan) -> Vec<Finding> {
    let subjects = [
        kernel::findings,
        limits::findings,
        memory::findings,
        cgroup::findings,
        sysctl::findings,
        conntrack::findings,
        topology::findings,
        nic::findings,
        counters::findings,
    ];
    let mut findings: Vec<Finding> = subjects.iter().flat_map(|subject| subject(machine, plan)).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    findings
}

/// CPUs that a server started like this process (or like the one looked at) may use.
pub fn allowed_cpus(machine: &Machine) -> usize {
    topology::allowed(machine).len().max(1)
}

/// Memory that the process may have, bytes: what its control group (v2) allows, or else all of the machine's.
pub fn memory_bytes(machine: &Machine) -> Option<u64> {
    [memory::total_bytes(machine), cgroup::memory_bytes(machine)].into_iter().flatten().min()
}

#[cfg(test)]
mod tests;
