//! The thread's loop: waits until a socket has a message or a core rings, and takes a batch from each.

use super::commands::Commands;
use super::items::Items;
use super::publisher::Publisher;
use super::sockets::{Addresses, Sockets};
use super::{Ties, ZeroMqError};
use crate::backplane::{Messages, Outlet, ThreadEnd};
use crate::monitor::{Mailbox, Packet, Stats, Totals};
use crate::observe::{Metrics, PushpinTotals};
use crate::wire::{Ringer, ThreadBell};
use crossbeam_queue::SegQueue;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zmq::{POLLIN, PollItem, Socket};

/// The running thread. Dropping this value ends the thread.
pub struct Running {
    orders: Arc<SegQueue<Order>>,
    ringer: Ringer,
    thread: Option<JoinHandle<()>>,
}

/// An order to the thread.
enum Order {
    /// Bind and connect the sockets.
    Serve,
    /// Give the addresses up, so that another process can bind them, and answer.
    Release(Sender<()>),
    /// End.
    Stop,
}

impl Sockets {
    /// Starts the thread. If it fails later, it calls `failed`.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn run(
        self,
        ties: Ties,
        failed: impl FnOnce(ZeroMqError) + Send + 'static,
    ) -> Result<Running, ZeroMqError> {
        let (orders, ringer) = (Arc::<SegQueue<Order>>::default(), ties.end.bell.ringer());
        let of_thread = orders.clone();
        let run = move || {
            if let Err(error) = Loop::new(self, ties).run(&of_thread) {
                failed(ZeroMqError::Unusable(format!("polling its sockets failed: {error}")));
            }
        };
        let thread = std::thread::Builder::new().name("zeromq".to_owned()).spawn(run);
        let thread = thread.map_err(|error| ZeroMqError::Unusable(error.to_string()))?;
        Ok(Running { orders, ringer, thread: Some(thread) })
    }
}

impl Running {
    /// Takes the messages that have arrived, and gives the addresses up, so that another process can bind them. Returns
    /// when this is done, or after [`RELEASING`].
    pub fn release(&self) {
        let (tell, done) = channel();
        self.order(Order::Release(tell));
        if done.recv_timeout(RELEASING).is_err() {
            tracing::warn!("the ZeroMQ sockets were not closed in time");
        }
    }

    /// Has the sockets bound and connected. If another process still has an address, this is tried again for
    /// [`BINDING`]; after that the log says that it has failed, and the server goes on without these sockets.
    pub fn serve(&self) {
        self.order(Order::Serve);
    }

    fn order(&self, order: Order) {
        self.orders.push(order);
        self.ringer.ring();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop {
    pull: Option<Socket>,
    sub: Option<Socket>,
    commands: Option<Commands>,
    items: Items,
    watch: Option<StatsSocket>,
    outlet: Arc<Outlet>,
    bell: ThreadBell,
    started: Instant,
    /// The next and the last time at which the addresses are bound, if they are not bound yet.
    binding: Option<(Instant, Instant)>,
    /// Dropped after the sockets, with the files of Unix sockets.
    addresses: Addresses,
}

/// The state of the stats socket.
struct StatsSocket {
    publisher: Publisher,
    stats: Stats,
    mailbox: Arc<Mailbox>,
    packets: Vec<Packet>,
    all_metrics: Arc<[Arc<Metrics>]>,
    own_metrics: Arc<Metrics>,
    ticked: Instant,
}

impl Loop {
    fn new(sockets: Sockets, ties: Ties) -> Loop {
        let Sockets { pull, sub, command, publisher, uris, addresses } = sockets;
        let Ties { end, metrics: (own_metrics, all_metrics), stats, mailbox } = ties;
        let ThreadEnd { inlets, outlet, bell } = end;
        let started = Instant::now();
        let first = inlets.first().cloned();
        let commands = command.zip(first).map(|(socket, inlet)| Commands::new(socket, inlet, uris));
        let items = Items::new(inlets, own_metrics.clone(), stats.block_bytes());
        let watch = publisher.map(|publisher| StatsSocket {
            publisher,
            stats,
            mailbox,
            packets: Vec::new(),
            all_metrics,
            own_metrics,
            ticked: started,
        });
        Loop { pull, sub, commands, items, watch, outlet, bell, started, binding: None, addresses }
    }

    fn run(mut self, orders: &SegQueue<Order>) -> zmq::Result<()> {
        loop {
            let now = Instant::now();
            while let Some(order) = orders.pop() {
                match order {
                    Order::Serve => self.binding = Some((now, now + BINDING)),
                    Order::Release(done) => {
                        self.release();
                        // Nobody hears it after [`RELEASING`].
                        let _ = done.send(());
                    }
                    Order::Stop => return Ok(()),
                }
            }
            let binding = self.bind(now);
            let due = [binding, self.items.complain(now), self.watch.as_ref().map(|watch| watch.due_in(now))];
            let timeout = due.into_iter().flatten().min();
            self.wait(timeout)?;
            self.hear();
            self.receive();
        }
    }

    /// Binds and connects the sockets, if that is due. Returns the time until it is tried again.
    fn bind(&mut self, now: Instant) -> Option<Duration> {
        let (next, last) = self.binding?;
        if now < next {
            return Some(next.duration_since(now));
        }
        let command = self.commands.as_ref().map(Commands::socket);
        let stats = self.watch.as_ref().map(|watch| watch.publisher.socket());
        match self.addresses.bind(self.pull.as_ref(), self.sub.as_ref(), command, stats) {
            Ok(()) => {
                self.binding = None;
                return None;
            }
            Err(error) if now >= last => {
                tracing::error!("publishing and stats by ZeroMQ do not work until a restart: {error}");
                self.binding = None;
            }
            Err(_) => self.binding = Some((now + BIND_AGAIN, last)),
        }
        self.give_addresses_up();
        self.binding.map(|_| BIND_AGAIN)
    }

    /// Takes the messages that have arrived, and gives the addresses up.
    fn release(&mut self) {
        self.binding = None;
        let end = Instant::now() + EMPTYING;
        while self.items.have_room() && self.has_items() && Instant::now() < end {
            self.receive();
        }
        self.give_addresses_up();
    }

    /// Gives the addresses up. The sockets of publishers and callers are replaced by new ones, so that their messages wait
    /// for the next process, or for this one if it binds the addresses again.
    fn give_addresses_up(&mut self) {
        let addresses = &self.addresses;
        addresses.release(self.sub.as_ref(), self.watch.as_ref().map(|watch| watch.publisher.socket()));
        let pull = self.pull.is_some().then(|| addresses.pull()).transpose();
        let command = self.commands.as_ref().map(|_| addresses.command()).transpose();
        match (pull, command) {
            (Ok(pull), Ok(command)) => {
                self.pull = pull;
                self.commands.iter_mut().zip(command).for_each(|(commands, socket)| commands.replace(socket));
            }
            (Err(error), _) | (_, Err(error)) => tracing::error!("the ZeroMQ sockets stay open: {error}"),
        }
    }

    /// Whether items have arrived.
    fn has_items(&self) -> bool {
        let sockets = self.pull.iter().chain(&self.sub);
        let mut polled: Vec<PollItem<'_>> = sockets.map(|socket| socket.as_poll_item(POLLIN)).collect();
        zmq::poll(&mut polled, 0).is_ok_and(|count| count > 0)
    }

    /// Waits until there is work. Without room for items, their sockets are not polled; a core rings when it has room.
    fn wait(&self, timeout: Option<Duration>) -> zmq::Result<()> {
        let mut polled = vec![PollItem::from_fd(self.bell.descriptor(), POLLIN)];
        if self.items.have_room() {
            polled.extend(self.pull.iter().chain(&self.sub).map(|socket| socket.as_poll_item(POLLIN)));
        }
        let command = self.commands.as_ref().and_then(Commands::readable);
        polled.extend(command.map(|socket| socket.as_poll_item(POLLIN)));
        // Rounded up: with 0 the loop would spin through the last millisecond.
        let timeout_ms = timeout.map_or(-1, |timeout| timeout.as_millis() as i64 + 1);
        match zmq::poll(&mut polled, timeout_ms) {
            Ok(_) | Err(zmq::Error::EINTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Handles the messages of the cores.
    fn hear(&mut self) {
        self.bell.silence();
        let Messages { interest, outcomes } = self.outlet.take();
        for (channel, wanted) in interest.into_iter().flat_map(|(_, changes)| changes) {
            self.listen(&channel, wanted);
        }
        if let Some(watch) = &mut self.watch {
            watch.say(self.started);
        }
        if let Some(commands) = &mut self.commands {
            outcomes.into_iter().for_each(|(ticket, outcome)| commands.outcome(ticket, outcome));
        }
    }

    /// Subscribes the SUB socket to `channel`, or unsubscribes it.
    fn listen(&self, channel: &str, wanted: bool) {
        let Some(sub) = &self.sub else { return };
        let done = match wanted {
            true => sub.set_subscribe(channel.as_bytes()),
            false => sub.set_unsubscribe(channel.as_bytes()),
        };
        if let Err(error) = done {
            tracing::warn!(%channel, %error, "the ZeroMQ SUB socket cannot change its subscription");
        }
    }

    fn receive(&mut self) {
        if let Some(pull) = self.pull.as_ref().filter(|_| self.items.have_room()) {
            self.items.pull(pull);
        }
        if let Some(sub) = self.sub.as_ref().filter(|_| self.items.have_room()) {
            self.items.subscribed(sub);
        }
        while self.commands.as_mut().is_some_and(Commands::receive) {}
    }
}

impl StatsSocket {
    /// The time until the next tick.
    fn due_in(&self, now: Instant) -> Duration {
        TICK.saturating_sub(now.duration_since(self.ticked))
    }

    fn say(&mut self, started: Instant) {
        let now = Instant::now();
        let now_ms = now.duration_since(started).as_millis() as u64;
        while let Some(events) = self.mailbox.take() {
            self.own_metrics.lost_stats_total.add(events.lost);
            self.stats.take(events, now_ms, &mut self.packets);
        }
        if self.due_in(now).is_zero() {
            self.ticked = now;
            self.stats.tick(self.totals(), now_ms, &mut self.packets);
        }
        self.publisher.say(&mut self.packets);
    }

    fn totals(&self) -> Totals {
        let sums = PushpinTotals::of(&self.all_metrics);
        Totals {
            requests: sums.requests_total,
            items: sums.received_total,
            blocks: sums.received_blocks_total,
        }
    }
}

/// Time for which [`Running::release`] waits.
const RELEASING: Duration = Duration::from_secs(1);
/// Time for taking the messages that have arrived before the addresses are given up.
const EMPTYING: Duration = Duration::from_millis(200);
/// Time for which addresses that are in use are tried again, and the interval of the tries.
const BINDING: Duration = Duration::from_secs(10);
const BIND_AGAIN: Duration = Duration::from_millis(20);
/// Interval of messages that count over time, and of reports.
const TICK: Duration = Duration::from_millis(100);
