//! Examines whether a machine can serve a given number of connections, and says what to change if not. `gripwire doctor`
//! prints the findings. All data comes from files below /proc and /sys; nothing is changed.
//!
//! `machine` reads these files under any root directory, so that tests can use made-up machines. `plan` is the number of
//! connections and cores. Each other file has the rules of one subject, as functions of a `Machine` and a `Plan`:
//! `kernel`, `limits`, `sysctl`, `memory`, `cgroup`, `topology`, `nic`, `conntrack`, and `counters` for the kernel's
//! counters since boot. `settings` has rules about the server's own settings. A rule gives no finding if the machine
//! lacks the files that it needs.
//!
//! `tuning/` contains the files that findings refer to; tests here keep both in agreement.

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

/// All findings about `machine`, the most severe first.
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

/// Number of CPUs that the examined process may use.
pub fn allowed_cpus(machine: &Machine) -> usize {
    topology::allowed(machine).len().max(1)
}

/// Memory that the process may use, bytes: the limit of its control group (v2), or else the machine's memory.
pub fn memory_bytes(machine: &Machine) -> Option<u64> {
    [memory::total_bytes(machine), cgroup::memory_bytes(machine)].into_iter().flatten().min()
}

#[cfg(test)]
mod tests;
