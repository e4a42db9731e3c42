//! Reads single values of `pushpin.conf`: replaces variables, and records mistakes with their lines.

use std::str::FromStr;

use super::PushpinConf;
use crate::config::Problem;

impl PushpinConf {
    /// The parts of a value with their variables replaced, without empty parts.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let values = self.entries.get(name).map_or(&[][..], |found| &found.values[..]);
        values.iter().filter(|value| !value.is_empty()).map(|value| self.substitute(value)).collect()
    }

    /// A value that is not a list.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let found = self.entries.get(name)?;
        if let [value] = &found.values[..] {
            return Some(self.substitute(value));
        }
        let key = name.rsplit('/').next().unwrap_or(name);
        self.error(name, format!("`{key}` takes one value: put it in quotes if it contains a comma"));
        None
    }

    /// Reads a boolean. QSettings takes every text except `0`, `false` and empty text as true.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.text(name).is_some_and(|text| !matches!(text.to_lowercase().as_str(), "" | "0" | "false"))
    }

    /// Parses a value into `setting`, which keeps its value if the key is absent or empty.
    pub(super) fn set<T: FromStr>(&mut self, setting: &mut T, name: &str) {
        let Some(text) = self.text(name).filter(|text| !text.is_empty()) else {
            return;
        };
        match text.parse() {
            Ok(value) => *setting = value,
            Err(_) => {
                let key = name.rsplit('/').next().unwrap_or(name);
                let wanted = if key.ends_with("_addr") { "an IP address" } else { "a number in range" };
                self.error(name, format!("`{key}` must be {wanted}, not `{text}`"));
            }
        }
    }

    /// Parses text that becomes part of a header.
    pub(super) fn parsed<T: FromStr>(&mut self, name: &str, text: &str) -> Option<T> {
        let parsed = text.parse().ok();
        if parsed.is_none() {
            let key = name.rsplit('/').next().unwrap_or(name);
            self.error(name, format!("`{key}`: `{text}` has characters that headers must not contain"));
        }
        parsed
    }

    pub(super) fn substitute(&self, value: &str) -> String {
        let variable = |name: &str, unset: &str| {
            let found = self.entries.get(name).and_then(|found| found.values.first());
            found.cloned().unwrap_or_else(|| unset.to_owned())
        };
        if !value.contains('{') {
            return value.to_owned();
        }
        let run_directory = variable("global/rundir", &variable("runner/rundir", "run"));
        value
            .replace("{libdir}", &variable("global/libdir", "/usr/lib/pushpin"))
            .replace("{rundir}", &run_directory)
            .replace("{ipc_prefix}", &variable("global/ipc_prefix", "pushpin-"))
    }

    pub(super) fn error(&mut self, name: &str, message: String) {
        let problem = self.problem(name, message);
        self.errors.push(problem);
    }

    pub(super) fn warn(&mut self, name: &str, message: String) {
        let problem = self.problem(name, message);
        self.warnings.push(problem);
    }

    /// A problem at the line of a key, or at the first line of the file if the key is absent.
    pub(super) fn problem(&self, name: &str, message: String) -> Problem {
        match self.entries.get(name) {
            Some(found) => Problem::new(&found.file, found.line, message),
            None => Problem::new(&self.path, 1, message),
        }
    }
}
