//! The state of homes as values that can be sent to another process. `packing` makes them and takes them over.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The hash of a published item's id on its channel.
pub type IdHash = [u64; 2];

/// The state of homes: all of one core, or those for one core.
#[derive(Clone, Default, Serialize, Deserialize, PartialEq, Eq, Debug)]
pub struct PackedHomes {
    /// The channels that have a last id, or items that wait.
    pub channels: Vec<PackedChannel>,
    /// The ids of recently published items, each with the ticks since it came; the oldest first.
    pub recent_ids: Vec<(u32, IdHash)>,
}

/// A channel at its home.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Debug)]
pub struct PackedChannel {
    /// The channel's name.
    pub name: Arc<str>,
    pub(super) last_id: Option<Box<str>>,
    /// The items that wait for their predecessors, each with the ticks until its time is up, in the compact form.
    pub(super) waiting: Vec<(u32, Bytes)>,
}
