//! Takes items from PULL and SUB sockets to their homes' cores. The thread reads messages in batches. While a core has no
//! room, it reads none, so publishers that push wait.

use super::parts::Parts;
use crate::backplane::{Arrival, Inlet, Item, Source};
use crate::channel::home_of;
use crate::observe::Metrics;
use crate::proto::grip::Publication;
use crate::proto::grip::message::{self, MessageError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zmq::Socket;

/// Most messages and bytes that are received from one socket before the cores get them.
const MESSAGES: usize = 256;
const BYTES: usize = 1024 * 1024;
/// Interval of the log lines about bad messages.
const COMPLAIN: Duration = Duration::from_secs(1);

/// The thread's side of the inlets of all cores.
pub struct Items {
    inlets: Vec<Arc<Inlet>>,
    /// A batch, by core; empty between batches.
    batch: Vec<Vec<Arrival>>,
    metrics: Arc<Metrics>,
    /// Size of the blocks in which items are counted; 0 counts no blocks.
    block_bytes: u32,
    /// Bad messages that are not logged yet, and the error of the first one.
    bad: u64,
    complaint: Option<MessageError>,
    complained: Option<Instant>,
}

impl Items {
    /// Sends items to the cores of these inlets.
    pub fn new(inlets: Vec<Arc<Inlet>>, metrics: Arc<Metrics>, block_bytes: u32) -> Items {
        let batch = inlets.iter().map(|_| Vec::new()).collect();
        Items { inlets, batch, metrics, block_bytes, bad: 0, complaint: None, complained: None }
    }

    /// Whether items may be received. If not, a core will ring when it has room.
    pub fn have_room(&self) -> bool {
        self.inlets.iter().all(|inlet| inlet.has_room())
    }

    /// Receives a batch of messages with one part, the item. A publisher pushes each item to one node.
    pub fn pull(&mut self, socket: &Socket) {
        self.receive(socket, Source::ThisNode, |parts| {
            let [item] = parts.exactly().ok_or(MessageError::Parts(parts.count()))?;
            message::parse(item, None)
        });
    }

    /// Receives a batch of messages with two parts, the channel and the item. Publishers send an item to all nodes that
    /// subscribe.
    pub fn subscribed(&mut self, socket: &Socket) {
        self.receive(socket, Source::Elsewhere(None), |parts| {
            let [channel, item] = parts.exactly().ok_or(MessageError::Parts(parts.count()))?;
            message::parse(item, Some(channel.as_str().ok_or(MessageError::Channel)?))
        });
    }

    fn receive(
        &mut self,
        socket: &Socket,
        source: Source,
        read: impl Fn(&Parts) -> Result<Publication, MessageError>,
    ) {
        let mut bytes = 0;
        for _ in 0..MESSAGES {
            if bytes > BYTES {
                break;
            }
            let Some(parts) = Parts::receive(socket) else { break };
            match read(&parts) {
                Ok(publication) => {
                    bytes += publication.weight();
                    self.add(publication, source.clone());
                }
                Err(error) => {
                    self.metrics.bad_zeromq_messages_total.add(1);
                    self.bad += 1;
                    self.complaint.get_or_insert(error);
                }
            }
        }
        self.inlets.iter().zip(&mut self.batch).for_each(|(inlet, batch)| inlet.push(batch));
    }

    fn add(&mut self, publication: Publication, source: Source) {
        self.metrics.zeromq_messages_total.add(1);
        self.metrics.count_published(&publication, self.block_bytes);
        let home = home_of(&publication.channel, self.inlets.len());
        if let Some(batch) = self.batch.get_mut(home.index()) {
            let item = Item { publication: publication.into(), source, position: None };
            batch.push(Arrival::Item(item));
        }
    }

    /// Logs bad messages, at most once every [`COMPLAIN`]. Returns the time until the next line is due, if there is one.
    pub fn complain(&mut self, now: Instant) -> Option<Duration> {
        self.complaint.as_ref()?;
        let since = self.complained.map_or(COMPLAIN, |complained| now.duration_since(complained));
        if since < COMPLAIN {
            return Some(COMPLAIN - since);
        }
        if let Some(first) = self.complaint.take() {
            let messages = std::mem::take(&mut self.bad);
            tracing::warn!(messages, %first, "ZeroMQ messages were dropped because they cannot be published");
        }
        self.complained = Some(now);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backplane::Lost;
    use crate::ids::CoreId;
    use zmq::{Context, SNDMORE, SocketType};

    const CORES: usize = 3;
    const BAD: &[u8] = b"Jnothing";

    /// Items with the inlets of their cores, and a pair of connected sockets.
    struct World {
        items: Items,
        inlets: Vec<Arc<Inlet>>,
        metrics: Arc<Metrics>,
        sender: Socket,
        receiver: Socket,
        _context: Context,
    }

    fn world() -> World {
        let context = Context::new();
        let receiver = context.socket(SocketType::PULL).expect("a socket");
        receiver.bind("inproc://items").expect("an address");
        let sender = context.socket(SocketType::PUSH).expect("a socket");
        sender.connect("inproc://items").expect("a connection");
        let inlets: Vec<Arc<Inlet>> = (0..CORES).map(|_| Arc::default()).collect();
        let metrics = Arc::<Metrics>::default();
        let items = Items::new(inlets.clone(), metrics.clone(), 0);
        World { items, inlets, metrics, sender, receiver, _context: context }
    }

    fn channel_of(arrival: &Arrival) -> Option<String> {
        match arrival {
            Arrival::Item(item) => Some(item.publication.channel.to_string()),
            Arrival::Lost(_) => None,
        }
    }

    fn item(channel: &str, content: usize) -> String {
        format!(r#"J{{"channel":"{channel}","formats":{{"http-stream":{{"content":"{content}"}}}}}}"#)
    }

    impl World {
        /// The channels of the items in each core's inlet, in order.
        fn given(&self) -> Vec<Vec<String>> {
            let of_core = |inlet: &Arc<Inlet>| {
                let taken = std::iter::from_fn(|| inlet.next_batch()).flatten();
                taken.filter_map(|arrival| channel_of(&arrival)).collect()
            };
            self.inlets.iter().map(of_core).collect()
        }
    }

    #[test]
    fn items_go_to_the_homes_of_their_channels_in_order() {
        let mut world = world();
        let channels: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
        for channel in &channels {
            world.sender.send(item(channel, 1).as_bytes(), 0).expect("room");
        }
        world.items.pull(&world.receiver);
        let homed = |core: usize| {
            channels.iter().filter(move |channel| home_of(channel, CORES) == CoreId(core as u16)).cloned()
        };
        let expected: Vec<Vec<String>> = (0..CORES).map(|core| homed(core).collect()).collect();
        assert_eq!(world.given(), expected);
        assert_eq!(world.metrics.zeromq_messages_total.get(), 20);
    }

    #[test]
    fn the_channel_of_a_subscribed_item_is_its_first_part() {
        let mut world = world();
        world.sender.send("news", SNDMORE).expect("room");
        world.sender.send(item("news", 1).as_bytes(), 0).expect("room");
        world.sender.send(item("alone", 1).as_bytes(), 0).expect("room");
        world.items.subscribed(&world.receiver);
        assert_eq!(world.given().concat(), ["news"]);
        assert_eq!(world.metrics.bad_zeromq_messages_total.get(), 1);
    }

    #[test]
    fn a_batch_is_bounded_and_the_rest_stays_in_the_socket() {
        let mut world = world();
        for number in 0..MESSAGES + 10 {
            world.sender.send(item("c", number).as_bytes(), 0).expect("room");
        }
        world.items.pull(&world.receiver);
        assert_eq!(world.given().concat().len(), MESSAGES);
        world.items.pull(&world.receiver);
        assert_eq!(world.given().concat().len(), 10);
    }

    #[test]
    fn without_room_at_one_core_nothing_may_be_received() {
        let world = world();
        assert!(world.items.have_room());
        let mut many: Vec<Arrival> = (0..5000).map(|_| Arrival::Lost(Lost::All)).collect();
        world.inlets[1].push(&mut many);
        assert!(!world.items.have_room());
    }

    #[test]
    fn bad_messages_are_complained_of_once_a_second_at_most() {
        let mut world = world();
        let mut now = Instant::now();
        assert_eq!(world.items.complain(now), None);
        world.sender.send(BAD, 0).expect("room");
        world.items.pull(&world.receiver);
        assert!(world.items.complaint.is_some());
        assert_eq!(world.items.complain(now), None);
        assert!(world.items.complaint.is_none() && world.items.bad == 0);
        world.sender.send(BAD, 0).expect("room");
        world.items.pull(&world.receiver);
        now += COMPLAIN / 4;
        assert_eq!(world.items.complain(now), Some(COMPLAIN - COMPLAIN / 4));
        now += COMPLAIN;
        assert_eq!(world.items.complain(now), None);
        assert_eq!((world.items.bad, world.metrics.bad_zeromq_messages_total.get()), (0, 2));
    }
}
