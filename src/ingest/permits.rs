//! Who may publish by datagrams, and by sockets of this machine: there root, who may do anything, the server's own
//! user, and those that the settings name; by UDP, which does not say who sends, everyone, to the channels that the
//! settings name.

use crate::config::{Config, Grants};
use crate::wire::Credentials;

/// Who may publish.
#[derive(Clone, Debug, Default)]
pub struct Permits {
    own_user: u32,
    users: Vec<u32>,
    groups: Vec<u32>,
    udp: Grants,
}

impl Permits {
    /// What the settings say, in this process.
    pub fn new(settings: &Config) -> Permits {
        Permits {
            own_user: nix::unistd::geteuid().as_raw(),
            users: settings.ingest.unix_users.clone(),
            groups: settings.ingest.unix_groups.clone(),
            udp: settings.udp_grants(),
        }
    }

    /// What datagrams by UDP may do.
    pub fn by_udp(&self) -> &Grants {
        &self.udp
    }

    /// Whether they may.
    pub fn allow(&self, who: Credentials) -> bool {
        who.user == 0
            || who.user == self.own_user
            || self.users.contains(&who.user)
            || self.groups.contains(&who.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_own_user_and_those_that_are_named_may() {
        let permits = Permits { own_user: 5, users: vec![7], groups: vec![9], ..Permits::default() };
        let allowed = |user, group| permits.allow(Credentials { user, group });
        assert!(allowed(0, 0) && allowed(5, 1) && allowed(7, 1) && allowed(8, 9));
        assert!(!allowed(8, 1) && !allowed(9, 7) && !allowed(8, 0));
    }
}
