//! The arrows between the files of a crate. Every path in the code of a file (`crate::a::B`, `super::b::C`, `b::C` where
//! `b` is imported) is followed through re-exports to the file that defines the name at its end, and the first file has an
//! arrow to the second.
//!
//! The sources are read line by line, as rustfmt writes them. Comments are left out, and so is code that exists only for
//! tests. The file of a folder (`a/mod.rs`, or `a.rs` beside the folder `a`) is the folder's face, so its uses of files in
//! that folder are no arrows. A name behind a glob counts as a name of the file with the glob.

use std::collections::{BTreeMap, BTreeSet};

/// The names of a path: `crate::a::B` is `["crate", "a", "B"]`. The path of a module begins below the root of its crate.
pub type Names = Vec<String>;

/// The modules of one crate.
pub struct Crate {
    name: String,
    /// The modules by their paths. The root is `lib.rs` and `main.rs` together.
    pub modules: BTreeMap<Names, Module>,
}

/// The paths in one file.
#[derive(Default)]
pub struct Module {
    /// The path of the file, for messages.
    pub file: String,
    /// The names that the module imports, each with the path it stands for. One name may stand for two paths, between
    /// which a feature decides.
    imports: Vec<(String, Names)>,
    /// All paths, as they are written.
    paths: Vec<Names>,
}

impl Crate {
    /// A crate of files, each with its text.
    pub fn new<'a>(name: &str, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut this = Self { name: name.to_owned(), modules: BTreeMap::new() };
        let mut for_tests = Vec::new();
        for (file, text) in files {
            let mut path: Names = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            path.pop_if(|last| ["mod", "lib", "main"].contains(&&**last));
            let (code, tests) = without_tests(text);
            for_tests.extend(tests.into_iter().map(|test| [&path[..], &[test]].concat()));
            let module = this.modules.entry(path).or_default();
            module.file = file.to_owned();
            module.read(&code);
        }
        this.modules.retain(|path, _| !for_tests.iter().any(|test| path.starts_with(test)));
        this
    }

    /// The modules that a module needs, without those in its own folder.
    pub fn arrows(&self, module: &Names) -> BTreeSet<&Names> {
        let definers = self.used(module).flat_map(|path| self.definers(&path));
        definers.filter(|definer| !definer.starts_with(module)).collect()
    }

    /// The paths into this crate that a module uses, from the root.
    pub fn used(&self, module: &Names) -> impl Iterator<Item = Names> {
        self.modules[module].paths.iter().flat_map(|path| self.rooted(module, path))
    }

    /// The paths from the root for a path in the code of `module`: none if the path leads into another crate, and two if
    /// a feature decides between two.
    fn rooted(&self, module: &[String], path: &[String]) -> Vec<Names> {
        let (head, rest) = path.split_first().expect("a path has names");
        let supers = path.iter().take_while(|name| *name == "super").count();
        if head == "crate" || *head == self.name {
            vec![rest.to_vec()]
        } else if head == "self" {
            vec![[module, rest].concat()]
        } else if supers > 0 {
            vec![[&module[..module.len() - supers], &path[supers..]].concat()]
        } else if self.modules.contains_key(&[module, &path[..1]].concat()) {
            vec![[module, path].concat()]
        } else {
            self.imported(module, head)
                .flat_map(|import| self.rooted(module, &[import, rest].concat()))
                .collect()
        }
    }

    /// The modules that define the name at the end of a path from the root.
    fn definers(&self, path: &[String]) -> Vec<&Names> {
        let is_module = |length: &usize| self.modules.contains_key(&path[..*length]);
        let (module, rest) = path.split_at((1..=path.len()).take_while(is_module).last().unwrap_or(0));
        let mut imports = rest.iter().take(1).flat_map(|name| self.imported(module, name)).peekable();
        if imports.peek().is_none() {
            return self.modules.get_key_value(module).map(|(module, _)| module).into_iter().collect();
        }
        let paths = imports.flat_map(|import| self.rooted(module, &[import, &rest[1..]].concat()));
        paths.flat_map(|path| self.definers(&path)).collect()
    }

    /// The paths that a module imports by a name. A path that begins with that name is one into another crate.
    fn imported(&self, module: &[String], name: &str) -> impl Iterator<Item = &[String]> {
        let imports = self.modules.get(module).into_iter().flat_map(|module| &module.imports);
        imports.filter(move |(known, path)| known == name && path[0] != *known).map(|(_, path)| &**path)
    }
}

impl Module {
    fn read(&mut self, code: &str) {
        let mut lines = code.lines();
        while let Some(line) = lines.next() {
            let Some(first) = tree_of_use(line) else {
                self.paths.extend(paths_of(line));
                continue;
            };
            let mut tree = first.to_owned();
            while !tree.ends_with(';') {
                tree.push_str(lines.next().unwrap_or(";").trim());
            }
            let imports = leaves(tree.trim_end_matches(';'));
            self.paths.extend(imports.iter().map(|(_, path)| path.clone()));
            // The imports inside a function are no names of the module.
            self.imports.extend(imports.into_iter().filter(|_| indent(line) == 0));
        }
    }
}

/// The code of a file without the items for tests, and the names of those modules for tests that are files.
fn without_tests(text: &str) -> (String, Vec<String>) {
    let (mut code, mut tests) = (String::new(), Vec::new());
    let uncommented = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut lines = uncommented.filter_map(|line| line.split(" // ").next());
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            code.extend([line, "\n"]);
            continue;
        }
        for item in lines.by_ref() {
            if indent(item) == indent(line) && item.ends_with([';', ',', '}']) {
                let module = item.trim_end_matches(';').rsplit_once("mod ");
                tests.extend(module.map(|(_, name)| name.to_owned()));
                break;
            }
        }
    }
    (code, tests)
}

/// `a::{b, c};` of `pub use a::{b, c};`.
fn tree_of_use(line: &str) -> Option<&str> {
    let (before, tree) = line.trim().split_once("use ")?;
    (before.is_empty() || before == "pub " || before.starts_with("pub(") && before.ends_with(") "))
        .then_some(tree)
}

/// The names that `a::{b, c as d}` imports, each with the path it stands for.
fn leaves(tree: &str) -> Vec<(String, Names)> {
    let Some((before, inside)) = tree.split_once('{') else {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
        let path = names(path.strip_suffix("::self").unwrap_or(path));
        let name = path.last().filter(|_| name.is_empty()).map_or(name, |last| last).to_owned();
        return vec![(name, path)];
    };
    let mut depth = 0;
    let branches = inside.strip_suffix('}').unwrap_or(inside).split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let branches = branches.map(str::trim).filter(|branch| !branch.is_empty());
    branches.flat_map(|branch| leaves(&format!("{before}{branch}"))).collect()
}

/// The paths in a line of code.
fn paths_of(line: &str) -> impl Iterator<Item = Names> {
    let words = line
        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
        .map(|word| word.trim_end_matches(':'));
    words.filter(|word| word.contains("::") && !word.starts_with(':')).map(names)
}

fn names(path: &str) -> Names {
    path.split("::").map(str::to_owned).collect()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[test]
fn the_paths_of_a_file_are_found() {
    let text = "//! use crate::no;\nuse crate::a::{self, b::{C, D as E}};\n\
                pub(super) use {\n    f::G,\n    super::h::*,\n};\n\
                fn i() {\n    use self::j;\n    k::l::<M>(n::O::new()); // crate::no::no\n}\n\
                #[cfg(test)]\nmod tests {\n    use crate::no::no;\n    mod no;\n}\n\
                #[cfg(test)]\nmod fake;\nfn p() -> q::R {}\n";
    let (code, tests) = without_tests(text);
    let mut module = Module::default();
    module.read(&code);
    let paths: Vec<String> = module.paths.iter().map(|path| path.join("::")).collect();
    let wanted = "crate::a crate::a::b::C crate::a::b::D f::G super::h::* self::j k::l n::O::new q::R";
    assert_eq!(paths.join(" "), wanted);
    let imports: Vec<&str> = module.imports.iter().map(|(name, _)| &**name).collect();
    assert_eq!(imports, ["a", "C", "E", "G", "*"]);
    assert_eq!(tests, ["fake"]);
}
