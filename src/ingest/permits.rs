//! Who may publish by datagrams, and by sockets of this machine: there root, who may do anything, the server's own
//! user, and those that the settings name; by UDP, which does not say who sends, everyone, to the channels that the
//! settings name.

use crate::config::{Config, Grants};
use crate::proto::grip::Publication;
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

    /// The first channel among those of `items` that datagrams by UDP may not publish to.
    pub fn refused_by_udp<'i>(&self, items: &'i [Publication]) -> Option<&'i str> {
        if self.udp.admin {
            return None;
        }
        items.iter().map(|item| &*item.channel).find(|channel| !self.udp.may_publish_to(channel))
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
    fn datagrams_by_udp_go_to_the_channels_of_their_scopes() {
        let items = ["a-1", "b"].map(Publication::new);
        let refused = |udp| Permits { udp, ..Permits::default() }.refused_by_udp(&items).map(str::to_owned);
        let to_a = Grants { publish: vec!["a-".into()], ..Grants::default() };
        assert_eq!(refused(to_a).as_deref(), Some("b"));
        assert_eq!(refused(Grants::default()).as_deref(), Some("a-1"));
        assert_eq!((refused(Grants::all()), refused(Grants::to_publish())), (None, None));
    }

    #[test]
    fn root_the_own_user_and_those_that_are_named_may() {
        let permits = Permits { own_user: 5, users: vec![7], groups: vec![9], ..Permits::default() };
        let allowed = |user, group| permits.allow(Credentials { user, group });
        assert!(allowed(0, 0) && allowed(5, 1) && allowed(7, 1) && allowed(8, 9));
        assert!(!allowed(8, 1) && !allowed(9, 7) && !allowed(8, 0));
    }
}
