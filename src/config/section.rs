//! TOML tables that report unknown keys. `native` reads each setting from a [`Section`] by name. Keys that were not read
//! at the end are unknown, and the keys that were read are the candidates for "did you mean". So each setting is named
//! in one place, and the list of known keys cannot differ from the code.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, nearest};

/// A value that cannot be used: which value is wanted, and which part of the value is wrong if not all of it.
#[derive(Debug)]
pub struct Unusable {
    wanted: String,
    at: Option<Range<usize>>,
}

impl Unusable {
    /// The whole value is wrong; `wanted` completes "must be ...".
    pub fn value(wanted: impl Into<String>) -> Self {
        Unusable { wanted: format!("must be {}", wanted.into()), at: None }
    }

    /// The part at `at` is wrong; `why` is the reason.
    pub fn part(at: Range<usize>, why: impl ToString) -> Self {
        Unusable { wanted: format!("has a part that cannot be used: {}", why.to_string()), at: Some(at) }
    }
}

/// A parsed file and the problems found in it.
pub struct Document<'t> {
    file: String,
    text: &'t str,
    root: DeTable<'t>,
    asked: Vec<(&'static str, &'static str)>,
    problems: Vec<Problem>,
}

impl<'t> Document<'t> {
    /// Parses `text`.
    ///
    /// # Errors
    /// The first syntax error.
    pub fn parse(text: &'t str, file: String) -> Result<Self, Problem> {
        match DeTable::parse(text) {
            Ok(root) => {
                let root = root.into_inner();
                Ok(Document { file, text, root, asked: Vec::new(), problems: Vec::new() })
            }
            Err(error) => {
                let line = line_of(text, error.span().map_or(0, |span| span.start));
                Err(Problem::new(file, line, error.message()))
            }
        }
    }

    /// The section `[name]`, empty if absent. The name `""` is the top of the file.
    pub fn section(&mut self, name: &'static str) -> Section<'_, 't> {
        Section { name, document: self }
    }

    /// Adds a problem at the line of the byte at `offset`.
    pub fn report(&mut self, offset: usize, message: impl Into<String>) {
        self.problems.push(Problem::new(self.file.clone(), line_of(self.text, offset), message));
    }

    /// All problems, unknown keys included, in the order of their lines.
    pub fn finish(mut self) -> Vec<Problem> {
        self.report_unknown();
        self.problems.sort_by_key(|problem| problem.line);
        self.problems
    }

    fn lookup(&self, section: &str, key: &str) -> Option<(Range<usize>, &Spanned<DeValue<'t>>)> {
        let table = match section {
            "" => &self.root,
            _ => self.root.get(section)?.get_ref().as_table()?,
        };
        table.get_key_value(key).map(|(key, value)| (key.span(), value))
    }

    fn report_unknown(&mut self) {
        let mut unknown = Vec::new();
        for (name, value) in &self.root {
            let section = name.get_ref().as_ref();
            let is_section = !section.is_empty() && self.asked.iter().any(|(asked, _)| *asked == section);
            match value.get_ref() {
                DeValue::Table(table) if is_section => {
                    for key in table.keys().filter(|key| !self.knows(section, key.get_ref())) {
                        unknown.push((key.span().start, self.unknown_key(section, key.get_ref())));
                    }
                }
                _ if is_section => {
                    unknown
                        .push((name.span().start, format!("`{section}` is a section: write `[{section}]`")));
                }
                DeValue::Table(_) => unknown.push((name.span().start, self.unknown_section(section))),
                _ if self.knows("", section) => {}
                _ => unknown.push((name.span().start, self.unknown_key("", section))),
            }
        }
        for (offset, message) in unknown {
            self.report(offset, message);
        }
    }

    fn knows(&self, section: &str, key: &str) -> bool {
        self.asked.contains(&(section, key))
    }

    fn unknown_section(&self, name: &str) -> String {
        let sections = self.asked.iter().map(|(section, _)| *section).filter(|section| !section.is_empty());
        match nearest(name, sections) {
            Some(near) => format!("unknown section `[{name}]` (did you mean `[{near}]`?)"),
            None => format!("unknown section `[{name}]`"),
        }
    }

    /// Suggests a similar key of this section, or a key of this name in another section.
    fn unknown_key(&self, section: &str, key: &str) -> String {
        let siblings = self.asked.iter().filter(|(asked, _)| *asked == section).map(|(_, known)| *known);
        let near = match nearest(key, siblings) {
            Some(near) => Some(dotted(section, near)),
            None => self.asked.iter().find(|(_, known)| *known == key).map(|(other, _)| dotted(other, key)),
        };
        let name = dotted(section, key);
        match near {
            Some(near) => format!("unknown key `{name}` (did you mean `{near}`?)"),
            None => format!("unknown key `{name}`"),
        }
    }
}

/// A table of the file while its settings are read.
pub struct Section<'d, 't> {
    name: &'static str,
    document: &'d mut Document<'t>,
}

impl Section<'_, '_> {
    /// Reads `key` into `setting`, which keeps its value if the key is absent or wrong.
    ///
    /// Returns the value's offset in the text, for checks that need more than one setting.
    pub fn read<T>(
        &mut self,
        key: &'static str,
        setting: &mut T,
        convert: impl FnOnce(&Spanned<DeValue<'_>>) -> Result<T, Unusable>,
    ) -> Option<usize> {
        self.document.asked.push((self.name, key));
        let (_, value) = self.document.lookup(self.name, key)?;
        let span = value.span();
        match convert(value) {
            Ok(value) => *setting = value,
            Err(Unusable { wanted, at }) => {
                let offset = at.unwrap_or(span.clone()).start;
                self.document.report(offset, format!("`{}` {wanted}", dotted(self.name, key)));
            }
        }
        Some(span.start)
    }
}

fn dotted(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// The line number, from 1, of the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boolean(value: &Spanned<DeValue<'_>>) -> Result<bool, Unusable> {
        value.get_ref().as_bool().ok_or_else(|| Unusable::value("true or false"))
    }

    fn problems(text: &str) -> Vec<String> {
        let mut document = match Document::parse(text, "f".into()) {
            Ok(document) => document,
            Err(problem) => return vec![problem.to_string()],
        };
        let mut setting = false;
        document.section("").read("cores", &mut setting, boolean);
        document.section("http").read("listen", &mut setting, boolean);
        document.section("proxy").read("debug", &mut setting, boolean);
        document.finish().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_known_and_well_typed_is_no_problem() {
        assert_eq!(problems("cores = true\n[http]\nlisten = true\n"), [""; 0]);
        assert_eq!(problems("http.listen = true\n"), [""; 0]);
        assert_eq!(problems(""), [""; 0]);
    }

    #[test]
    fn unknown_keys_name_the_nearest_known_one() {
        assert_eq!(
            problems("\n[http]\nlisen = true\n"),
            ["f:3: unknown key `http.lisen` (did you mean `http.listen`?)"]
        );
        assert_eq!(
            problems("[http]\ndebug = true\n"),
            ["f:2: unknown key `http.debug` (did you mean `proxy.debug`?)"]
        );
        assert_eq!(problems("core = 1\n"), ["f:1: unknown key `core` (did you mean `cores`?)"]);
        assert_eq!(problems("[htp]\n"), ["f:1: unknown section `[htp]` (did you mean `[http]`?)"]);
        assert_eq!(problems("[nothing]\n"), ["f:1: unknown section `[nothing]`"]);
    }

    #[test]
    fn wrong_types_and_syntax_name_their_line() {
        assert_eq!(problems("\n\n[http]\nlisten = 5\n"), ["f:4: `http.listen` must be true or false"]);
        assert_eq!(problems("http = 5\n"), ["f:1: `http` is a section: write `[http]`"]);
        assert_eq!(problems("cores = true\n[http\n").len(), 1);
        assert!(problems("cores = true\n[http\n")[0].starts_with("f:2: "));
    }

    #[test]
    fn problems_come_in_the_order_of_the_file() {
        let found = problems("x = 1\n[proxy]\ndebug = 1\n[http]\nlisten = 2\n");
        let lines: Vec<_> = found.iter().map(|problem| problem.split(':').nth(1).unwrap()).collect();
        assert_eq!(lines, ["1", "3", "5"]);
    }
}
