//! What the subscription table knows of channels besides their subscribers, on its way to another process. The
//! subscribers move by themselves, and subscribe there.

use super::{LocalChannel, Subscriptions};
use crate::ids::CoreId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// When items last arrived on a channel.
#[derive(Serialize, Deserialize)]
pub struct ChannelActivity {
    name: Arc<str>,
    stream_tick: Option<u32>,
    socket_tick: Option<u32>,
}

impl Subscriptions {
    /// Whether all messages that homes have sent to this core were taken.
    pub fn has_taken_all(&self) -> bool {
        (0..self.cores).all(|home| self.newcomers.has_taken_all(CoreId(home as u16)))
    }

    /// How many messages of homes were taken.
    pub fn taken(&self) -> u64 {
        self.newcomers.taken()
    }

    /// When items last arrived on the channels of the table, where that is known.
    pub fn pack_activity(&self) -> Vec<ChannelActivity> {
        let known = self.channels.iter().flatten().map(|channel| {
            // A field that is added is to be named here, and packed if another process needs it.
            let LocalChannel {
                name,
                stream_tick,
                socket_tick,
                // The other process asks the home anew, and its subscribers come by themselves.
                epoch: _,
                live: _,
                last_id: _,
                roster: _,
                idle_since: _,
                lingers: _,
                // Empty: everything was written before the subscribers move.
                pending: _,
                next: _,
                pass: _,
                queued: _,
                // Followers say themselves what they have; the latest items are asked for again.
                followed: _,
            } = &**channel;
            let (stream_tick, socket_tick) = (*stream_tick, *socket_tick);
            ChannelActivity { name: name.clone(), stream_tick, socket_tick }
        });
        known.filter(|it| it.stream_tick.is_some() || it.socket_tick.is_some()).collect()
    }

    /// Notes when items arrived in another process.
    pub fn take_over_activity(&mut self, activity: Vec<ChannelActivity>) {
        let now = self.now_tick;
        for ChannelActivity { name, stream_tick, socket_tick } in activity {
            let Some(id) = self.names.get(&name).copied() else { continue };
            let Some(channel) = self.channel_mut(id) else { continue };
            let later = |own: Option<u32>, other: Option<u32>| {
                own.into_iter().chain(other).min_by_key(|tick| now.wrapping_sub(*tick))
            };
            channel.stream_tick = later(channel.stream_tick, stream_tick);
            channel.socket_tick = later(channel.socket_tick, socket_tick);
        }
    }
}
