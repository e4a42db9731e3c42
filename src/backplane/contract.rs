//! The contract between a core and a backplane. It is written for the core: what the core tells, what it takes, and when.

use super::arrival::Arrival;
use super::operator::{CommandOutcome, OperatorCommand};
use crate::proto::grip::Publication;
use crate::wire::Ringer;
use std::sync::Arc;

/// What a backplane wants to be told. It never changes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Wants {
    /// Where interest in channels begins and ends.
    pub interest: bool,
    /// Items that are published on this node.
    pub items: bool,
}

/// One core's end of a backplane. Each core has an end of its own, and speaks for the channels that are at home there.
///
/// - **Thread**: every method is called by the core's thread and returns at once. Whatever waits, for a network or for
///   another process, does so on a thread of the backplane's own.
/// - **Start and stop**: ends are made before the cores and given to them with their plans. A core attaches before it calls
///   anything else. The backplane may begin to run before or after that, and ends at any time: what the cores tell it then
///   is heard by nobody.
/// - **Order**: what arrives for a channel is taken in the order in which the backplane brought it, so the backplane brings
///   all of one channel to the end of the channel's home ([`home_of`](crate::channel::home_of)). What a core tells of a
///   channel is told in the order in which it happened at the home.
/// - **Bounds**: a backplane bounds what waits in either direction. A core takes arrivals only as fast as its homes deliver
///   them, and says by [`Backplane::took`] when there is room again. A backplane that is full of arrivals lets its peers
///   wait if it can. If it cannot, it drops items and brings [`Arrival::Lost`] in their place. Interest that is taken back
///   before the backplane has looked may be forgotten, so no more of it waits than there are channels.
/// - **Away**: while its peers cannot be reached, a backplane remembers the interest that it was told, and announces that
///   again when they are back. If items may have been missed meanwhile, it brings [`Arrival::Lost`]. The core does not
///   notice anything else.
/// - **Interest is told, not confirmed**: a subscription is in force as soon as its home has taken it, although peers may
///   not know of the interest yet. An item that a peer publishes in this moment may be missed, and nobody is told.
pub trait Backplane: Send {
    /// What the core is to tell.
    fn wants(&self) -> Wants;

    /// The core is there, and wakes when `ringer` rings. The backplane rings when it has brought something.
    fn attach(&self, ringer: Ringer);

    /// Somebody on this node is interested in `channel` from now on, or nobody is any more; by turns for each channel.
    /// Called only where [`Wants::interest`] is set.
    fn interest(&self, channel: Arc<str>, wanted: bool);

    /// An item that was published on this node has come to its home. Items that came from elsewhere are not told, so nothing
    /// goes round in circles. Called only where [`Wants::items`] is set; a backplane that wants no items leaves it as it is.
    fn publish(&self, _item: &Arc<Publication>) {}

    /// The next thing that has arrived, if there is any.
    fn next_arrival(&self) -> Option<Arrival>;

    /// The homes have taken so many arrivals, of so many bytes ([`Arrival::weight`]): their room is free.
    fn took(&self, arrivals: usize, bytes: usize);

    /// What operators ask, each with a ticket. Commands do not wait behind arrivals.
    fn take_commands(&self) -> Vec<(u64, OperatorCommand)>;

    /// What became of the command with this ticket.
    fn answer(&self, ticket: u64, outcome: CommandOutcome);
}
