//! Messages between cores and homes. Messages between each two cores stay in order, in both directions. This order
//! gives an acknowledgement its meaning: items that the home sequences after an acknowledgement arrive after it.

use super::packed_homes::PackedHomes;
use crate::ids::CoreId;
use crate::proto::grip::{Publication, Receipt};
use std::sync::Arc;

/// A message from a core to the home of a channel.
#[derive(Clone, Debug)]
pub enum ToHome {
    /// The core has a subscriber, and wants all items that are published from now on.
    Subscribe {
        /// The channel.
        channel: Arc<str>,
        /// Distinguishes this request from earlier requests of the core for the channel.
        epoch: u32,
    },
    /// The core has no subscriber any more.
    Unsubscribe {
        /// The channel.
        channel: Arc<str>,
        /// The epoch of the request that ends.
        epoch: u32,
    },
    /// Sequence this and send it to every interested core.
    Publish(Arc<Publication>),
    /// Asks for an answer when all items that this core published before are sequenced; items that are published
    /// after the answer come after these.
    Confirm {
        /// Returned in [`ToCore::Sequenced`].
        ticket: u64,
    },
    /// Items were lost on their way to the home: forget all last ids, and tell the interested cores, so that clients
    /// are refetched.
    Recover,
    /// Items of this channel were lost on their way to the home: do as for `Recover`, for this channel alone.
    RecoverChannel {
        /// The channel.
        channel: Arc<str>,
    },
    /// Take over channels of another process.
    TakeOver(Box<PackedHomes>),
}

/// The publisher's id of a channel's last item; `None` if that item has none, or if it is not known.
pub type LastId = Option<Box<str>>;

/// A message from the home of a channel to an interested core.
#[derive(Clone, Debug)]
pub enum ToCore {
    /// The request is acknowledged: all items that are sequenced from now on will follow.
    Subscribed {
        /// The channel.
        channel: Arc<str>,
        /// The request that is acknowledged.
        epoch: u32,
        /// The id of the item that was sequenced last, if the home knows it.
        last_id: LastId,
    },
    /// The next item of its channel.
    Deliver(Arc<Publication>),
    /// The items that this core published before it sent [`ToHome::Confirm`] are sequenced.
    Sequenced {
        /// The ticket from [`ToHome::Confirm`].
        ticket: u64,
    },
    /// An item with a receipt is sequenced, or was dropped.
    Placed {
        /// The receipt of the item.
        receipt: Receipt,
        /// The number of cores that the item was sent to, each of which will report its reach; `None` if the item was
        /// a repetition.
        cores: Option<u16>,
    },
    /// The home has forgotten the last ids of its channels: clients that are held on them may have missed items.
    Recover {
        /// The core of the home.
        home: CoreId,
    },
    /// The home has forgotten the last id of this channel: clients that are held on it may have missed items.
    RecoverChannel {
        /// The channel.
        channel: Arc<str>,
    },
}

/// Updates the channel's last id for `publication`. An item outside the sequence does not change it; an item without
/// an id clears it.
pub(super) fn last_id_after(before: &mut LastId, publication: &Publication) {
    if !publication.no_seq {
        before.clone_from(&publication.id);
    }
}
