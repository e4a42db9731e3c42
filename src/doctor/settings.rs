//! Findings about settings that contradict each other or that the machine cannot support. `gripwire doctor` and `gripwire
//! check` print them. A server runs with such settings, but not as the operator expects.

use super::finding::{grouped, mebibytes};
use super::{Finding, Machine, Plan, Remedy, memory_bytes};
use crate::config::Config;

/// All findings about `config` on `cores` cores of `machine`.
pub fn examine_settings(machine: &Machine, cores: u64, config: &Config) -> Vec<Finding> {
    let memory = memory_bytes(machine);
    [
        ceiling(memory, config),
        kept(memory, cores, config),
        of_one_core(
            "limits.backlog_bytes",
            BACKLOG,
            config.limits.backlog_bytes,
            config.limits.backlog_bytes_per_core,
        ),
        of_one_core(
            "websocket.message_bytes",
            INCOMING,
            config.websocket.message_bytes,
            config.websocket.incoming_bytes_per_core,
        ),
        rates(config),
        addresses(config),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The memory ceiling is above the memory that the process may use.
fn ceiling(memory: Option<u64>, config: &Config) -> Option<Finding> {
    let (set, memory) = (config.limits.memory_bytes?, memory?);
    if set <= memory {
        return None;
    }
    let remedy = Remedy {
        wanted: format!("less than {}", mebibytes(memory)),
        why: "the kernel ends the process before the server reaches the ceiling and closes a few clients"
            .into(),
        mend: "lower limits.memory_bytes, or leave it out: the default is three quarters of the memory"
            .into(),
    };
    Some(Finding::advice(CEILING, mebibytes(set), remedy))
}

/// The bytes that all cores' limits allow for clients exceed the memory ceiling.
fn kept(memory: Option<u64>, cores: u64, config: &Config) -> Option<Finding> {
    let ceiling = match config.limits.memory_bytes {
        Some(0) => return None,
        Some(set) => set,
        None => memory? / 4 * 3,
    };
    let limits = &config.limits;
    let bounds =
        [limits.backlog_bytes_per_core, limits.held_bytes_per_core, config.websocket.incoming_bytes_per_core];
    let of_core = bounds.iter().fold(0, |sum: u64, bound| sum.saturating_add(*bound as u64));
    let most = cores.saturating_mul(of_core).saturating_add(Plan::new(0, cores).held_bytes());
    let found =
        format!("up to {} on {} cores, with a ceiling of {}", mebibytes(most), cores, mebibytes(ceiling));
    if most <= ceiling || !is_changed(config) {
        return Some(Finding::ok(KEPT, found));
    }
    let remedy = Remedy {
        wanted: format!("up to {} or less", mebibytes(ceiling)),
        why: "the server closes the largest clients at its memory ceiling before these limits are reached"
            .into(),
        mend: format!("lower {BACKLOG}, {INCOMING} or limits.held_bytes_per_core, or raise {CEILING}"),
    };
    Some(Finding::advice(KEPT, found, remedy))
}

/// Whether a limit of a core or the ceiling differs from its default. Defaults on a small machine are no contradiction.
fn is_changed(config: &Config) -> bool {
    let bounds = |config: &Config| {
        let limits = &config.limits;
        let of_core = (limits.backlog_bytes_per_core, limits.held_bytes_per_core);
        (of_core, config.websocket.incoming_bytes_per_core, limits.memory_bytes)
    };
    bounds(config) != bounds(&Config::default())
}

/// A limit per client exceeds the limit for all clients of a core.
fn of_one_core(name: &str, of_all: &str, one: usize, all: usize) -> Option<Finding> {
    if one <= all {
        return None;
    }
    let remedy = Remedy {
        wanted: format!("{} bytes or less", grouped(all as u64)),
        why: format!("{of_all} limits all clients of a core together, so no client ever reaches this limit"),
        mend: format!("lower {name}, or raise {of_all}"),
    };
    Some(Finding::advice(name, format!("{} bytes", grouped(one as u64)), remedy))
}

/// Least rates are set, but the idle timeout always comes first.
fn rates(config: &Config) -> Option<Finding> {
    let http = &config.http;
    let has_rates = http.min_request_bytes_per_s > 0 || http.min_answer_bytes_per_s > 0;
    if !has_rates || http.rate_grace_ms < http.idle_timeout_ms {
        return None;
    }
    let remedy = Remedy {
        wanted: "less than http.idle_timeout_ms".into(),
        why: "the idle timeout ends a client that stops before the client's rate is measured".into(),
        mend: "lower http.rate_grace_ms, or set the least rates to 0".into(),
    };
    Some(Finding::advice("http.rate_grace_ms", format!("{} ms", grouped(http.rate_grace_ms)), remedy))
}

/// Explains the limit per address, because all clients behind a load balancer share its address.
fn addresses(config: &Config) -> Option<Finding> {
    let limits = &config.limits;
    if limits.connections_per_address == Some(0) {
        return None;
    }
    let most = limits.connections_per_address.map_or_else(
        || "half of all connections".to_owned(),
        |most| format!("{} connections", grouped(most as u64)),
    );
    Some(Finding::ok(
        "limits.connections_per_address",
        format!("{most} per address; a load balancer is one address unless http.trusted_proxies names it"),
    ))
}

const CEILING: &str = "limits.memory_bytes";
const KEPT: &str = "what is kept for clients";
const BACKLOG: &str = "limits.backlog_bytes_per_core";
const INCOMING: &str = "websocket.incoming_bytes_per_core";

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::super::tests::Tree;
    use super::*;

    /// The subjects of advice for a machine of 8 GB and 4 cores.
    fn advice(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let tree = Tree::new().with("proc/meminfo", "MemTotal: 8000000 kB\n");
        let mut config = Config::default();
        change(&mut config);
        let findings = examine_settings(&tree.open(), 4, &config).into_iter();
        findings.filter(|finding| finding.level == Level::Advice).map(|finding| finding.subject).collect()
    }

    #[test]
    fn the_defaults_contradict_nothing() {
        assert_eq!(advice(|_| ()), [""; 0]);
    }

    #[test]
    fn bounds_above_the_ceiling_are_named() {
        assert_eq!(advice(|config| config.limits.backlog_bytes_per_core = 2_000_000_000), [KEPT]);
        assert_eq!(advice(|config| config.limits.memory_bytes = Some(1_000_000_000)), [KEPT]);
        assert_eq!(advice(|config| config.limits.memory_bytes = Some(9_000_000_000)), [CEILING]);
        let without = |config: &mut Config| {
            (config.limits.memory_bytes, config.limits.backlog_bytes_per_core) = (Some(0), usize::MAX);
        };
        assert_eq!(advice(without), [""; 0]);
    }

    #[test]
    fn a_bound_of_one_client_above_that_of_all_is_named() {
        assert_eq!(advice(|config| config.limits.backlog_bytes_per_core = 1_000), ["limits.backlog_bytes"]);
        assert_eq!(
            advice(|config| config.websocket.incoming_bytes_per_core = 5),
            ["websocket.message_bytes"]
        );
    }

    #[test]
    fn rates_that_are_never_judged_are_named() {
        assert_eq!(advice(|config| config.http.idle_timeout_ms = 5_000), ["http.rate_grace_ms"]);
        let off = |config: &mut Config| {
            let http = &mut config.http;
            (http.idle_timeout_ms, http.min_request_bytes_per_s, http.min_answer_bytes_per_s) = (5_000, 0, 0);
        };
        assert_eq!(advice(off), [""; 0]);
    }
}
