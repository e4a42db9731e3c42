//! Counters of the kernel since boot that should be 0: connections it could not queue, packets it dropped, TCP short of
//! memory. A setting may look right now and yet have been too small earlier or for another program.

use super::finding::grouped;
use super::{Finding, Machine, Plan, Remedy, sysctl};

pub fn findings(machine: &Machine, _: &Plan) -> Vec<Finding> {
    let rules = [overflows, pressure, dropped, squeezed];
    rules.iter().filter_map(|rule| rule(machine)).collect()
}

fn overflows(machine: &Machine) -> Option<Finding> {
    judge("accept queues", tcp_extension(machine, "ListenOverflows")?, "overflows", || {
        Remedy {
        wanted: "0".into(),
        why: "an accept queue was full, and its clients try again after 1 s, 3 s and 7 s: a server was too slow, or its \
              queue too short (`ss -ltn`)"
            .into(),
        mend: format!("{}, and start the servers again", sysctl::command("net.core.somaxconn", "65535")),
    }
    })
}

fn pressure(machine: &Machine) -> Option<Finding> {
    judge("TCP memory", tcp_extension(machine, "TCPMemoryPressures")?, "times under pressure", || {
        Remedy {
        wanted: "0".into(),
        why:
            "all sockets together used more than the second number of net.ipv4.tcp_mem, and buffers were shrunk"
                .into(),
        mend: "lower limits.backlog_bytes_per_core, or raise net.ipv4.tcp_mem".into(),
    }
    })
}

fn dropped(machine: &Machine) -> Option<Finding> {
    judge("packets taken in", softnet(machine, DROPPED)?, "dropped", || Remedy {
        wanted: "0".into(),
        why: "a CPU's queue for packets from RPS and virtual devices was full; TCP sends them again later"
            .into(),
        mend: sysctl::command("net.core.netdev_max_backlog", "16384"),
    })
}

fn squeezed(machine: &Machine) -> Option<Finding> {
    judge("packet rounds", softnet(machine, SQUEEZED)?, "ended by the budget", || Remedy {
        wanted: "few".into(),
        why: "more packets had arrived than one round may process; the rest waited for the next round".into(),
        mend: sysctl::command("net.core.netdev_budget", "600"),
    })
}

fn judge(subject: &str, count: u64, of_what: &str, remedy: impl FnOnce() -> Remedy) -> Option<Finding> {
    let found = format!("{} {of_what} since boot", grouped(count));
    Some(if count < MANY { Finding::ok(subject, found) } else { Finding::advice(subject, found, remedy()) })
}

/// A counter of /proc/net/netstat: a line of names, and a line of values.
fn tcp_extension(machine: &Machine, name: &str) -> Option<u64> {
    let text = machine.process_text("net/netstat")?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let (_, value) = names.split(' ').zip(values.split(' ')).find(|(given, _)| *given == name)?;
    value.parse().ok()
}

/// The sum over all CPUs of a column of /proc/net/softnet_stat, whose numbers are hexadecimal.
fn softnet(machine: &Machine, column: usize) -> Option<u64> {
    let text = machine.process_text("net/softnet_stat")?;
    let values = text.lines().map(|line| u64::from_str_radix(line.split_whitespace().nth(column)?, 16).ok());
    values.sum()
}

const DROPPED: usize = 1;
const SQUEEZED: usize = 2;
/// Counts below this are rare bursts over months of uptime.
const MANY: u64 = 100;

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::super::tests::{Tree, levels};
    use super::*;

    #[test]
    fn what_tcp_turned_away_is_told() {
        let with = |overflows| {
            let text = format!(
                "TcpExt: SyncookiesSent ListenOverflows TCPMemoryPressures\nTcpExt: 9 {overflows} 0\nIpExt: A\nIpExt: 1\n"
            );
            levels(&findings(&Tree::new().with("proc/self/net/netstat", &text).open(), &Plan::new(1, 1)))
        };
        assert_eq!(with(7), [Level::Ok, Level::Ok]);
        assert_eq!(with(1_000), [Level::Advice, Level::Ok]);
    }

    #[test]
    fn packets_of_all_cpus_are_counted() {
        let text = "00000014 00000060 00000001 0\n00001db0 00000010 00000000 0\n";
        let machine = Tree::new().with("proc/self/net/softnet_stat", text);
        assert_eq!(levels(&findings(&machine.open(), &Plan::new(1, 1))), [Level::Advice, Level::Ok]);
    }
}
