//! No guard of a RefCell is alive while a method of a core's room is called. The method may need the same cell, now or after
//! a later change, and then the core panics. This test reads the sources of these rooms and finds two forms of this mistake: a
//! named guard that lives to the end of its block, and a temporary guard in the head of an `if let`, `match`, `while let` or
//! `for`, or in the same line, that lives as long as the code after it.
//!
//! The test reads single lines in rustfmt's format. It does not see a guard that is passed to a function.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of a core, each of which has cells of its own.
const ROOMS: [&str; 9] =
    ["clients", "control", "core", "delivery", "filters", "held", "publish", "queries", "requests"];
/// What methods of rooms are called on.
const RECEIVERS: [&str; 12] = [
    "self.",
    "core.",
    "clients.",
    "delivery.",
    "publishing.",
    "queries.",
    "requests.",
    "filters.",
    "holds.",
    "holds().",
    "control.",
    "runtime::",
];
/// What may be called while a guard is alive: these touch one cell of their own, and no other room.
const HARMLESS: [&str; 6] = ["now", "now_ms", "settings", "clone", "holds", "watch_datagrams"];
const GUARDS: [&str; 2] = [".borrow()", ".borrow_mut()"];
const HEADS: [&str; 5] = ["if let ", "while let ", "match ", "for ", "&& let "];

/// A call while a guard is alive: the line of the guard, that of the call, and what is called.
type Found = (usize, usize, String);

#[test]
fn no_guard_is_alive_while_a_method_of_the_core_is_called() {
    let mut files = Vec::new();
    for room in ROOMS {
        let before = files.len();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room), &mut files);
        assert!(files.len() > before, "the room `{room}` has moved");
    }
    let mut all = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        for (guard, call, name) in found(&text) {
            all.push(format!(
                "{}:{call}: `{name}` is called under the guard of line {guard}",
                file.display()
            ));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn what_breaks_the_rule_is_found() {
    let block =
        "{\n    let mut rows = self.rows.borrow_mut();\n    if x {\n        self.close(slot);\n    }\n}\n";
    assert_eq!(found(block), [(2, 4, "close".into())]);
    let ended = "{\n    let rows = self.rows.borrow();\n}\nself.close(slot);\n";
    assert_eq!(found(ended), []);
    let head =
        "match self.rows.borrow_mut().get(slot) {\n    Some(_) => self.core.close(slot),\n}\nself.wake();\n";
    assert_eq!(found(head), [(1, 2, "close".into())]);
    let pattern =
        "if let Some(x) = self.a.borrow_mut().pop()\n    && x.is_due(self.now())\n{\n    core.close(x);\n}\n";
    assert_eq!(found(pattern), [(1, 4, "close".into())]);
    let line = "self.a.borrow_mut().add(|| self.origin_of(slot));\nself.a.borrow_mut().set(self.now());\n";
    assert_eq!(found(line), [(1, 1, "origin_of".into())]);
    let task = "{\n    let a = self.a.borrow();\n    runtime::spawn(async {});\n}\n";
    assert_eq!(found(task), [(2, 3, "spawn".into())]);
}

fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => sources(&path, files),
            false => files.push(path),
        }
    }
}

fn found(text: &str) -> Vec<Found> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        let Some(guard) = GUARDS.iter().filter_map(|guard| Some(line.find(guard)? + guard.len())).min()
        else {
            continue;
        };
        let mut note = |number: usize, text: &str| {
            found.extend(calls(text).map(|name| (at + 1, number + 1, name)));
        };
        note(at, &line[guard..]);
        let (first, last) = if is_named(line) {
            (at + 1, end_of_block(&lines, at, indent(line)))
        } else if HEADS.iter().any(|head| line[..guard].contains(head)) {
            let ends = |at: &usize| lines[*at].ends_with(['{', ';']);
            let opens = (at..lines.len()).find(ends).filter(|at| lines[*at].ends_with('{')).unwrap_or(at);
            (at + 1, end_of_block(&lines, opens, indent(lines[opens]) + 1))
        } else {
            continue;
        };
        (first..last).for_each(|number| note(number, lines[number]));
    }
    found
}

/// Whether a line is `let guard = cell.borrow();`.
fn is_named(line: &str) -> bool {
    let binds = line.trim_start().strip_prefix("let ").and_then(|rest| rest.split_once(" = "));
    binds.is_some_and(|(name, value)| {
        name.trim_start_matches("mut ").chars().all(|c| c.is_alphanumeric() || c == '_')
            && GUARDS.iter().any(|guard| value.ends_with(&format!("{guard};")))
    })
}

/// The first line after `from` that is indented by less than `indentation`.
fn end_of_block(lines: &[&str], from: usize, indentation: usize) -> usize {
    let ends = |at: &usize| !lines[*at].trim().is_empty() && indent(lines[*at]) < indentation;
    (from + 1..lines.len()).find(ends).unwrap_or(lines.len())
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The methods of the core that are called in `text`, and what starts a task.
fn calls(text: &str) -> impl Iterator<Item = String> {
    let after = |receiver: &str| -> Vec<String> {
        let parts = text.match_indices(receiver).map(|(at, _)| {
            let is_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            (is_word, &text[at + receiver.len()..])
        });
        let names = parts.filter(|(is_word, _)| !is_word).filter_map(|(_, rest)| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            rest[end..].starts_with('(').then(|| rest[..end].to_owned())
        });
        names.filter(|name| !HARMLESS.contains(&&**name)).collect()
    };
    RECEIVERS.into_iter().flat_map(after).collect::<Vec<_>>().into_iter()
}
