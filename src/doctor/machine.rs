//! A machine as its /proc and /sys tell of it, under a root directory: `/`, a copy that was made elsewhere, or a tree
//! that a test made up. Files are read when a rule asks, and what cannot be read is `None`: no rule may rely on a
//! file, because kernels and containers leave out different ones.

use std::path::{Path, PathBuf};

/// Where to look.
pub struct Machine {
    root: PathBuf,
    /// Whose limits and control groups count: a process number, or `self`.
    process: String,
}

/// There is nothing to look at.
#[derive(Debug, thiserror::Error)]
#[error("{} has no {missing}: {remedy}", .root.display())]
pub struct NotAMachine {
    root: PathBuf,
    missing: String,
    remedy: &'static str,
}

impl Machine {
    /// The machine whose /proc and /sys lie under `root`, seen by process `pid` or else by this one.
    pub fn open(root: &Path, pid: Option<u32>) -> Result<Machine, NotAMachine> {
        let process = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
        let machine = Machine { root: root.to_owned(), process };
        let lacks = |missing: String, remedy| NotAMachine { root: root.to_owned(), missing, remedy };
        if !root.join("proc/sys").is_dir() {
            return Err(lacks("proc/sys".into(), "give --root a directory with a copy of /proc and /sys"));
        }
        if machine.process_text("status").is_none() {
            let missing = format!("proc/{}/status", machine.process);
            return Err(lacks(missing, "give --pid the number of a running process"));
        }
        Ok(machine)
    }

    /// The trimmed text of a file.
    pub fn text(&self, path: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned())
    }

    /// The number in a file.
    pub fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// What a sysctl is set to, with single spaces.
    pub fn sysctl(&self, name: &str) -> Option<String> {
        let text = self.text(&format!("proc/sys/{}", name.replace('.', "/")))?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The numbers a sysctl is set to; none if it has other words too.
    pub fn sysctl_numbers(&self, name: &str) -> Option<Vec<u64>> {
        self.sysctl(name)?.split(' ').map(|field| field.parse().ok()).collect()
    }

    /// A file of the process whose limits count.
    pub fn process_text(&self, file: &str) -> Option<String> {
        self.text(&format!("proc/{}/{file}", self.process))
    }

    /// What is in a directory, in order.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join(directory)).into_iter().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Whether a path is there.
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}
