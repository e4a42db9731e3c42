//! What cores and homes tell each other. Both ways are first in, first out for each pair of cores; that order is what
//! makes an acknowledgement mean something: what the home sequences after it arrives after it.

use crate::ids::CoreId;
use crate::proto::grip::{Publication, Receipt};
use std::sync::Arc;

/// From a core to the home of a channel.
#[derive(Clone, Debug)]
pub enum ToHome {
    /// The core has a subscriber; send what is published from now on.
    Subscribe {
        /// The channel.
        channel: Arc<str>,
        /// Tells this request from earlier ones of the same core for the same channel.
        epoch: u32,
    },
    /// The core has no subscriber any more.
    Unsubscribe {
        /// The channel.
        channel: Arc<str>,
        /// The request that ends.
        epoch: u32,
    },
    /// Sequence this and send it to every interested core.
    Publish(Arc<Publication>),
    /// Tell when what this core published before is sequenced: whatever anyone publishes after that comes after it.
    Confirm {
        /// Given back in [`ToCore::Sequenced`].
        ticket: u64,
    },
    /// Forget what was published before, and have everyone ask who may have missed some of it.
    Recover,
    /// Items of this channel were lost on their way to the home: do that for the channel alone.
    RecoverChannel {
        /// The channel.
        channel: Arc<str>,
    },
}

/// The publisher's id of a channel's last publication; `None` if that had none, or nobody knows.
pub type LastId = Option<Box<str>>;

/// From the home of a channel to an interested core.
#[derive(Clone, Debug)]
pub enum ToCore {
    /// Everything sequenced from now on will follow.
    Subscribed {
        /// The channel.
        channel: Arc<str>,
        /// The request that is acknowledged.
        epoch: u32,
        /// The id of what was sequenced last, if the home knows.
        last_id: LastId,
    },
    /// The next publication of its channel.
    Deliver(Arc<Publication>),
    /// What this core published before it asked with this ticket has its place in the order.
    Sequenced {
        /// As in [`ToHome::Confirm`].
        ticket: u64,
    },
    /// An item with a receipt has its place.
    Placed {
        /// The item's.
        receipt: Receipt,
        /// How many cores it goes to, each of which will say whom it reached; `None` if the item had come before.
        cores: Option<u16>,
    },
    /// This home has forgotten the last ids of its channels: whoever is held on one of them may have missed something.
    Recover {
        /// The home.
        home: CoreId,
    },
    /// The home has forgotten the last id of this channel: whoever is held on it may have missed something.
    RecoverChannel {
        /// The channel.
        channel: Arc<str>,
    },
}

/// The last id after `publication`. One outside the sequence leaves it as it was; one without an id clears it.
pub(super) fn last_id_after(before: &mut LastId, publication: &Publication) {
    if !publication.no_seq {
        before.clone_from(&publication.id);
    }
}
