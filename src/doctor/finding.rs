//! The finding of a rule: the subject, the value that was found and, unless the value is fine, the wanted value, the
//! reason, and the command that changes it. `gripwire doctor` prints findings as text or as JSON.

use serde::Serialize;
use std::fmt;

/// The severity of a finding, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing to change.
    Ok,
    /// The planned connections will be served, but less well than possible.
    Advice,
    /// The planned connections cannot be served.
    Problem,
}

/// The result of examining one subject.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The severity.
    pub level: Level,
    /// The subject, by the kernel's name for it.
    pub subject: String,
    /// The value that was found.
    pub found: String,
    /// What to change; `None` only if the level is `Ok`.
    #[serde(flatten)]
    pub remedy: Option<Remedy>,
}

/// What to change, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Remedy {
    /// The wanted value.
    pub wanted: String,
    /// What happens without the change.
    pub why: String,
    /// The command, or the line of a file, that makes the change.
    pub mend: String,
}

impl Finding {
    /// A finding with nothing to change.
    pub fn ok(subject: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding { level: Level::Ok, subject: subject.into(), found: found.into(), remedy: None }
    }

    /// A finding with a change to make.
    pub fn new(
        level: Level,
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: Remedy,
    ) -> Finding {
        debug_assert_ne!(level, Level::Ok);
        Finding { level, subject: subject.into(), found: found.into(), remedy: Some(remedy) }
    }

    /// A finding of level `Advice`.
    pub fn advice(subject: impl Into<String>, found: impl Into<String>, remedy: Remedy) -> Finding {
        Finding::new(Level::Advice, subject, found, remedy)
    }

    /// A finding of level `Problem`.
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

/// A number with separated thousands: 1,048,576.
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

/// Bytes in mebibytes, rounded up.
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
