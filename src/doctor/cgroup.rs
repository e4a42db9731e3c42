//! Limits of the process's control group (cgroup v2): memory, CPU time, threads. The limits of all parent groups apply
//! too, so the least value of each limit counts.

use super::finding::grouped;
use super::{Finding, Level, Machine, Plan, Remedy, memory};

pub fn findings(machine: &Machine, plan: &Plan) -> Vec<Finding> {
    let groups = groups(machine);
    let rules = [memory, cpu, threads];
    rules.iter().filter_map(|rule| rule(machine, &groups, plan)).collect()
}

/// Directories from the process's own group up to the root, each with a trailing slash.
fn groups(machine: &Machine) -> Vec<String> {
    let membership = machine.process_text("cgroup").unwrap_or_default();
    let Some(path) = membership.lines().find_map(|line| line.strip_prefix("0::/")) else { return Vec::new() };
    let mut directory = "sys/fs/cgroup/".to_owned();
    let mut groups = vec![directory.clone()];
    // A path with `..` is outside of the container's view.
    for name in path.split('/').filter(|name| !name.is_empty() && *name != "..") {
        directory.push_str(name);
        directory.push('/');
        groups.push(directory.clone());
    }
    groups.reverse();
    groups
}

/// The memory limit of the process's groups, bytes; `None` if no group has a limit.
pub(super) fn memory_bytes(machine: &Machine) -> Option<u64> {
    least_memory(machine, &groups(machine))
}

fn least_memory(machine: &Machine, groups: &[String]) -> Option<u64> {
    let limits = ["memory.max", "memory.high"];
    let files = groups.iter().flat_map(|group| limits.map(|limit| format!("{group}{limit}")));
    files.filter_map(|file| machine.number(&file)).min()
}

fn memory(machine: &Machine, groups: &[String], plan: &Plan) -> Option<Finding> {
    let least = least_memory(machine, groups)?;
    let mend = "raise MemoryMax and MemoryHigh of the unit or its slice, or the container's limit on memory";
    Some(memory::room(plan, "cgroup memory", least, mend))
}

fn cpu(machine: &Machine, groups: &[String], plan: &Plan) -> Option<Finding> {
    let quotas = groups.iter().filter_map(|group| {
        let text = machine.text(&format!("{group}cpu.max"))?;
        let (quota, period) = text.split_once(' ')?;
        Some((quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?))
    });
    let (quota, period) = quotas.min_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1)))?;
    let found = format!("{quota} of every {period} us");
    if quota >= plan.cores.saturating_mul(period) {
        return Some(Finding::ok("cgroup cpu.max", found));
    }
    let remedy = Remedy {
        wanted: format!("{} CPUs or more", plan.cores),
        why: "when the quota is used up, all cores stop for the rest of the period, and all clients wait"
            .into(),
        mend: "remove CPUQuota of the unit, or the container's limit on CPU; or run fewer cores (`cores`)"
            .into(),
    };
    Some(Finding::advice("cgroup cpu.max", found, remedy))
}

fn threads(machine: &Machine, groups: &[String], plan: &Plan) -> Option<Finding> {
    let least = groups.iter().filter_map(|group| machine.number(&format!("{group}pids.max"))).min()?;
    let needed = plan.cores.saturating_mul(THREADS_PER_CORE).saturating_add(OTHER_THREADS);
    if least >= needed {
        return Some(Finding::ok("cgroup pids.max", grouped(least)));
    }
    let remedy = Remedy {
        wanted: format!("{} or more", grouped(needed)),
        why: "each core needs a thread and some threads for blocking calls; all are started with the server"
            .into(),
        mend: "raise TasksMax of the unit, or the container's limit on processes".into(),
    };
    Some(Finding::new(Level::Problem, "cgroup pids.max", grouped(least), remedy))
}

const THREADS_PER_CORE: u64 = 4;
const OTHER_THREADS: u64 = 8;

#[cfg(test)]
mod tests {
    use super::super::tests::{Tree, levels};
    use super::*;

    fn with(file: &str, text: &str) -> Vec<Finding> {
        let machine = Tree::new().with("proc/self/cgroup", "0::/web.slice/gripwire.service\n");
        findings(&machine.with(file, text).open(), &Plan::new(100_000, 4))
    }

    #[test]
    fn the_least_limit_of_all_groups_counts() {
        let machine = Tree::new()
            .with("proc/self/cgroup", "0::/web.slice/gripwire.service\n")
            .with("sys/fs/cgroup/web.slice/memory.max", "100000000")
            .with("sys/fs/cgroup/web.slice/gripwire.service/memory.max", "max");
        let found = findings(&machine.open(), &Plan::new(100_000, 4));
        assert_eq!((levels(&found), &found[0].subject[..]), (vec![Level::Problem], "cgroup memory"));
    }

    #[test]
    fn a_quota_below_the_cores_stalls_them() {
        let file = "sys/fs/cgroup/web.slice/gripwire.service/cpu.max";
        assert_eq!(levels(&with(file, "200000 100000")), [Level::Advice]);
        assert_eq!(levels(&with(file, "400000 100000")), [Level::Ok]);
        assert_eq!(levels(&with(file, "max 100000")), []);
    }

    #[test]
    fn threads_are_needed_to_start() {
        assert_eq!(levels(&with("sys/fs/cgroup/web.slice/pids.max", "10")), [Level::Problem]);
        assert_eq!(levels(&with("sys/fs/cgroup/web.slice/pids.max", "4915")), [Level::Ok]);
    }
}
