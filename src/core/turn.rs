//! The loop of a core. Each turn moves the clock, takes the events of the wire, judges deadlines, lets the homes on
//! this core work, and writes one or more slices of the fan-out. Then the tasks run. Deadlines are judged when the
//! clock has moved on to another tick: by then a whole turn has read all bytes that arrived before that tick, and the
//! tasks have seen them. So however long the process was stopped, no client times out whose bytes arrived meanwhile.
//! When nothing is left to do, the loop sleeps until the doorbell, a task, the mesh or the clock wakes it.

use super::Core;
use super::memory::CHANNEL_BYTES;
use super::start::CoreError;
use crate::channel::Slice;
use crate::context::{Life, SECOND, TICK_MS};
use crate::runtime;
use crate::wire::WireEvent;
use std::collections::VecDeque;
use std::rc::Rc;

/// Subscribers that are written to in one turn. They take about two milliseconds, so reads wait no longer than that.
const TURN_ROWS: usize = 1024;
/// Pipelined requests of one connection that are read in one turn, if each is answered at once.
const PIPELINED: usize = 32;
/// Clients that time out in one turn. Closing one takes about 10 us, and other clients are answered between turns.
const TIMEOUTS: usize = 128;

impl Core {
    /// Runs turns until the wire fails.
    pub(super) async fn turn_forever(self: Rc<Self>) -> Result<(), CoreError> {
        let (mut events, mut slice) = (VecDeque::new(), Slice::default());
        loop {
            let heard = self.context.wakes();
            let busy = self.turn(&mut events, &mut slice)?;
            if busy || self.clients.has_work() {
                runtime::yield_now().await;
                continue;
            }
            self.clients.silence_doorbell(false);
            // The wire does not ring for events that completed while the doorbell was silent, so another turn takes
            // them.
            if !self.turn(&mut events, &mut slice)? && !self.clients.has_work() {
                self.context.woken_since(heard).await;
            }
            self.clients.silence_doorbell(true);
        }
    }

    /// Runs one turn. Returns whether there was anything to do.
    fn turn(self: &Rc<Self>, events: &mut VecDeque<WireEvent>, slice: &mut Slice) -> Result<bool, CoreError> {
        self.context.metrics.turns_total.add(1);
        // When the clock has moved, all bytes that arrived before are read, because deadlines are judged by them.
        let has_moved = self.move_clock();
        self.obey_commands();
        let mut busy = self.clients.look_at_backlogs();
        self.clients.poll(events, has_moved)?;
        busy |= !events.is_empty();
        while let Some(event) = events.pop_front() {
            self.handle(event);
        }
        for _ in 0..PIPELINED {
            if !self.clients.read_pipelined() {
                break;
            }
            busy = true;
        }
        busy |= self.publishing.take_datagrams();
        // Nothing may happen to a client that was sent to another process.
        let is_quiet = self.context.gate.life() == Life::Quiet;
        busy |= !is_quiet && self.follow_commands();
        busy |= !is_quiet && self.publishing.take_from_backplanes();
        busy |= !is_quiet && self.let_time_out();
        busy |= self.let_channels_go();
        busy |= self.publishing.work_at_home();
        busy |= self.holds.tell_of_the_gone();
        busy |= self.requests.grant_permits();
        self.look_at_growth();
        let mut rows = 0;
        while rows < TURN_ROWS
            && let Some(written) = self.delivery.fan_out(slice)
        {
            rows += written.max(1);
            busy = true;
        }
        self.clients.flush();
        if busy {
            self.publishing.made_room();
        }
        Ok(busy)
    }

    /// Hands one event of the wire to the room that it concerns.
    fn handle(self: &Rc<Self>, event: WireEvent) {
        match event {
            WireEvent::Accepted { slot, listener, peer, is_proxied } => {
                self.clients.accepted(slot, listener, peer, is_proxied);
            }
            WireEvent::Proxied { slot, source } => self.clients.proxied(slot, source),
            WireEvent::AcceptedLocal { slot, listener, peer } => {
                self.clients.accepted_local(slot, listener, peer)
            }
            WireEvent::Readable { socket } => self.publishing.datagrams_arrived(socket),
            WireEvent::Received { slot, bytes } => self.clients.received(slot, &bytes),
            WireEvent::Ended { slot } => self.clients.client_ended(slot),
            WireEvent::Failed { slot } => self.clients.failed(slot),
            WireEvent::Took { slot, taken } => self.clients.took(slot, taken),
            WireEvent::Drained { slot } => self.clients.drained(slot),
        }
    }

    /// Moves the clock. If a tick is over, does the work of a tick and returns true.
    fn move_clock(self: &Rc<Self>) -> bool {
        let (now, clock) = (runtime::now(), &self.context.clock);
        let Some(before) = clock.move_to(now) else { return false };
        let tick = clock.tick();
        self.clients.set_now(now);
        if before / SECOND != tick / SECOND {
            self.each_second();
        }
        self.delivery.set_now(tick);
        self.publishing.set_now(tick);
        clock.judge_until(before);
        if self.context.gate.life() != Life::Quiet {
            self.delivery.update_first_subscribed();
        }
        self.tell_what_happened();
        self.give_memory_back();
        let passed_ms = u64::from(tick.wrapping_sub(before)) * TICK_MS;
        self.context.metrics.client_requests_ms_total.add(self.clients.engaged() * passed_ms);
        self.publish_metrics();
        self.keep_below_ceiling();
        true
    }

    /// Calls [`Clients::timed_out`](crate::clients::Clients::timed_out) for some of the clients whose timers have
    /// fired. Returns whether there are more.
    fn let_time_out(&self) -> bool {
        let mut due = Vec::new();
        let has_more = self.clients.take_due(self.context.clock.judged(), TIMEOUTS, &mut due);
        due.into_iter().for_each(|slot| self.clients.timed_out(slot));
        has_more
    }

    /// Drops some of the channels that have had no subscribers for a while. Returns whether there are more.
    fn let_channels_go(&self) -> bool {
        let (has_more, count) = self.publishing.let_channels_go();
        self.freed(count * CHANNEL_BYTES);
        has_more
    }
}
