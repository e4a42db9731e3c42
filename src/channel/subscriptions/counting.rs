//! Numbers of subscribers, for the stats socket.

use super::Subscriptions;
use crate::channel::audience::Audience;
use std::sync::Arc;

impl Subscriptions {
    /// The receivers of all items that were delivered since start.
    pub fn received(&self) -> Audience {
        self.received
    }

    /// Records from now on which channels get or lose subscribers, for [`Subscriptions::take_changed`].
    pub fn watch(&mut self) {
        self.changed.get_or_insert_default();
    }

    /// The channels that got or lost subscribers since the previous call, and their numbers of subscribers now. Must
    /// be called before channels expire.
    pub fn take_changed(&mut self) -> Vec<(Arc<str>, Audience)> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        let channels = changed.into_iter().filter_map(|id| self.channel(id));
        channels.map(|channel| (channel.name.clone(), Audience::all(&channel.roster))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Transport;
    use crate::channel::message::{ToCore, ToHome};
    use crate::ids::Slot;
    use crate::proto::grip::{Publication, StreamFormat};

    #[test]
    fn subscribers_are_counted_by_what_reaches_them() {
        let mut table = Subscriptions::new(1, 1);
        table.watch();
        let mut epochs = Vec::new();
        for (slot, transport) in [(1, Transport::StreamRaw), (2, Transport::Response), (3, Transport::Socket)]
        {
            let _ = table.subscribe(Slot(slot), transport, &["c"], &mut |_, message| {
                epochs.extend(match message {
                    ToHome::Subscribe { epoch, .. } => Some(epoch),
                    _ => None,
                });
            });
        }
        assert!(table.take_changed().is_empty(), "no subscription is in force");
        table.handle(
            ToCore::Subscribed { channel: "c".into(), epoch: epochs[0], last_id: None },
            &mut Vec::new(),
        );
        let one_each = Audience { responses: 1, streams: 1, sockets: 1 };
        assert_eq!(table.take_changed(), [("c".into(), one_each)]);
        let mut item = Publication::new("c");
        item.stream = Some(StreamFormat::Content("x".into()));
        table.handle(ToCore::Deliver(item.into()), &mut Vec::new());
        assert_eq!(table.received(), Audience { streams: 1, ..Audience::default() });
        table.unsubscribe(Slot(1));
        let without = Audience { streams: 0, ..one_each };
        assert_eq!((table.take_changed(), table.audience("c")), (vec![("c".into(), without)], without));
        assert!(table.take_changed().is_empty());
    }
}
