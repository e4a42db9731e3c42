//! What PULL and SUB sockets receive, on its way to the cores that are home to its channels. The thread reads messages in
//! batches, and none while a core has no room: publishers that push wait then.

use super::parts::Parts;
use crate::bridge::Inlet;
use crate::channel::{Publication, home_of};
use crate::core::Gauges;
use crate::proto::grip::message::{self, MessageError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zmq::Socket;

/// Messages, and bytes, that are received from one socket before the cores get them.
const MESSAGES: usize = 256;
const BYTES: usize = 1024 * 1024;
/// How often an operator hears of bad messages.
const COMPLAIN: Duration = Duration::from_secs(1);

/// The thread's end of the way to the homes.
pub struct Items {
    inlets: Vec<Arc<Inlet>>,
    /// A batch, by core; empty between batches.
    batch: Vec<Vec<Publication>>,
    gauges: Arc<Gauges>,
    /// Items are counted in blocks of so many bytes, unless that is 0.
    block_bytes: u32,
    /// Bad messages that the operator has not heard of, and what was wrong with the first.
    bad: u64,
    complaint: Option<MessageError>,
    complained: Option<Instant>,
}

impl Items {
    /// Items go to these cores.
    pub fn new(inlets: Vec<Arc<Inlet>>, gauges: Arc<Gauges>, block_bytes: u32) -> Items {
        let batch = inlets.iter().map(|_| Vec::new()).collect();
        Items { inlets, batch, gauges, block_bytes, bad: 0, complaint: None, complained: None }
    }

    /// Whether anything may be received. If not, a core will ring.
    pub fn have_room(&self) -> bool {
        self.inlets.iter().all(|inlet| inlet.has_room())
    }

    /// Takes a batch of messages with one part, the item.
    pub fn pull(&mut self, socket: &Socket) {
        self.receive(socket, |parts| {
            let [item] = parts.exactly().ok_or(MessageError::Parts(parts.count()))?;
            message::parse(item, None)
        });
    }

    /// Takes a batch of messages with two parts, a channel and the item.
    pub fn subscribed(&mut self, socket: &Socket) {
        self.receive(socket, |parts| {
            let [channel, item] = parts.exactly().ok_or(MessageError::Parts(parts.count()))?;
            message::parse(item, Some(channel.as_str().ok_or(MessageError::Channel)?))
        });
    }

    fn receive(&mut self, socket: &Socket, read: impl Fn(&Parts) -> Result<Publication, MessageError>) {
        let mut bytes = 0;
        for _ in 0..MESSAGES {
            if bytes > BYTES {
                break;
            }
            let Some(parts) = Parts::receive(socket) else { break };
            match read(&parts) {
                Ok(publication) => {
                    bytes += publication.weight();
                    self.add(publication);
                }
                Err(error) => {
                    self.gauges.bad_zeromq_messages_total.add(1);
                    self.bad += 1;
                    self.complaint.get_or_insert(error);
                }
            }
        }
        self.inlets.iter().zip(&mut self.batch).for_each(|(inlet, batch)| inlet.push(batch));
    }

    fn add(&mut self, publication: Publication) {
        self.gauges.zeromq_messages_total.add(1);
        self.gauges.count_published(&publication, self.block_bytes);
        let home = home_of(&publication.channel, self.inlets.len());
        if let Some(batch) = self.batch.get_mut(home.index()) {
            batch.push(publication);
        }
    }

    /// Tells the operator of bad messages, now and then. How long until there is more to tell, if there is.
    pub fn complain(&mut self, now: Instant) -> Option<Duration> {
        self.complaint.as_ref()?;
        let since = self.complained.map_or(COMPLAIN, |complained| now.duration_since(complained));
        if since < COMPLAIN {
            return Some(COMPLAIN - since);
        }
        if let Some(first) = self.complaint.take() {
            let messages = std::mem::take(&mut self.bad);
            tracing::warn!(messages, %first, "messages of ZeroMQ that cannot be published");
        }
        self.complained = Some(now);
        None
    }
}
