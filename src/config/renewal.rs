//! What of new settings comes into force while the server runs, and what takes a restart: cores, sockets, and what is
//! made for their number once and for all. `settings` marks each setting where it is declared, with the name of the
//! function here that says what becomes of it.

use super::Config;

impl Config {
    /// These settings with what of `new` can be changed now, and the names of what differs and cannot.
    pub fn renewed(&self, mut new: Config) -> (Config, Vec<&'static str>) {
        let mut differ = Vec::new();
        // Its socket was not opened at start.
        if self.udp_is_off().is_some() && new.udp_is_off().is_none() {
            differ.push("ingest.udp_scopes");
        }
        new.keep(self, &mut differ);
        (new, differ)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_stays_and_is_named() {
        let old = Config::default();
        let mut new = old.clone();
        (new.cores, new.control.listen) = (Some(3), None);
        new.limits.subscriptions_per_connection = 7;
        let (renewed, differ) = old.renewed(new);
        assert_eq!(differ, ["cores", "control.listen"]);
        assert_eq!((renewed.cores, renewed.control.listen), (old.cores, old.control.listen));
        assert_eq!(renewed.limits.subscriptions_per_connection, 7);
        assert_eq!(old.renewed(old.clone()).1, [] as [&str; 0]);
    }
}
