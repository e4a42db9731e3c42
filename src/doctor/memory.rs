//! Memory: whether the connections fit into the machine, TCP's share of memory, and transparent huge pages. The memory of
//! one connection is in `plan`.

use super::finding::{grouped, mebibytes};
use super::{Finding, Level, Machine, Plan, Remedy};

pub fn findings(machine: &Machine, plan: &Plan) -> Vec<Finding> {
    [total(machine, plan), tcp(machine, plan), huge_pages(machine)].into_iter().flatten().collect()
}

/// Memory of the machine, bytes.
pub(super) fn total_bytes(machine: &Machine) -> Option<u64> {
    let meminfo = machine.text("proc/meminfo")?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.saturating_mul(1024))
}

fn total(machine: &Machine, plan: &Plan) -> Option<Finding> {
    let bytes = total_bytes(machine)?;
    // An eighth is left for the kernel and other programs.
    Some(room(plan, "memory", bytes - bytes / 8, "add memory, or spread the clients over more machines"))
}

/// Whether `bytes` are enough for the connections and for the backlogs of slow clients.
pub(super) fn room(plan: &Plan, subject: &str, bytes: u64, mend: &str) -> Finding {
    let (held, waiting) = (plan.held_bytes(), plan.backlog_bytes());
    let found = format!("{} to use", mebibytes(bytes));
    let (level, wanted, mend) = match bytes {
        _ if bytes < held => (Level::Problem, held.saturating_add(waiting), mend.to_owned()),
        _ if bytes < held.saturating_add(waiting) => {
            let less = "or lower limits.backlog_bytes_per_core instead";
            (Level::Advice, held.saturating_add(waiting), format!("{mend}; {less}"))
        }
        _ => {
            let needs = mebibytes(held);
            return Finding::ok(subject, format!("{found}; held connections take {needs}"));
        }
    };
    let why = format!(
        "{} held connections take {}, most of it for sockets in the kernel, and slow clients' backlogs up to {} more",
        grouped(plan.connections),
        mebibytes(held),
        mebibytes(waiting),
    );
    Finding::new(level, subject, found, Remedy { wanted: mebibytes(wanted), why, mend })
}

/// TCP's memory. An idle connection uses none of tcp_mem; a connection with a small message in flight uses a page.
fn tcp(machine: &Machine, plan: &Plan) -> Option<Finding> {
    let pages = machine.sysctl_numbers(TCP_MEM)?;
    let [_, pressure, _] = pages[..] else { return None };
    let found = format!("pressure at {} pages", grouped(pressure));
    if pressure >= plan.connections {
        return Some(Finding::ok(TCP_MEM, found));
    }
    // The kernel's own proportions.
    let pressure = plan.connections.saturating_mul(2);
    let value = format!("{} {pressure} {}", pressure / 4 * 3, pressure.saturating_mul(2));
    let remedy = Remedy {
        wanted: format!("pressure at {} pages or more", grouped(plan.connections)),
        why: "a message to all clients takes a page for each client; under pressure the kernel shrinks all buffers, and \
              beyond the last of the three numbers it drops packets that arrive"
            .into(),
        mend: format!(
            "`sysctl -w {TCP_MEM}=\"{value}\"`, and a separate file in /etc/sysctl.d, because the value depends on this \
             machine's memory"
        ),
    };
    Some(Finding::advice(TCP_MEM, found, remedy))
}

fn huge_pages(machine: &Machine) -> Option<Finding> {
    let setting = machine.text(HUGE_PAGES)?;
    let chosen = setting.split_once('[')?.1.split_once(']')?.0.to_owned();
    if chosen != "always" {
        return Some(Finding::ok("transparent huge pages", chosen));
    }
    let remedy = Remedy {
        wanted: "madvise".into(),
        why: "growing tables then get pages of 2 MiB, and the core waits while the kernel finds and clears such a page, \
              longest when memory is fragmented"
            .into(),
        mend: format!("`echo madvise > /{HUGE_PAGES}`; the unit (tuning/gripwire.service) has a line that does it at start"),
    };
    Some(Finding::advice("transparent huge pages", chosen, remedy))
}

const TCP_MEM: &str = "net.ipv4.tcp_mem";
const HUGE_PAGES: &str = "sys/kernel/mm/transparent_hugepage/enabled";

#[cfg(test)]
mod tests {
    use super::super::tests::{Tree, levels};
    use super::*;

    #[test]
    fn memory_is_a_problem_when_the_connections_do_not_fit() {
        let level = |kilobytes: u64| {
            let machine =
                Tree::new().with("proc/meminfo", &format!("MemTotal:  {kilobytes} kB\nMemFree: 1 kB"));
            findings(&machine.open(), &Plan::new(100_000, 2))[0].level
        };
        assert_eq!([400_000, 900_000, 2_000_000].map(level), [Level::Problem, Level::Advice, Level::Ok]);
    }

    #[test]
    fn tcp_has_a_page_for_each_connection() {
        let machine = Tree::new().with("proc/sys/net/ipv4/tcp_mem", "30000\t40000\t60000\n");
        let findings = |connections| findings(&machine.open(), &Plan::new(connections, 2));
        assert_eq!(levels(&findings(40_000)), [Level::Ok]);
        let finding = &findings(100_000)[0];
        assert!(finding.remedy.as_ref().unwrap().mend.contains("150000 200000 400000"), "{finding:?}");
    }

    #[test]
    fn huge_pages_are_left_to_those_who_ask() {
        let level = |text| levels(&findings(&Tree::new().with(HUGE_PAGES, text).open(), &Plan::new(1, 1)));
        assert_eq!(level("[always] madvise never"), [Level::Advice]);
        assert_eq!(level("always [madvise] never"), [Level::Ok]);
        assert_eq!(level("always madvise [never]"), [Level::Ok]);
    }
}
