//! The relevant sysctls, each with its value in `tuning/90-gripwire.conf`, the least value for a plan, and the reason.
//! Sysctls that the kernel sizes by the machine's memory (tcp_mem, nf_conntrack_max) are not in this list, because the
//! file would lower them on large machines; `memory` and `conntrack` examine these.

use super::finding::grouped;
use super::{Finding, Level, Machine, Plan, Remedy};
use crate::wire::{ACCEPT_QUEUE, DATAGRAM_RECEIVE_BYTES};

pub fn findings(machine: &Machine, plan: &Plan) -> Vec<Finding> {
    KNOBS.iter().filter_map(|knob| knob.examine(machine, plan)).collect()
}

/// The command that sets a sysctl now; the file in /etc/sysctl.d keeps it.
pub fn command(name: &str, value: &str) -> String {
    format!("`sysctl -w {name}=\"{value}\"`, and tuning/90-gripwire.conf in /etc/sysctl.d keeps it")
}

/// One sysctl.
struct Knob {
    name: &'static str,
    /// Its line in `tuning/90-gripwire.conf`.
    shipped: &'static str,
    want: Want,
    /// The severity if the want is not met.
    level: Level,
    why: &'static str,
}

/// The values that are acceptable.
enum Want {
    /// At least this value.
    AtLeast(fn(&Plan) -> u64),
    /// At most the shipped value, and not 0.
    AtMostShipped,
    /// Only the shipped value.
    Shipped,
    /// Two numbers that span at least this many ports.
    Ports(fn(&Plan) -> u64),
}

const KNOBS: [Knob; 13] = [
    Knob {
        name: "kernel.io_uring_disabled",
        shipped: "0",
        want: Want::Shipped,
        level: Level::Problem,
        why: "the server needs io_uring, which the value 2 forbids for everyone, and 1 for everyone except root and the \
              group of kernel.io_uring_group",
    },
    Knob {
        name: "fs.nr_open",
        shipped: "1073741816",
        want: Want::AtLeast(Plan::files),
        level: Level::Problem,
        why: "RLIMIT_NOFILE, which limits the connections of a core, cannot be higher than this",
    },
    Knob {
        name: "fs.file-max",
        shipped: "9223372036854775807",
        want: Want::AtLeast(Plan::files_of_the_system),
        level: Level::Problem,
        why: "every connection counts as an open file of the system; accepting clients beyond this number fails",
    },
    Knob {
        name: "net.core.somaxconn",
        shipped: "65535",
        want: Want::AtLeast(accept_queue),
        level: Level::Advice,
        why: "after a restart all clients connect at once; connections that do not fit into a core's accept queue are \
              dropped, and their clients try again 1 s, 3 s and 7 s later",
    },
    Knob {
        name: "net.ipv4.tcp_syncookies",
        shipped: "1",
        want: Want::Shipped,
        level: Level::Advice,
        why: "with 0, handshakes beyond tcp_max_syn_backlog are dropped when many clients connect at once; with 1 they get \
              a cookie when the accept queue is full, and tcp_max_syn_backlog has no effect",
    },
    Knob {
        name: "net.ipv4.tcp_slow_start_after_idle",
        shipped: "0",
        want: Want::Shipped,
        level: Level::Advice,
        why: "a held connection is idle before each message; with 1, unless BBR is used, TCP then resets the congestion \
              window, and a message of more than 10 segments (14 KiB) takes further round trips",
    },
    Knob {
        name: "net.ipv4.tcp_notsent_lowat",
        shipped: "131072",
        want: Want::AtMostShipped,
        level: Level::Advice,
        why: "unsent bytes of slow clients should wait in the server, where limits.backlog_bytes limits them, not in the \
              kernel with up to tcp_wmem (4 MiB) for each client",
    },
    Knob {
        name: "net.core.default_qdisc",
        shipped: "fq",
        want: Want::Shipped,
        level: Level::Advice,
        why: "a fan-out hands the device up to 1,024 packets at once from each core: fq takes 10,000 and serves clients \
              in turn, pfifo_fast drops beyond txqueuelen (1,000); it applies to devices brought up later",
    },
    Knob {
        name: "net.core.netdev_max_backlog",
        shipped: "16384",
        want: Want::AtLeast(|_| 4096),
        level: Level::Advice,
        why: "packets that RPS or a virtual device passes to another CPU wait in this queue; a fan-out causes thousands of \
              acknowledgements, and packets beyond the queue's limit are dropped",
    },
    Knob {
        name: "net.core.rmem_max",
        shipped: "8388608",
        want: Want::AtLeast(|_| DATAGRAM_RECEIVE_BYTES as u64),
        level: Level::Advice,
        why: "a busy core reads publishers' datagrams late; datagrams that do not fit into its socket until then are lost \
              and counted in kernel_dropped_datagrams_total",
    },
    Knob {
        name: "net.core.netdev_budget",
        shipped: "600",
        want: Want::AtLeast(|_| 300),
        level: Level::Advice,
        why: "the kernel takes this many packets from the card at once; with fewer, bursts wait for a kernel thread that \
              competes with the cores",
    },
    Knob {
        name: "net.ipv4.ip_local_port_range",
        shipped: "10240 65535",
        want: Want::Ports(origin_ports),
        level: Level::Advice,
        why: "each connection to an application takes a port, and half of the ports may be in TIME_WAIT. The range starts \
              above the ports that Gripwire listens on",
    },
    Knob {
        name: "net.ipv4.tcp_tw_reuse",
        shipped: "1",
        want: Want::Shipped,
        level: Level::Advice,
        why: "connections to an application that closes them leave ports in TIME_WAIT for a minute; with 1 such ports are \
              used again after a second, with the default (2) only on loopback",
    },
];

impl Knob {
    fn examine(&self, machine: &Machine, plan: &Plan) -> Option<Finding> {
        let found = machine.sysctl(self.name)?;
        let (met, wanted, value) = match self.want {
            Want::AtLeast(least) => {
                let least = least(plan);
                (number(&found)? >= least, format!("{} or more", grouped(least)), self.at_least(least))
            }
            Want::AtMostShipped => {
                let most = number(self.shipped)?;
                let met = (1..=most).contains(&number(&found)?);
                (met, format!("{} or less", grouped(most)), self.shipped.to_owned())
            }
            Want::Shipped => (found == self.shipped, self.shipped.to_owned(), self.shipped.to_owned()),
            Want::Ports(least) => {
                let least = least(plan);
                let met = ports(&found)? >= least;
                (met, format!("{} ports or more", grouped(least)), self.shipped.to_owned())
            }
        };
        if met {
            return Some(Finding::ok(self.name, found));
        }
        let remedy = Remedy { wanted, why: self.why.to_owned(), mend: command(self.name, &value) };
        Some(Finding::new(self.level, self.name, found, remedy))
    }

    /// The shipped value, or a larger one if the plan needs it.
    fn at_least(&self, least: u64) -> String {
        match number(self.shipped) {
            Some(shipped) if shipped >= least => self.shipped.to_owned(),
            _ => least.to_string(),
        }
    }
}

/// A core's share of clients that all connect at once, up to the queue length that the server asks for in listen(2).
fn accept_queue(plan: &Plan) -> u64 {
    plan.connections_per_core().min(u64::from(ACCEPT_QUEUE))
}

fn origin_ports(plan: &Plan) -> u64 {
    (plan.origin_connections() * 2).min(MOST_PORTS)
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn ports(range: &str) -> Option<u64> {
    let (first, last) = range.split_once(' ')?;
    Some((number(last)? + 1).saturating_sub(number(first)?))
}

/// Ports of the shipped range, which is the largest possible.
const MOST_PORTS: u64 = 65_536 - 10_240;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::tests::Tree;
    use super::*;

    /// The settings of `tuning/90-gripwire.conf`.
    fn file() -> BTreeMap<&'static str, &'static str> {
        let lines = FILE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| line.split_once(" = ").expect("`name = value`")).collect()
    }

    #[test]
    fn the_file_and_the_knobs_are_the_same() {
        let knobs: BTreeMap<_, _> = KNOBS.iter().map(|knob| (knob.name, knob.shipped)).collect();
        assert_eq!(file(), knobs);
    }

    #[test]
    fn the_file_satisfies_the_default_plan() {
        let machine = Tree::new();
        file().iter().for_each(|(name, value)| machine.sysctl(name, value));
        let findings = findings(&machine.open(), &Plan::new(100_000, 2));
        assert_eq!(findings.len(), KNOBS.len());
        assert!(findings.iter().all(|finding| finding.level == Level::Ok), "{findings:#?}");
    }

    #[test]
    fn each_line_of_the_file_has_its_reason_above_it() {
        let mut explained = false;
        for line in FILE.lines() {
            assert!(line.is_empty() || line.starts_with('#') || explained, "no reason for {line}");
            explained = line.starts_with('#');
        }
    }

    #[test]
    fn what_the_kernel_sizes_by_memory_is_left_alone_and_named() {
        for name in ["net.ipv4.tcp_mem", "net.netfilter.nf_conntrack_max"] {
            assert!(!file().contains_key(name) && FILE.contains(name), "{name}");
        }
    }

    #[test]
    fn each_knob_has_a_value_that_will_not_do() {
        let plan = Plan::new(2_000_000_000_000, 1_000);
        for knob in &KNOBS {
            let machine = Tree::new();
            let poor = if matches!(knob.want, Want::Ports(_)) { "32768 32769" } else { "2" };
            let poor = if matches!(knob.want, Want::AtMostShipped) { "4294967295" } else { poor };
            machine.sysctl(knob.name, poor);
            let [finding] = &findings(&machine.open(), &plan)[..] else { panic!("{}", knob.name) };
            let mend = &finding.remedy.as_ref().unwrap().mend;
            assert!(finding.level == knob.level && mend.contains(knob.name), "{finding:?}");
        }
    }

    #[test]
    fn more_connections_ask_for_more() {
        let machine = Tree::new();
        machine.sysctl("fs.nr_open", "1048576");
        machine.sysctl("net.core.somaxconn", "4096");
        let levels = |connections| {
            let findings = findings(&machine.open(), &Plan::new(connections, 1));
            findings.iter().map(|finding| finding.level).collect::<Vec<_>>()
        };
        assert_eq!(levels(1_000), [Level::Ok, Level::Ok]);
        assert_eq!(levels(100_000), [Level::Ok, Level::Advice]);
        assert_eq!(levels(2_000_000), [Level::Problem, Level::Advice]);
    }

    const FILE: &str = include_str!("../../tuning/90-gripwire.conf");
}
