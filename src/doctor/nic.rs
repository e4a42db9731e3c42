//! Network cards: the number of queues, whether the kernel spreads received packets over CPUs (RPS), which queue a CPU
//! sends by (XPS), and which CPUs handle interrupts. `tuning/nic.sh` sets all of these.

use std::collections::BTreeSet;

use super::{Finding, Machine, Plan, Remedy, cpu_list};

pub fn findings(machine: &Machine, plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    for card in cards(machine).iter().map(|name| Card::read(machine, name)) {
        findings.extend(card.receive(plan));
        findings.extend(card.send());
        findings.extend(card.interrupts(machine));
    }
    findings
}

/// Interfaces that have a device and are not known to be down.
pub(super) fn cards(machine: &Machine) -> Vec<String> {
    let mut names = machine.names("sys/class/net");
    names.retain(|name| {
        let state = machine.text(&format!("sys/class/net/{name}/operstate"));
        machine.has(&format!("sys/class/net/{name}/device")) && state.as_deref() != Some("down")
    });
    names
}

struct Card {
    name: String,
    /// The CPU mask of each receive queue's RPS; empty text for a queue without one.
    receive_masks: Vec<String>,
    /// The CPU mask of each sending queue's XPS; empty text for a queue without one.
    send_masks: Vec<String>,
}

impl Card {
    fn read(machine: &Machine, name: &str) -> Card {
        let queues = format!("sys/class/net/{name}/queues");
        let masks = |prefix, file| {
            let names = machine.names(&queues).into_iter().filter(|queue| queue.starts_with(prefix));
            names.map(|queue| machine.text(&format!("{queues}/{queue}/{file}")).unwrap_or_default()).collect()
        };
        Card {
            name: name.to_owned(),
            receive_masks: masks("rx-", "rps_cpus"),
            send_masks: masks("tx-", "xps_cpus"),
        }
    }

    /// With fewer receive queues than cores, a few CPUs process all packets, unless RPS spreads them.
    fn receive(&self, plan: &Plan) -> Option<Finding> {
        let queues = self.receive_masks.len() as u64;
        if queues == 0 {
            return None;
        }
        let subject = format!("{} receive queues", self.name);
        let spread = self.receive_masks.iter().all(|mask| !cpu_list::is_empty_mask(mask));
        let found = format!("{queues}, {} RPS", if spread { "with" } else { "without" });
        if queues >= plan.cores || spread {
            return Some(Finding::ok(subject, found));
        }
        let remedy = Remedy {
            wanted: format!("{} queues, or RPS", plan.cores),
            why: format!("{queues} of {} CPUs process all packets, and the others wait for them", plan.cores),
            mend: format!("`tuning/nic.sh {}`", self.name),
        };
        Some(Finding::advice(subject, found, remedy))
    }

    /// With several sending queues but no XPS, CPUs compete for the locks of queues.
    fn send(&self) -> Option<Finding> {
        let queues = self.send_masks.len();
        if queues < 2 {
            return None;
        }
        let subject = format!("{} sending queues", self.name);
        let mapped = self.send_masks.iter().any(|mask| !cpu_list::is_empty_mask(mask));
        let found = format!("{queues}, {} XPS", if mapped { "with" } else { "without" });
        if mapped {
            return Some(Finding::ok(subject, found));
        }
        let remedy = Remedy {
            wanted: "XPS".into(),
            why: "a queue is chosen by hash, so cores wait for each other's locks in a fan-out".into(),
            mend: format!("`tuning/nic.sh {}`", self.name),
        };
        Some(Finding::advice(subject, found, remedy))
    }

    /// Several queues whose interrupts all go to one CPU are no better than one queue.
    fn interrupts(&self, machine: &Machine) -> Option<Finding> {
        if self.receive_masks.len() < 2 {
            return None;
        }
        // The interrupts of a virtio card belong to its parent device.
        let directories = ["device/msi_irqs", "device/../msi_irqs"];
        let numbers =
            directories.iter().map(|it| machine.names(&format!("sys/class/net/{}/{it}", self.name)));
        let numbers = numbers.into_iter().find(|numbers| !numbers.is_empty())?;
        let cpus: BTreeSet<String> = numbers
            .iter()
            .filter_map(|number| machine.text(&format!("proc/irq/{number}/effective_affinity_list")))
            .collect();
        let subject = format!("{} interrupts", self.name);
        let found = format!("{} on {} CPUs", numbers.len(), cpus.len());
        match cpus.len() {
            0 => None,
            1 => {
                let remedy = Remedy {
                    wanted: "a CPU for each queue".into(),
                    why: "one CPU processes the packets of all queues".into(),
                    mend: format!("`tuning/nic.sh {}`, and stop irqbalance, which would undo it", self.name),
                };
                Some(Finding::advice(subject, found, remedy))
            }
            _ => Some(Finding::ok(subject, found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::super::tests::{Tree, levels};
    use super::*;

    const QUEUES: &str = "sys/class/net/eth0/queues";

    fn card() -> Tree {
        Tree::new()
            .with("sys/class/net/lo/operstate", "unknown")
            .with("sys/class/net/eth0/device/vendor", "1")
    }

    #[test]
    fn one_queue_is_enough_for_one_core_or_with_rps() {
        let tree = card().with(&format!("{QUEUES}/rx-0/rps_cpus"), "00\n");
        let level = |tree: &Tree, cores| levels(&findings(&tree.open(), &Plan::new(1, cores)));
        assert_eq!(level(&tree, 1), [Level::Ok]);
        assert_eq!(level(&tree, 2), [Level::Advice]);
        assert_eq!(level(&tree.with(&format!("{QUEUES}/rx-0/rps_cpus"), "03\n"), 2), [Level::Ok]);
    }

    #[test]
    fn sending_queues_are_mapped() {
        let tree = card()
            .with(&format!("{QUEUES}/tx-0/xps_cpus"), "0")
            .with(&format!("{QUEUES}/tx-1/xps_cpus"), "0");
        let level = |tree: &Tree| levels(&findings(&tree.open(), &Plan::new(1, 2)));
        assert_eq!(level(&tree), [Level::Advice]);
        assert_eq!(level(&tree.with(&format!("{QUEUES}/tx-1/xps_cpus"), "2")), [Level::Ok]);
    }

    #[test]
    fn interrupts_are_spread() {
        let tree = card()
            .with(&format!("{QUEUES}/rx-0/rps_cpus"), "0")
            .with(&format!("{QUEUES}/rx-1/rps_cpus"), "0")
            .with("sys/class/net/eth0/device/msi_irqs/40", "msix")
            .with("sys/class/net/eth0/device/msi_irqs/41", "msix")
            .with("proc/irq/40/effective_affinity_list", "0\n")
            .with("proc/irq/41/effective_affinity_list", "0\n");
        let level = |tree: &Tree| levels(&findings(&tree.open(), &Plan::new(1, 2)));
        assert_eq!(level(&tree), [Level::Ok, Level::Advice]);
        assert_eq!(level(&tree.with("proc/irq/41/effective_affinity_list", "1\n")), [Level::Ok, Level::Ok]);
    }

    #[test]
    fn a_card_that_is_down_is_nobodys_concern() {
        let tree = card().with(&format!("{QUEUES}/rx-0/rps_cpus"), "0");
        let tree = tree.with("sys/class/net/eth0/operstate", "down");
        assert_eq!(levels(&findings(&tree.open(), &Plan::new(1, 8))), []);
    }
}
