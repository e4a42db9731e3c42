//! The CPUs: how many the process may use, whether two cores share a physical core, whether cores are in another NUMA
//! node than the network card, and the governor. The server runs one core on each of the first CPUs that it may use, so
//! the service manager decides which CPUs these are.

use std::collections::BTreeSet;

use super::{Finding, Machine, Plan, Remedy, cpu_list, nic};

pub fn findings(machine: &Machine, plan: &Plan) -> Vec<Finding> {
    let rules = [count, siblings, nodes, governor];
    rules.iter().filter_map(|rule| rule(machine, plan)).collect()
}

/// CPUs that the process may use, in the order in which the server takes them.
pub(super) fn allowed(machine: &Machine) -> Vec<usize> {
    let status = machine.process_text("status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.map(cpu_list::parse).unwrap_or_default()
}

/// CPUs on which the cores of the plan would run.
fn used(machine: &Machine, plan: &Plan) -> Vec<usize> {
    let cores = usize::try_from(plan.cores).unwrap_or(usize::MAX);
    allowed(machine).into_iter().take(cores).collect()
}

fn count(machine: &Machine, plan: &Plan) -> Option<Finding> {
    let allowed = allowed(machine).len() as u64;
    let found = format!("{allowed} may be used");
    match allowed {
        0 => None,
        _ if plan.cores <= allowed => Some(Finding::ok("CPUs", found)),
        _ => {
            let remedy = Remedy {
                wanted: format!("{}, one for each core", plan.cores),
                why: "cores that share a CPU wait for each other".into(),
                mend: "set `cores` to the number of CPUs, or widen CPUAffinity of the unit".into(),
            };
            Some(Finding::advice("CPUs", found, remedy))
        }
    }
}

/// Two cores of the server on one physical core, although another physical core is free.
fn siblings(machine: &Machine, plan: &Plan) -> Option<Finding> {
    let of =
        |cpu: &usize| machine.text(&format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"));
    let (used, allowed) = (used(machine, plan), allowed(machine));
    let physical = |cpus: &[usize]| cpus.iter().filter_map(of).collect::<BTreeSet<_>>();
    let (taken, there) = (physical(&used), physical(&allowed));
    if there.is_empty() {
        return None;
    }
    let found = format!("{} of {} physical cores are used", taken.len(), there.len());
    if taken.len() >= used.len().min(there.len()) {
        return Some(Finding::ok("CPU siblings", found));
    }
    let firsts = there.iter().filter_map(|list| cpu_list::parse(list).into_iter().next());
    let firsts: Vec<String> = firsts.map(|cpu| cpu.to_string()).collect();
    let remedy = Remedy {
        wanted: used.len().min(there.len()).to_string(),
        why: "two threads of one physical core share its units and caches, although other physical cores are free".into(),
        mend: format!("CPUAffinity={} in the unit (tuning/gripwire.service)", firsts.join(" ")),
    };
    Some(Finding::advice("CPU siblings", found, remedy))
}

/// Cores in another NUMA node than a network card.
fn nodes(machine: &Machine, plan: &Plan) -> Option<Finding> {
    let mut card_nodes = nic::cards(machine).into_iter().filter_map(|card| {
        let node = machine.number(&format!("sys/class/net/{card}/device/numa_node"))?;
        let list = machine.text(&format!("sys/devices/system/node/node{node}/cpulist"))?;
        Some((card, node, list))
    });
    let (card, node, list) = card_nodes.next_back()?;
    let near = cpu_list::parse(&list);
    let far = used(machine, plan).iter().filter(|cpu| !near.contains(cpu)).count();
    let found = format!("{card} is at node {node} (CPUs {list})");
    if far == 0 {
        return Some(Finding::ok("NUMA", found));
    }
    let remedy = Remedy {
        wanted: format!("cores on these CPUs; {far} would run on others"),
        why: "every packet of those cores crosses the link between the nodes, twice".into(),
        mend: format!(
            "CPUAffinity={list} in the unit (tuning/gripwire.service), and no more `cores` than these"
        ),
    };
    Some(Finding::advice("NUMA", found, remedy))
}

fn governor(machine: &Machine, plan: &Plan) -> Option<Finding> {
    let of = |cpu: &usize| machine.text(&format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"));
    let governors: BTreeSet<String> = used(machine, plan).iter().filter_map(of).collect();
    let slow = governors.iter().find(|governor| *governor != "performance");
    let Some(slow) = slow else { return governors.first().map(|text| Finding::ok("CPU governor", text)) };
    let remedy = Remedy {
        wanted: "performance".into(),
        why: "a core that was idle runs at its lowest frequency when a message arrives".into(),
        mend: "`cpupower frequency-set -g performance`".into(),
    };
    Some(Finding::advice("CPU governor", slow, remedy))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Tree, levels};
    use super::super::{Level, allowed_cpus};
    use super::*;

    fn subject(findings: &[Finding], name: &str) -> Finding {
        findings.iter().find(|finding| finding.subject == name).expect(name).clone()
    }

    fn with_cpus(list: &str) -> Tree {
        Tree::new().with("proc/self/status", &format!("Name:\tx\nCpus_allowed_list:\t{list}\n"))
    }

    #[test]
    fn more_cores_than_cpus_share_them() {
        let machine = with_cpus("0,2-4");
        assert_eq!(allowed_cpus(&machine.open()), 4);
        assert_eq!(levels(&findings(&machine.open(), &Plan::new(1, 4))), [Level::Ok]);
        assert_eq!(levels(&findings(&machine.open(), &Plan::new(1, 5))), [Level::Advice]);
    }

    #[test]
    fn a_physical_core_is_used_once_while_others_are_free() {
        let mut tree = with_cpus("0-3");
        for (cpu, siblings) in ["0-1", "0-1", "2-3", "2-3"].iter().enumerate() {
            let file = format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
            tree = tree.with(&file, siblings);
        }
        let found = |cores| subject(&findings(&tree.open(), &Plan::new(1, cores)), "CPU siblings");
        assert_eq!([1, 2, 4].map(|cores| found(cores).level), [Level::Ok, Level::Advice, Level::Ok]);
        assert!(found(2).remedy.unwrap().mend.starts_with("CPUAffinity=0 2 "));
    }

    #[test]
    fn cores_should_be_near_the_card() {
        let tree = with_cpus("0-3")
            .with("sys/class/net/eth0/device/numa_node", "1\n")
            .with("sys/devices/system/node/node1/cpulist", "2-3\n");
        let found = findings(&tree.open(), &Plan::new(1, 2));
        assert_eq!(subject(&found, "NUMA").level, Level::Advice);
        let near = tree.with("sys/devices/system/node/node1/cpulist", "0-1\n");
        assert_eq!(subject(&findings(&near.open(), &Plan::new(1, 2)), "NUMA").level, Level::Ok);
    }

    #[test]
    fn a_saving_governor_is_named() {
        let file = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
        let tree = with_cpus("0").with(file, "powersave\n");
        assert_eq!(subject(&findings(&tree.open(), &Plan::new(1, 1)), "CPU governor").level, Level::Advice);
    }
}
