//! The contract between a core and a backplane, described from the side of the core: what the core reports, what it takes,
//! and when.

use super::arrival::Arrival;
use super::operator::{CommandOutcome, OperatorCommand};
use crate::proto::grip::Publication;
use crate::wire::Ringer;
use std::sync::Arc;

/// The reports that a backplane wants. They never change.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Wants {
    /// Reports that interest in a channel begins or ends.
    pub interest: bool,
    /// The items that are published on this node.
    pub items: bool,
}

/// One core's end of a backplane. Each core has its own end, for the channels whose home is on that core.
///
/// - **Thread**: every method is called by the core's thread and returns at once. Work that waits for a network or for
///   another process is done on the backplane's own thread.
/// - **Start and stop**: ends are made before the cores and given to them with their plans. A core calls `attach` before any
///   other method. The backplane may start before or after that, and may stop at any time; reports of cores are then lost.
/// - **Order**: a core takes the arrivals of a channel in the order in which the backplane brought them, so the backplane
///   brings all arrivals of a channel to the end of the core that has the channel's home
///   ([`home_of`](crate::channel::home_of)). A core's reports about a channel are in the order of the events at the home.
/// - **Bounds**: a backplane bounds its queues in both directions. A core takes arrivals only as fast as its homes deliver
///   them, and reports by [`Backplane::took`] when there is room again. A backplane whose queue of arrivals is full lets its
///   peers wait if it can. If it cannot, it drops items and brings [`Arrival::Lost`] in their place. Interest that ends
///   before the backplane has read of its beginning may be dropped, so the queue of interest has at most one entry for each
///   channel.
/// - **Away**: while a backplane cannot reach its peers, it remembers the reported interest, and announces the interest
///   again when the peers are back. If items may have been missed meanwhile, it brings [`Arrival::Lost`]. The core notices
///   nothing else.
/// - **Interest is reported, not confirmed**: a subscription is in force as soon as its home has taken it, although peers may
///   not know of the interest yet. An item that a peer publishes in this moment may be missed without notice.
pub trait Backplane: Send {
    /// The reports that the backplane wants.
    fn wants(&self) -> Wants;

    /// Attaches the core, which wakes when `ringer` rings. The backplane rings when it has brought an arrival or a command.
    fn attach(&self, ringer: Ringer);

    /// Reports that this node's interest in `channel` begins (`wanted`) or ends, alternately for each channel. Called only
    /// if [`Wants::interest`] is set.
    fn interest(&self, channel: Arc<str>, wanted: bool);

    /// Passes on an item that was published on this node and has reached its home. Items from other nodes are not passed
    /// on, so that items do not circulate. Called only if [`Wants::items`] is set; other backplanes keep this default.
    fn publish(&self, _item: &Arc<Publication>) {}

    /// Takes the next arrival, if there is one.
    fn next_arrival(&self) -> Option<Arrival>;

    /// Reports that the homes have taken this many arrivals and bytes ([`Arrival::weight`]), so that their room is free.
    fn took(&self, arrivals: usize, bytes: usize);

    /// Takes the commands of operators, each with a ticket. Commands do not wait behind arrivals.
    fn take_commands(&self) -> Vec<(u64, OperatorCommand)>;

    /// Reports the outcome of the command with this ticket.
    fn answer(&self, ticket: u64, outcome: CommandOutcome);
}
