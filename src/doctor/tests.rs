//! Made-up machines for tests, and tests of all rules together.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A temporary root directory with the files that every machine has.
pub(super) struct Tree(PathBuf);

impl Tree {
    pub fn new() -> Tree {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gripwire-doctor-{}-{number}", std::process::id()));
        std::fs::create_dir_all(path.join("proc/sys")).unwrap();
        Tree(path).with("proc/self/status", "")
    }

    pub fn with(self, path: &str, text: &str) -> Tree {
        write(&self.0.join(path), text);
        self
    }

    pub fn sysctl(&self, name: &str, value: &str) {
        write(&self.0.join("proc/sys").join(name.replace('.', "/")), value);
    }

    pub fn open(&self) -> Machine {
        Machine::open(&self.0, None).unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

pub(super) fn levels(findings: &[Finding]) -> Vec<Level> {
    findings.iter().map(|finding| finding.level).collect()
}

/// A machine with the limits of `tuning/gripwire.service` and the sysctls of `tuning/90-gripwire.conf`.
fn tuned() -> Tree {
    let tree = Tree::new()
        .with("proc/self/status", "Cpus_allowed_list:\t0-3\n")
        .with("proc/self/limits", &limits("1048576", "unlimited"))
        .with("proc/self/cgroup", "0::/system.slice/gripwire.service\n")
        .with("sys/fs/cgroup/system.slice/gripwire.service/memory.max", "max\n")
        .with("proc/meminfo", "MemTotal:       16000000 kB\n")
        .with("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
        .with("sys/class/net/eth0/device/vendor", "0x8086\n")
        .with("sys/class/net/eth0/queues/rx-0/rps_cpus", "f\n");
    let settings =
        include_str!("../../tuning/90-gripwire.conf").lines().filter_map(|line| line.split_once(" = "));
    settings.for_each(|(name, value)| tree.sysctl(name, value));
    tree.sysctl("kernel.osrelease", "6.1.0-test");
    tree.sysctl("net.ipv4.tcp_mem", "190000 253000 380000");
    tree
}

fn limits(files: &str, locked: &str) -> String {
    format!(
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max open files            1024                 {files}              files     \n\
         Max locked memory         {locked}              {locked}              bytes     \n"
    )
}

#[test]
fn a_tuned_machine_has_nothing_to_change() {
    let findings = examine(&tuned().open(), &Plan::new(100_000, 4));
    assert!(
        findings.len() > 15 && findings.iter().all(|finding| finding.level == Level::Ok),
        "{findings:#?}"
    );
}

#[test]
fn what_is_enough_for_some_is_not_for_ten_times_as_many() {
    let machine = tuned();
    let problems = |connections| {
        let findings = examine(&machine.open(), &Plan::new(connections, 4));
        let problems = findings.into_iter().take_while(|finding| finding.level == Level::Problem);
        problems.map(|finding| finding.subject).collect::<Vec<_>>()
    };
    assert_eq!(problems(1_000_000), Vec::<String>::new());
    assert_eq!(problems(10_000_000), ["RLIMIT_NOFILE", "limits.connections_per_core", "memory"]);
}

#[test]
fn the_worst_comes_first_and_says_what_to_do() {
    let machine = tuned().with("proc/self/limits", &limits("20000", "65536"));
    let findings = examine(&machine.open(), &Plan::new(100_000, 4));
    let subjects: Vec<&str> = findings.iter().take(2).map(|finding| finding.subject.as_str()).collect();
    assert_eq!(subjects, ["RLIMIT_NOFILE", "RLIMIT_MEMLOCK"]);
    let remedy = findings[0].remedy.as_ref().unwrap();
    assert!(remedy.wanted.contains("28,125") && remedy.why.contains("80,000"), "{remedy:?}");
    assert!(remedy.mend.contains("LimitNOFILE"), "{remedy:?}");
    assert_eq!(findings[2].level, Level::Ok);
}

#[test]
fn an_old_kernel_will_not_do() {
    for (release, level) in
        [("5.15.0-91", Level::Problem), ("6.0.19", Level::Problem), ("6.18.44", Level::Ok)]
    {
        let machine = Tree::new();
        machine.sysctl("kernel.osrelease", release);
        assert_eq!(levels(&kernel::findings(&machine.open(), &Plan::new(1, 1))), [level], "{release}");
    }
}

#[test]
fn the_unit_has_the_limits_that_findings_name() {
    let unit = include_str!("../../tuning/gripwire.service");
    assert!(unit.contains(&format!("LimitNOFILE={}\n", limits::UNIT_FILES)));
    assert!(unit.contains("LimitMEMLOCK=infinity\n"));
    // MemoryMax determines the server's default memory ceiling, and the kernel may end the server before other programs.
    assert!(unit.contains("MemoryMax=90%\n") && unit.contains("LimitCORE=0\n") && !unit.contains("OOMScore"));
    assert!(limits::UNIT_FILES >= Plan::new(100_000, 1).files());
}

#[test]
fn a_machine_that_tells_nothing_has_no_findings_and_none_is_an_error() {
    assert!(examine(&Tree::new().open(), &Plan::new(100_000, 4)).is_empty());
    let error = Machine::open(Path::new("/nowhere"), None).err().unwrap().to_string();
    assert!(error.starts_with("/nowhere has no proc/sys: "), "{error}");
    let error = Machine::open(&Tree::new().0, Some(7)).err().unwrap().to_string();
    assert!(error.contains("--pid") || error.contains("--root"), "{error}");
}
