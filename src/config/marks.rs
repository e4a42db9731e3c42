//! What happens to a changed setting while the server runs. `settings` marks each setting with the name of one of
//! these functions, and `renewal` calls all of them when the files are read again.

/// A table of settings, each marked as changeable or not while the server runs.
pub(super) trait Renewed {
    /// Resets changed settings that need a restart to their `old` values, and adds their names to `differ`.
    fn keep(&mut self, old: &Self, differ: &mut Vec<&'static str>);
}

/// The mark of a setting whose changes come into force at once.
pub(super) fn live<T>(_: &mut T, _: &T, _: &'static str, _: &mut Vec<&'static str>) {}

/// The mark of a setting that keeps its value until a restart.
pub(super) fn restart<T: Clone + PartialEq>(
    new: &mut T,
    old: &T,
    name: &'static str,
    differ: &mut Vec<&'static str>,
) {
    if new != old {
        differ.push(name);
        new.clone_from(old);
    }
}

/// The mark of a table whose settings have their own marks.
pub(super) fn section<T: Renewed>(new: &mut T, old: &T, _: &'static str, differ: &mut Vec<&'static str>) {
    new.keep(old, differ);
}
