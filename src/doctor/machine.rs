//! A machine as described by /proc and /sys under a root directory: `/`, a copy of another machine's files, or a tree
//! that a test made. Files are read when a rule asks for them. A file that cannot be read gives `None`, because kernels
//! and containers lack different files and no rule may depend on one.

use std::path::{Path, PathBuf};

/// The root directory of /proc and /sys, and the process whose limits count.
pub struct Machine {
    root: PathBuf,
    /// The process whose limits and control groups count: a process id, or `self`.
    process: String,
}

/// A root directory or process that cannot be examined.
#[derive(Debug, thiserror::Error)]
#[error("{} has no {missing}: {remedy}", .root.display())]
pub struct NotAMachine {
    root: PathBuf,
    missing: String,
    remedy: &'static str,
}

impl Machine {
    /// Opens the machine whose /proc and /sys are under `root`. The limits of process `pid` count, or else this process's.
    ///
    /// # Errors
    /// There is no such root or process.
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

    /// The value of a sysctl, with single spaces.
    pub fn sysctl(&self, name: &str) -> Option<String> {
        let text = self.text(&format!("proc/sys/{}", name.replace('.', "/")))?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The numbers of a sysctl; `None` if its value has other words.
    pub fn sysctl_numbers(&self, name: &str) -> Option<Vec<u64>> {
        self.sysctl(name)?.split(' ').map(|field| field.parse().ok()).collect()
    }

    /// The trimmed text of a file below the process's directory in /proc.
    pub fn process_text(&self, file: &str) -> Option<String> {
        self.text(&format!("proc/{}/{file}", self.process))
    }

    /// The sorted names in a directory.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join(directory)).into_iter().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Whether a path exists.
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}
