//! Connection tracking of netfilter. If a firewall tracks connections, each client needs an entry in a table of fixed
//! size; when the table is full, new clients are dropped.

use super::finding::grouped;
use super::{Finding, Level, Machine, Plan, Remedy};

pub fn findings(machine: &Machine, plan: &Plan) -> Vec<Finding> {
    [table(machine, plan), timeout(machine)].into_iter().flatten().collect()
}

fn table(machine: &Machine, plan: &Plan) -> Option<Finding> {
    let most = machine.sysctl_numbers(MAX)?.into_iter().next()?;
    let used = machine.sysctl(COUNT).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    // Ended connections keep their entries for two minutes, and this machine has other connections.
    let needed = plan.connections.saturating_add(plan.connections / 4).saturating_add(OTHERS);
    let found = format!("{} entries, {} in use", grouped(most), grouped(used));
    if most >= needed {
        return Some(Finding::ok(MAX, found));
    }
    // Without firewall rules that need tracking, nothing is tracked and the table stays empty.
    let level = if used > 0 { Level::Problem } else { Level::Advice };
    let remedy = Remedy {
        wanted: format!("{} or more, or clients that are not tracked", grouped(needed)),
        why: "clients beyond this number are dropped (`nf_conntrack: table full`); Gripwire needs no tracking, which takes \
              320 bytes for each entry and a lookup for every packet"
            .into(),
        mend: format!(
            "`nft add table inet gripwire`, `nft 'add chain inet gripwire in {{ type filter hook prerouting priority \
             raw; }}'`, `nft add rule inet gripwire in tcp dport 7999 notrack`, likewise `out` at hook output with \
             `tcp sport 7999`; or `sysctl -w {MAX}={needed}`"
        ),
    };
    Some(Finding::new(level, MAX, found, remedy))
}

fn timeout(machine: &Machine) -> Option<Finding> {
    let seconds = machine.sysctl_numbers(TIMEOUT)?.into_iter().next()?;
    let found = format!("{} s", grouped(seconds));
    if seconds >= IDLE_SECONDS {
        return Some(Finding::ok(TIMEOUT, found));
    }
    let remedy = Remedy {
        wanted: format!("{IDLE_SECONDS} s or more"),
        why: "a held connection may be silent for up to 90 s, until TCP's keep-alive; if its entry expires earlier, rules \
              that let only tracked connections pass drop its packets"
            .into(),
        mend: format!("`sysctl -w {TIMEOUT}=432000`, the kernel's default"),
    };
    Some(Finding::advice(TIMEOUT, found, remedy))
}

const MAX: &str = "net.netfilter.nf_conntrack_max";
const COUNT: &str = "net.netfilter.nf_conntrack_count";
const TIMEOUT: &str = "net.netfilter.nf_conntrack_tcp_timeout_established";
/// Entries for connections other than clients'.
const OTHERS: u64 = 4_096;
/// Twice the keep-alive of a client socket.
const IDLE_SECONDS: u64 = 180;

#[cfg(test)]
mod tests {
    use super::super::tests::{Tree, levels};
    use super::*;

    #[test]
    fn a_table_in_use_must_have_room_for_all() {
        let level = |used: &str, connections| {
            let machine = Tree::new();
            machine.sysctl(MAX, "262144");
            machine.sysctl(COUNT, used);
            levels(&findings(&machine.open(), &Plan::new(connections, 2)))
        };
        assert_eq!(level("5", 100_000), [Level::Ok]);
        assert_eq!(level("5", 300_000), [Level::Problem]);
        assert_eq!(level("0", 300_000), [Level::Advice]);
    }

    #[test]
    fn an_idle_connection_must_not_be_forgotten() {
        let machine = Tree::new();
        machine.sysctl(TIMEOUT, "60");
        assert_eq!(levels(&findings(&machine.open(), &Plan::new(1, 1))), [Level::Advice]);
        machine.sysctl(TIMEOUT, "432000");
        assert_eq!(levels(&findings(&machine.open(), &Plan::new(1, 1))), [Level::Ok]);
    }
}
