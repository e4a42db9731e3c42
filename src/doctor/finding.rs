//! What a rule has to say: what it looked at, what is there, and, unless that is fine, what should be, why, and the
//! command that mends it. `gripwire doctor` prints findings as text or, as they are, as JSON.

use serde::Serialize;
use std::fmt;

/// How much a finding matters; a problem is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// The stated number will be served, but worse than it could be.
    Advice,
    /// The stated number cannot be served.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What was looked at, in the kernel's own words.
    pub subject: String,
    /// What is there.
    pub found: String,
    /// What to change; there is one unless the level is `Ok`.
    #[serde(flatten)]
    pub remedy: Option<Remedy>,
}

/// What to change, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Remedy {
    /// What should be there.
    pub wanted: String,
    /// What happens otherwise.
    pub why: String,
    /// The command, or the line of a file, that mends it.
    pub mend: String,
}

impl Finding {
    /// Nothing to change.
    pub fn ok(subject: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding { level: Level::Ok, subject: subject.into(), found: found.into(), remedy: None }
    }

    /// Something to change; `level` says how urgently.
    pub fn new(
        level: Level,
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: Remedy,
    ) -> Finding {
        debug_assert_ne!(level, Level::Ok);
        Finding { level, subject: subject.into(), found: found.into(), remedy: Some(remedy) }
    }

    /// It would be better otherwise.
    pub fn advice(subject: impl Into<String>, found: impl Into<String>, remedy: Remedy) -> Finding {
        Finding::new(Level::Advice, subject, found, remedy)
    }

    /// It must be otherwise.
    pub fn problem(subject: impl Into<String>, found: impl Into<String>, remedy: Remedy) -> Finding {
        Finding::new(Level::Problem, subject, found, remedy)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.found)?;
        match &self.remedy {
            Some(Remedy { why, mend, .. }) => write!(f, ": {why}; {mend}"),
            None => Ok(()),
        }
    }
}

/// A number with its thousands apart: 1,048,576.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as mebibytes.
pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", grouped(bytes.div_ceil(1024 * 1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let texts = [0, 999, 1_000, 1_048_576].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,048,576"]);
        assert_eq!(mebibytes(1), "1 MiB");
    }

    #[test]
    fn a_finding_is_flat_in_json() {
        let remedy = Remedy { wanted: "b".into(), why: "c".into(), mend: "d".into() };
        let finding = Finding::problem("s", "a", remedy);
        let json = serde_json::to_value(finding).unwrap();
        assert_eq!((&json["level"], &json["mend"]), (&"problem".into(), &"d".into()));
        assert!(serde_json::to_value(Finding::ok("s", "a")).unwrap().get("why").is_none());
    }
}
