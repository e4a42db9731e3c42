//! The results of a run as a table for a terminal.

use gripwire_loadgen::{Figure, Outcome};

/// The table of an outcome.
pub fn of(outcome: &Outcome) -> String {
    lines(&outcome.figures())
}

fn lines(figures: &[Figure]) -> String {
    let width =
        |of: fn(&Figure) -> &String| figures.iter().map(|one| of(one).chars().count()).max().unwrap_or(0);
    let (names, values) = (width(|one| &one.0), width(|one| &one.1));
    let line = |(name, value, note): &Figure| {
        let line = format!("{name:<names$}  {value:>values$}  {note}");
        line.trim_end().to_owned()
    };
    figures.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let figures = [("a", "12 µs", "x"), ("longer", "1", "")];
        let figures = figures.map(|(name, value, note)| (name.into(), value.into(), note.into()));
        assert_eq!(lines(&figures), "a       12 µs  x\nlonger      1");
    }
}
