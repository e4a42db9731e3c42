//! The home of the channels whose name hashes to this core: the one place where a channel has an order. It knows
//! which cores are interested and sends them every publication in the order it took them. A channel that no core is
//! interested in is not kept, its last id included.

use super::message::{LastId, ToCore, ToHome, last_id_after};
use crate::ids::CoreId;
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;
use std::hash::Hasher;
use std::sync::Arc;

/// The core that is home to `channel`. Not keyed against crafted names: whoever can name channels, the application,
/// could as well publish everything on one.
pub fn home_of(channel: &str, cores: usize) -> CoreId {
    let mut hasher = FxHasher::default();
    hasher.write(channel.as_bytes());
    CoreId((hasher.finish() % cores.max(1) as u64) as u16)
}

/// One core's share of all channels.
#[derive(Default)]
pub struct Home {
    channels: FxHashMap<Arc<str>, HomeChannel>,
}

#[derive(Default)]
struct HomeChannel {
    /// Interested cores, each with the epoch of its request; no core twice.
    interested: SmallVec<[(CoreId, u32); 4]>,
    last_id: LastId,
}

impl Home {
    /// Takes one message of core `from` and calls `out` for every message it causes, in order.
    pub fn handle(&mut self, from: CoreId, message: ToHome, out: &mut impl FnMut(CoreId, ToCore)) {
        match message {
            ToHome::Subscribe { channel, epoch } => {
                let known = self.channels.entry(channel.clone()).or_default();
                known.admit(from, epoch);
                let last_id = known.last_id.clone();
                out(from, ToCore::Subscribed { channel, epoch, last_id });
            }
            ToHome::Unsubscribe { channel, epoch } => {
                let Some(known) = self.channels.get_mut(&channel) else { return };
                // A request made since then has its own epoch, and stands.
                known.interested.retain(|entry| *entry != (from, epoch));
                if known.interested.is_empty() {
                    self.channels.remove(&channel);
                }
            }
            ToHome::Publish(publication) => {
                let Some(known) = self.channels.get_mut(&publication.channel) else { return };
                last_id_after(&mut known.last_id, &publication);
                known
                    .interested
                    .iter()
                    .for_each(|(core, _)| out(*core, ToCore::Deliver(publication.clone())));
            }
            ToHome::Confirm { ticket } => out(from, ToCore::Sequenced { ticket }),
        }
    }

    /// Channels that some core is interested in.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }
}

impl HomeChannel {
    fn admit(&mut self, core: CoreId, epoch: u32) {
        match self.interested.iter_mut().find(|(known, _)| *known == core) {
            Some((_, known_epoch)) => *known_epoch = epoch,
            None => self.interested.push((core, epoch)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Publication;

    fn told(home: &mut Home, from: u16, message: ToHome) -> Vec<u16> {
        let mut cores = Vec::new();
        home.handle(CoreId(from), message, &mut |core, _| cores.push(core.0));
        cores
    }

    fn subscribe(epoch: u32) -> ToHome {
        ToHome::Subscribe { channel: "c".into(), epoch }
    }

    fn unsubscribe(epoch: u32) -> ToHome {
        ToHome::Unsubscribe { channel: "c".into(), epoch }
    }

    fn publish() -> ToHome {
        ToHome::Publish(Arc::new(Publication::new("c")))
    }

    #[test]
    fn a_publication_goes_to_the_interested_cores_only() {
        let mut home = Home::default();
        assert_eq!(told(&mut home, 0, publish()), [] as [u16; 0]);
        told(&mut home, 2, subscribe(1));
        told(&mut home, 5, subscribe(1));
        assert_eq!(told(&mut home, 0, publish()), [2, 5]);
        told(&mut home, 2, unsubscribe(1));
        assert_eq!(told(&mut home, 0, publish()), [5]);
        told(&mut home, 5, unsubscribe(1));
        assert_eq!(home.channels(), 0);
    }

    #[test]
    fn a_confirmation_goes_to_whoever_asked_behind_what_was_published_before() {
        let mut home = Home::default();
        told(&mut home, 2, subscribe(1));
        let mut sent = Vec::new();
        for message in [publish(), ToHome::Confirm { ticket: 7 }] {
            home.handle(CoreId(2), message, &mut |core, message| sent.push((core.0, message)));
        }
        assert!(matches!(&sent[..], [(2, ToCore::Deliver(_)), (2, ToCore::Sequenced { ticket: 7 })]));
    }

    #[test]
    fn the_last_id_is_known_while_there_is_interest() {
        fn last_id(home: &mut Home, from: u16) -> LastId {
            let mut told = None;
            home.handle(CoreId(from), subscribe(1), &mut |_, message| told = Some(message));
            let Some(ToCore::Subscribed { last_id, .. }) = told else { panic!("an acknowledgement") };
            last_id
        }
        let publish = |home: &mut Home, id: Option<&str>, no_seq| {
            let mut publication = Publication::new("c");
            (publication.id, publication.no_seq) = (id.map(Box::from), no_seq);
            told(home, 0, ToHome::Publish(Arc::new(publication)));
        };
        let mut home = Home::default();
        publish(&mut home, Some("0"), false);
        assert_eq!(last_id(&mut home, 1), None);
        publish(&mut home, Some("1"), false);
        publish(&mut home, Some("beside"), true);
        assert_eq!(last_id(&mut home, 2).as_deref(), Some("1"));
        publish(&mut home, None, false);
        assert_eq!(last_id(&mut home, 3), None);
    }

    #[test]
    fn an_unsubscribe_of_the_past_does_not_end_a_newer_request() {
        let mut home = Home::default();
        told(&mut home, 1, subscribe(1));
        told(&mut home, 1, subscribe(2));
        told(&mut home, 1, unsubscribe(1));
        assert_eq!(told(&mut home, 0, publish()), [1]);
    }
}
