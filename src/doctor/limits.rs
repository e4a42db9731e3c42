//! Limits of the process. The server raises its soft limit on files to the hard limit at start, so the hard limit counts.
//! For locked memory the soft limit counts. The limits are those of the shell that runs `gripwire doctor`, or of a
//! running server with `--pid`.

use super::finding::grouped;
use super::{Finding, Machine, Plan, Remedy};
use crate::config::Config;
use crate::wire::MEMLOCK_BYTES;

pub fn findings(machine: &Machine, plan: &Plan) -> Vec<Finding> {
    [files(machine, plan), locked_memory(machine), configured(plan)].into_iter().flatten().collect()
}

fn files(machine: &Machine, plan: &Plan) -> Option<Finding> {
    let limit = limit(machine, "Max open files")?.hard;
    let found = format!("{} files", grouped(limit));
    if limit >= plan.files() {
        return Some(Finding::ok(NOFILE, found));
    }
    let most = grouped(limit.saturating_mul(plan.cores));
    let why = format!(
        "it limits the table of direct descriptors of each core's ring: {} cores of {} hold at most {most} \
         connections, and the kernel does not spread connections quite evenly",
        plan.cores,
        grouped(limit),
    );
    let mend = format!(
        "LimitNOFILE={UNIT_FILES} in the unit (tuning/gripwire.service), or `ulimit -Hn {}` as root before serve",
        plan.files().max(UNIT_FILES)
    );
    Some(Finding::problem(NOFILE, found, Remedy { wanted: or_more(plan.files()), why, mend }))
}

fn locked_memory(machine: &Machine) -> Option<Finding> {
    let limit = limit(machine, "Max locked memory")?.soft;
    let found = if limit == u64::MAX { "unlimited".to_owned() } else { format!("{} bytes", grouped(limit)) };
    if limit >= MEMLOCK_BYTES {
        return Some(Finding::ok(MEMLOCK, found));
    }
    let remedy = Remedy {
        wanted: or_more(MEMLOCK_BYTES),
        why: "the rings of each core are locked in memory; the server does not start with less".into(),
        mend: "LimitMEMLOCK=infinity in the unit (tuning/gripwire.service), or `ulimit -l unlimited`".into(),
    };
    Some(Finding::problem(MEMLOCK, found, remedy))
}

/// Whether a core's table of descriptors is large enough. No change of the machine can raise that limit.
fn configured(plan: &Plan) -> Option<Finding> {
    let most = Config::default().limits.connections_per_core as u64;
    if plan.connections_per_core() <= most {
        return None;
    }
    let remedy = Remedy {
        wanted: or_more(plan.connections_per_core()),
        why: format!("a ring's table of direct descriptors has at most {} entries", grouped(TABLE_ENTRIES)),
        mend: format!(
            "give the server more cores: {}",
            plan.connections_per_core().div_ceil(most) * plan.cores
        ),
    };
    Some(Finding::problem("limits.connections_per_core", grouped(most), remedy))
}

struct Limit {
    soft: u64,
    hard: u64,
}

/// A line of /proc/PID/limits: a name of several words, then the soft and the hard limit.
fn limit(machine: &Machine, name: &str) -> Option<Limit> {
    let limits = machine.process_text("limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    let mut fields = line.split_whitespace().map(|field| match field {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    });
    Some(Limit { soft: fields.next()??, hard: fields.next()?? })
}

fn or_more(least: u64) -> String {
    format!("{} or more", grouped(least))
}

/// LimitNOFILE of `tuning/gripwire.service`.
pub const UNIT_FILES: u64 = 1_048_576;
/// IORING_MAX_FIXED_FILES.
const TABLE_ENTRIES: u64 = 1 << 20;
const NOFILE: &str = "RLIMIT_NOFILE";
const MEMLOCK: &str = "RLIMIT_MEMLOCK";
