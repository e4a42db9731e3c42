//! Limits on the structure of the source tree: no long file, a small core, rooms that use only the rooms below them, and no
//! circles of files that import each other.
//!
//! The test reads the sources as text. `imports` finds the paths in them; the rules are in this file.

mod imports;

use imports::{Crate, Names};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rooms of `src`, from the ground up. A room may use the rooms before it.
const ROOMS: &str = "
    bell slack ids runtime simulation patience
    proto channel mesh config tls wire
    ingest origin backplane monitor observe doctor
    context clients queries delivery publish requests filters held control
    zeromq core server cli main
";
/// Rooms that stand side by side and know each other.
const NEIGHBOURS: &[(&str, &str)] = &[
    ("runtime", "simulation"), // a feature for tests puts the simulated executor in the place of the real one
];
const LINES_OF_A_FILE: usize = 500;
const LINES_OF_THE_CORE: usize = 2_500;
const FIELDS_OF_THE_CORE: usize = 15;
/// The source folders of the crates, and the crates' names.
const CRATES: [(&str, &str); 3] =
    [("src", "gripwire"), ("bench/src", "gripwire_bench"), ("loadgen/src", "gripwire_loadgen")];

/// Modules, each with the modules that it needs.
type Arrows<'a> = BTreeMap<&'a Names, BTreeSet<&'a Names>>;

#[test]
fn no_file_is_long() {
    let files = ["src", "bench", "loadgen"].into_iter().flat_map(sources);
    let lengths = files.map(|(file, text)| (file, text.lines().count()));
    let long = lengths.filter(|(_, lines)| *lines > LINES_OF_A_FILE).map(|(file, lines)| {
        format!(
            "{file} has {lines} lines, of at most {LINES_OF_A_FILE}: give its second idea a file of its own"
        )
    });
    assert_none(long);
}

#[test]
fn the_core_is_small() {
    let files = sources("src/core");
    let lines: usize = files.iter().map(|(_, text)| text.lines().count()).sum();
    assert!(
        lines <= LINES_OF_THE_CORE,
        "src/core has {lines} lines, of at most {LINES_OF_THE_CORE}: move an idea to the room it belongs to"
    );
    let found = files.iter().find_map(|(file, text)| Some((file, fields(text, "pub struct Core {")?)));
    let (file, fields) = found.expect("`pub struct Core` in src/core");
    assert!(
        fields <= FIELDS_OF_THE_CORE,
        "{file}: `Core` has {fields} fields, of at most {FIELDS_OF_THE_CORE}: move some to the room they belong to"
    );
}

#[test]
fn rooms_know_only_rooms_below_them() {
    let gripwire = read("src", "gripwire");
    let rooms: BTreeSet<&str> = gripwire.modules.keys().map(room_of).collect();
    let gone = ROOMS.split_whitespace().filter(|room| !rooms.contains(room));
    assert_none(
        gone.map(|room| format!("the room `{room}` is gone: take it out of ROOMS in tests/house/main.rs")),
    );
    assert_none(arrows_up(&gripwire, ROOMS, NEIGHBOURS));
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    let circles = CRATES.iter().flat_map(|(folder, name)| circles(&read(folder, name)));
    assert_none(circles.map(|circle| {
        format!("a circle of files: move the names that both sides need to a file below them\n{circle}")
    }));
}

#[test]
fn an_arrow_up_is_found() {
    let up = |file: &str, text: &str, neighbours: &[(&str, &str)]| {
        let files = [("lib.rs", ""), ("a.rs", ""), ("b/mod.rs", ""), (file, text)];
        arrows_up(&Crate::new("x", files), "a b main", neighbours).len()
    };
    assert_eq!(up("b/c.rs", "use crate::a::A;\nuse super::B;\nuse other::b;\n", &[]), 0);
    assert_eq!(up("a.rs", "fn f() -> x::b::B {}\n", &[]), 1);
    assert_eq!(up("a.rs", "use super::b;\n", &[]), 1);
    assert_eq!(up("a.rs", "use crate::b::B;\n", &[("b", "a")]), 0);
    assert_eq!(up("c.rs", "", &[]), 1, "a room without a place");
}

#[test]
fn a_circle_is_found_through_re_exports_and_not_in_a_face() {
    let face = "mod b;\nmod c;\npub use b::B;\nuse c::C;\n";
    let circles = |b: &str, c: &str| {
        circles(&Crate::new("x", [("lib.rs", ""), ("a/mod.rs", face), ("a/b.rs", b), ("a/c.rs", c)]))
    };
    assert_eq!(circles("use super::c::C;\n", "use crate::a::B;\n"), ["a/b.rs -> a/c.rs\na/c.rs -> a/b.rs\n"]);
    assert_eq!(circles("use super::C;\n", "fn f(b: super::B) {}\n").len(), 1);
    assert_eq!(circles("use super::c;\n", "use crate::a;\nfn f(b: a::B) {}\n").len(), 1);
    assert_eq!(circles("use x::a;\n", "use super::B;\n"), [""; 0]);
    assert_eq!(circles("use super::C;\n", "use std::a::B;\n"), [""; 0]);
    assert_eq!(circles("use super::C;\n", "#[cfg(test)]\nuse super::B;\n"), [""; 0]);
}

#[test]
fn the_fields_of_a_struct_are_counted() {
    let text = "struct A {\n    /// b: c\n    d: E,\n    #[f(g: h)]\n    pub i: J,\n}\nk: l\n";
    assert_eq!(fields(text, "struct A {"), Some(2));
    assert_eq!(fields(text, "struct B {"), None);
}

/// Each use of a room that is not below the room of the file, and each file of a room without a place.
fn arrows_up(sources: &Crate, rooms: &str, neighbours: &[(&str, &str)]) -> BTreeSet<String> {
    let place = |room: &str| rooms.split_whitespace().position(|known| known == room);
    let mut wrong = BTreeSet::new();
    for (module, imports) in &sources.modules {
        let (file, room) = (&imports.file, room_of(module));
        if place(room).is_none() {
            wrong.insert(format!(
                "{file}: the room `{room}` is new: place it in ROOMS in tests/house/main.rs"
            ));
        }
        for path in sources.used(module) {
            let other = room_of(&path);
            if path.is_empty() || !sources.modules.contains_key(&path[..1]) {
                continue; // a name that the root of the crate defines
            }
            let is_beside = neighbours.contains(&(room, other)) || neighbours.contains(&(other, room));
            if place(other) > place(room) && !is_beside {
                wrong.insert(format!("{file} uses `{other}`, a room above `{room}`: move the names that it needs to a room below"));
            }
        }
    }
    wrong
}

/// The circles of files: for each, the arrows between its files, one a line.
fn circles(sources: &Crate) -> Vec<String> {
    let modules = sources.modules.keys();
    let arrows: Arrows<'_> = modules.map(|from| (from, sources.arrows(from))).collect();
    let reached: Arrows<'_> = arrows.keys().map(|from| (*from, reached(from, &arrows))).collect();
    let mut circles = BTreeSet::new();
    for (from, to) in &reached {
        let circle: BTreeSet<&Names> = to.iter().copied().filter(|to| reached[to].contains(from)).collect();
        circles.insert(circle);
    }
    let file = |module: &Names| &sources.modules[module].file;
    let texts = circles.iter().filter(|circle| !circle.is_empty()).map(|circle| {
        let inside = |from| arrows[from].intersection(circle).map(move |to| (from, *to));
        let arrows = circle.iter().flat_map(|from| inside(*from));
        arrows.map(|(from, to)| format!("{} -> {}\n", file(from), file(to))).collect()
    });
    texts.collect()
}

/// The modules to which arrows lead from one module, in any number of steps.
fn reached<'a>(from: &'a Names, arrows: &Arrows<'a>) -> BTreeSet<&'a Names> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        open.extend(arrows[module].iter().filter(|next| reached.insert(**next)));
    }
    reached
}

/// The room of a module. The root of the crate counts as `main`.
fn room_of(module: &Names) -> &str {
    module.first().map_or("main", |room| room)
}

/// How many fields the struct has that begins with `head`.
fn fields(text: &str, head: &str) -> Option<usize> {
    let (_, after) = text.split_once(head)?;
    let lines = after.lines().take_while(|line| *line != "}").map(str::trim_start);
    Some(lines.filter(|line| !line.starts_with(['/', '#']) && line.contains(": ")).count())
}

/// The crate whose sources are in a folder of the repository.
fn read(folder: &str, name: &str) -> Crate {
    let files = sources(folder);
    let mut sources = Crate::new(name, files.iter().map(|(file, text)| (&file[folder.len() + 1..], &**text)));
    sources.modules.values_mut().for_each(|module| module.file.insert_str(0, &format!("{folder}/")));
    sources
}

/// All Rust files below a folder of the repository: their paths and texts.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let folder_path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    for entry in fs::read_dir(folder_path).expect("a folder of sources") {
        let entry = entry.expect("an entry");
        let path = format!("{folder}/{}", entry.file_name().to_str().expect("a name in UTF-8"));
        if entry.path().is_dir() {
            files.extend(sources(&path));
        } else if path.ends_with(".rs") {
            files.push((path, fs::read_to_string(entry.path()).expect("a source file")));
        }
    }
    files
}

fn assert_none(wrong: impl IntoIterator<Item = String>) {
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
