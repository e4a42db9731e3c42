//! Applies new settings while the server runs. Some settings need a restart: the number of cores, sockets, and sizes
//! that are fixed at start. `settings` marks each setting where it is declared.

use super::Config;
use super::marks::Renewed;

impl Config {
    /// Returns `new` with the restart-only settings of `self`, and the names of the restart-only settings that differ.
    pub fn renewed(&self, mut new: Config) -> (Config, Vec<&'static str>) {
        let mut differ = Vec::new();
        // The UDP socket was not opened at start.
        if self.udp_is_off().is_some() && new.udp_is_off().is_none() {
            differ.push("ingest.udp_scopes");
        }
        new.keep(self, &mut differ);
        (new, differ)
    }
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
