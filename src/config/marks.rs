//! What becomes of a change of a setting while the server runs. `settings` marks each setting with the name of one of
//! these functions, and `renewal` asks all of them when the files are read again.

/// A table of settings, each of which knows whether it can change while the server runs.
pub(super) trait Renewed {
    /// Puts back what differs from `old` and takes a restart; its names are added to `differ`.
    fn keep(&mut self, old: &Self, differ: &mut Vec<&'static str>);
}

/// The mark of a setting that comes into force at once.
pub(super) fn live<T>(_: &mut T, _: &T, _: &'static str, _: &mut Vec<&'static str>) {}

/// The mark of a setting that stays as it is until a restart.
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

/// The mark of a table whose settings have marks of their own.
pub(super) fn section<T: Renewed>(new: &mut T, old: &T, _: &'static str, differ: &mut Vec<&'static str>) {
    new.keep(old, differ);
}
