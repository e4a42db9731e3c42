//! The sysctls that matter, each with the value that `tuning/90-gripwire.conf` gives it, the least that a plan asks
//! for, and why. Those that the kernel sizes by the memory of the machine (tcp_mem, nf_conntrack_max) are not among
//! them, because a file would lower them on large machines: `memory` and `conntrack` ask for what is missing.

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
    /// What it is when the want is not met.
    level: Level,
    why: &'static str,
}

/// When a value will do.
enum Want {
    /// It is at least this large.
    AtLeast(fn(&Plan) -> u64),
    /// It is no larger than the shipped one, and not 0.
    AtMostShipped,
    /// It is the shipped one.
    Shipped,
    /// Its two numbers span at least this many ports.
    Ports(fn(&Plan) -> u64),
}

const KNOBS: [Knob; 13] = [
    Knob {
        name: "kernel.io_uring_disabled",
        shipped: "0",
        want: Want::Shipped,
        level: Level::Problem,
        why: "the server does all its work by io_uring, which 2 forbids to everyone and 1 to all but root and the group \
              of kernel.io_uring_group",
    },
    Knob {
        name: "fs.nr_open",
        shipped: "1073741816",
        want: Want::AtLeast(Plan::files),
        level: Level::Problem,
        why: "RLIMIT_NOFILE, which caps the connections of a core, cannot be set higher than this",
    },
    Knob {
        name: "fs.file-max",
        shipped: "9223372036854775807",
        want: Want::AtLeast(Plan::files_of_the_system),
        level: Level::Problem,
        why: "every connection is an open file of the system, also as a direct descriptor; beyond it accepts fail",
    },
    Knob {
        name: "net.core.somaxconn",
        shipped: "65535",
        want: Want::AtLeast(accept_queue),
        level: Level::Advice,
        why: "after a restart all clients connect at once; what does not fit into a core's accept queue is dropped, and \
              those clients try again 1 s, 3 s and 7 s later",
    },
    Knob {
        name: "net.ipv4.tcp_syncookies",
        shipped: "1",
        want: Want::Shipped,
        level: Level::Advice,
        why: "with 0, handshakes beyond tcp_max_syn_backlog are dropped in a storm of connections; with 1 they get a \
              cookie when the accept queue's bound is reached, and tcp_max_syn_backlog counts for nothing",
    },
    Knob {
        name: "net.ipv4.tcp_slow_start_after_idle",
        shipped: "0",
        want: Want::Shipped,
        level: Level::Advice,
        why: "a held connection is idle before each message; with 1, unless BBR is used, it forgets how much fits into \
              the path, and a message of more than 10 segments (14 KiB) takes further round trips",
    },
    Knob {
        name: "net.ipv4.tcp_notsent_lowat",
        shipped: "131072",
        want: Want::AtMostShipped,
        level: Level::Advice,
        why: "what a slow client has not taken should wait where backlog_bytes counts it and all clients share it, \
              not up to tcp_wmem (4 MiB) for each in the kernel",
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
        why: "packets that RPS or a virtual device hands to another CPU queue there: a fan-out's acknowledgements come \
              back by the thousand, and those beyond it are dropped",
    },
    Knob {
        name: "net.core.rmem_max",
        shipped: "8388608",
        want: Want::AtLeast(|_| DATAGRAM_RECEIVE_BYTES as u64),
        level: Level::Advice,
        why: "a core that is busy reads datagrams of publishers when it is done; what its socket has no room for until \
              then is lost and counted as kernel_dropped_datagrams_total",
    },
    Knob {
        name: "net.core.netdev_budget",
        shipped: "600",
        want: Want::AtLeast(|_| 300),
        level: Level::Advice,
        why: "packets taken from the card in one go; with fewer, bursts wait for a thread that competes with the cores",
    },
    Knob {
        name: "net.ipv4.ip_local_port_range",
        shipped: "10240 65535",
        want: Want::Ports(origin_ports),
        level: Level::Advice,
        why: "each connection to an application takes a port; half may still be waiting out TIME_WAIT. It starts above \
              the ports that Gripwire listens on",
    },
    Knob {
        name: "net.ipv4.tcp_tw_reuse",
        shipped: "1",
        want: Want::Shipped,
        level: Level::Advice,
        why: "connections to an application that does not keep them alive leave ports in TIME_WAIT for a minute; with 1 \
              they are taken again after a second, by default (2) only on loopback",
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

    /// The shipped value, or more when the plan asks for more.
    fn at_least(&self, least: u64) -> String {
        match number(self.shipped) {
            Some(shipped) if shipped >= least => self.shipped.to_owned(),
            _ => least.to_string(),
        }
    }
}

/// A core's share of clients that all connect at once, up to what the server asks of listen(2).
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

/// More than these cannot be had: the shipped range.
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
