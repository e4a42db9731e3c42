//! Decides who may publish by datagrams and by Unix sockets. On Unix sockets, root, the server's own user and the
//! users of `unix_users` may publish to every channel. UDP does not tell who sends, so everyone may publish by UDP,
//! to the channels of `udp_scopes` only.

use crate::config::{Config, Grants};
use crate::wire::Credentials;

/// Who may publish, and to which channels.
#[derive(Clone, Debug, Default)]
pub struct Permits {
    own_user: u32,
    users: Vec<u32>,
    groups: Vec<u32>,
    udp: Grants,
}

impl Permits {
    /// The permits of `settings`, with the user of this process.
    pub fn new(settings: &Config) -> Permits {
        Permits {
            own_user: nix::unistd::geteuid().as_raw(),
            users: settings.ingest.unix_users.clone(),
            groups: settings.ingest.unix_groups.clone(),
            udp: settings.udp_grants(),
        }
    }

    /// What datagrams by UDP may do: the grants of `udp_scopes`.
    pub fn by_udp(&self) -> &Grants {
        &self.udp
    }

    /// Whether a user with these credentials may publish by a Unix socket.
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
