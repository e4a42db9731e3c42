//! A mistake in a file that an operator wrote. The config readers and the routes parser make problems; the command
//! line prints them. A problem always names a line, so that an editor can jump to it, and says what to change.

use std::fmt;

/// An error or a warning about one line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as the operator named it, or an option such as `--route`.
    pub file: String,
    /// The line number, from 1.
    pub line: usize,
    /// What is wrong and what to change.
    pub message: String,
}

impl Problem {
    /// Makes a problem on `line` of `file`.
    pub fn new(file: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Problem { file: file.into(), line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// The known name nearest to `name`, for "did you mean" in a problem's message.
///
/// At most a third of the letters may differ: `lisen` finds `listen`, but `foo` does not find `log`.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_an_editor_expects() {
        assert_eq!(Problem::new("a.toml", 3, "no").to_string(), "a.toml:3: no");
    }

    #[test]
    fn the_nearest_name_is_found_only_when_it_is_near() {
        let known = ["listen", "head_bytes", "log"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("head_byte", known), Some("head_bytes"));
        assert_eq!(nearest("foo", known), None);
        assert_eq!(nearest("", known), None);
    }
}
