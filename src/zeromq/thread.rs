//! The thread's loop: waits until a socket has a message or a core rings, and takes a batch from each.

use super::commands::Commands;
use super::items::Items;
use super::publisher::Publisher;
use super::sockets::Sockets;
use super::{Ties, ZeroMqError};
use crate::backplane::{Messages, Outlet, ThreadEnd};
use crate::monitor::{Mailbox, Packet, Stats, Totals};
use crate::observe::{Metrics, PushpinTotals};
use crate::wire::{Ringer, SocketFile, ThreadBell};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zmq::{POLLIN, PollItem, Socket};

/// The running thread. Dropping this value ends the thread.
pub struct Running {
    stop: Arc<AtomicBool>,
    ringer: Ringer,
    thread: Option<JoinHandle<()>>,
    /// The files of Unix sockets, removed after the thread has ended.
    _files: Vec<SocketFile>,
}

impl Sockets {
    /// Starts the thread. If it fails later, it calls `failed`.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn run(
        mut self,
        ties: Ties,
        failed: impl FnOnce(ZeroMqError) + Send + 'static,
    ) -> Result<Running, ZeroMqError> {
        let (stop, ringer) = (Arc::<AtomicBool>::default(), ties.end.bell.ringer());
        let (end, files) = (stop.clone(), mem::take(&mut self.files));
        let run = move || {
            if let Err(error) = Loop::new(self, ties).run(&end) {
                failed(ZeroMqError::Unusable(format!("polling its sockets failed: {error}")));
            }
        };
        let thread = std::thread::Builder::new().name("zeromq".to_owned()).spawn(run);
        let thread = thread.map_err(|error| ZeroMqError::Unusable(error.to_string()))?;
        Ok(Running { stop, ringer, thread: Some(thread), _files: files })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.ringer.ring();
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
        let Sockets { pull, sub, command, publisher, uris, .. } = sockets;
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
        Loop { pull, sub, commands, items, watch, outlet, bell, started }
    }

    fn run(mut self, stop: &AtomicBool) -> zmq::Result<()> {
        while !stop.load(Ordering::SeqCst) {
            let now = Instant::now();
            let due = [self.items.complain(now), self.watch.as_ref().map(|watch| watch.due_in(now))];
            let timeout = due.into_iter().flatten().min();
            self.wait(timeout)?;
            self.hear();
            self.receive();
        }
        Ok(())
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

/// Interval of messages that count over time, and of reports.
const TICK: Duration = Duration::from_millis(100);
