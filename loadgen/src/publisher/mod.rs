//! The publisher. Its schedule does not depend on the server (open loop): call n is due at n times the interval, and its
//! messages carry that time even if the server takes the call late.
//!
//! `plan.rs` is the plan, `connection.rs` one connection for publish calls or one UDP socket, and `schedule.rs` the times at
//! which calls are due. The publisher divides channels among connections, so that the messages of a channel stay in order.

mod connection;
mod error;
mod plan;
mod schedule;

use crate::message::Message;
use crate::sys;
use connection::Connection;
pub use error::PublishError;
pub use plan::{PublishPlan, Via};
use schedule::Schedule;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// The result of a run of the publisher.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// Messages sent to each channel since the publisher was made.
    pub channels: HashMap<u32, u32>,
    /// Messages of this run.
    pub messages: u64,
    /// Calls of this run.
    pub calls: u64,
    /// Time from the first call until the last was answered.
    pub seconds: f64,
    /// The longest delay of a call behind its schedule, caused by the server or by this machine.
    pub latest_ns: u64,
}

/// Publishes messages, and counts the messages of each channel.
pub struct Publisher {
    plan: PublishPlan,
    lanes: Vec<Lane>,
    watch: Arc<PublishWatch>,
}

/// Shows the progress of a running publisher to another thread.
#[derive(Debug, Default)]
pub struct PublishWatch {
    sent: AtomicU64,
    stopped: AtomicBool,
}

impl PublishWatch {
    /// Messages sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Stops the run after the calls that are due now.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// A connection and its channels.
struct Lane {
    connection: Connection,
    /// The channels, and the number of messages sent to each.
    channels: Vec<(u32, u32)>,
    /// The index of the next channel.
    turn: usize,
}

impl Publisher {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or does not support the plan.
    pub fn connect(plan: PublishPlan) -> Result<Publisher, PublishError> {
        if plan.target.one_message_a_call() && plan.batch > 1 {
            return Err(PublishError::Plan("this server takes one message per call: leave --batch at 1"));
        }
        if plan.via == Via::Udp && plan.target.one_message_a_call() {
            return Err(PublishError::Plan("only GRIP servers take messages over UDP: leave out --udp"));
        }
        let count = (plan.connections.max(1) as usize).min(plan.channels.len().max(1));
        let lane = |number: usize| {
            let channels = plan.channels.iter().skip(number).step_by(count).map(|&channel| (channel, 0));
            Ok(Lane { connection: Connection::open(&plan)?, channels: channels.collect(), turn: 0 })
        };
        let lanes = (0..count).map(lane).collect::<Result<_, _>>()?;
        Ok(Publisher { plan, lanes, watch: Arc::default() })
    }

    /// The progress of this publisher for another thread.
    pub fn watch(&self) -> Arc<PublishWatch> {
        self.watch.clone()
    }

    /// Publishes by the plan. Message numbers continue from run to run.
    ///
    /// # Errors
    ///
    /// If a connection fails or the server refuses a call.
    pub fn run(&mut self) -> Result<Published, PublishError> {
        let mut lanes = std::mem::take(&mut self.lanes);
        let done = self.run_lanes(&mut lanes);
        self.lanes = lanes;
        done
    }

    fn run_lanes(&self, lanes: &mut [Lane]) -> Result<Published, PublishError> {
        let count = lanes.len() as u64;
        let started_ns = sys::now_ns();
        let results: Vec<Result<LaneRun, PublishError>> = thread::scope(|scope| {
            let mut threads = Vec::new();
            for (number, lane) in lanes.iter_mut().enumerate() {
                let schedule = Schedule::new(&self.plan, started_ns, number as u64, count);
                threads.push(scope.spawn(move || self.run_lane(lane, &schedule)));
            }
            threads
                .into_iter()
                .map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let mut published = Published::default();
        for result in results {
            let run = result?;
            published.messages += run.messages;
            published.calls += run.calls;
            published.latest_ns = published.latest_ns.max(run.latest_ns);
        }
        published.seconds = sys::now_ns().saturating_sub(started_ns) as f64 / 1e9;
        published.channels = lanes.iter().flat_map(|lane| lane.channels.iter().copied()).collect();
        Ok(published)
    }

    fn run_lane(&self, lane: &mut Lane, schedule: &Schedule) -> Result<LaneRun, PublishError> {
        sys::wake_punctually();
        let mut run = LaneRun::default();
        let mut call = Vec::new();
        while let Some(due) = schedule.call(run.calls, sys::now_ns()) {
            if self.watch.stopped.load(Ordering::Relaxed) {
                break;
            }
            lane.connection.wait_until(due.at_ns)?;
            let now_ns = sys::now_ns();
            run.latest_ns = run.latest_ns.max(now_ns.saturating_sub(due.at_ns));
            lane.write_call(&self.plan, due.messages, due.at_ns.min(now_ns), &mut call);
            lane.connection.send(&call)?;
            run.calls += 1;
            run.messages += u64::from(due.messages);
            self.watch.sent.fetch_add(u64::from(due.messages), Ordering::Relaxed);
        }
        lane.connection.finish()?;
        Ok(run)
    }
}

#[derive(Default)]
struct LaneRun {
    messages: u64,
    calls: u64,
    latest_ns: u64,
}

impl Lane {
    /// Writes a call with the next messages, from the channels in turn.
    fn write_call(&mut self, plan: &PublishPlan, messages: u32, due_ns: u64, call: &mut Vec<u8>) {
        let form = plan.target.form();
        let (mut body, mut text, mut first) = (Vec::new(), Vec::new(), String::new());
        for number in 0..messages {
            let index = self.turn % self.channels.len();
            let (channel, sequence) = &mut self.channels[index];
            let name = format!("{}{channel}", plan.prefix);
            text.clear();
            Message { channel: *channel, sequence: *sequence, due_ns }.write(plan.size_bytes, &mut text);
            form.write_item(&name, &text, &plan.mix, number, &mut body);
            *sequence += 1;
            self.turn += 1;
            if number == 0 {
                first = name;
            }
        }
        form.finish(&mut body);
        call.clear();
        if plan.via == Via::Http {
            let path = plan.target.publish_path(&first);
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
                form.content_type(),
                body.len()
            );
            call.extend_from_slice(head.as_bytes());
        }
        call.extend_from_slice(&body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;
    use std::net::SocketAddr;

    pub(super) fn plan(rate_hz: f64, batch: u32, messages: Option<u64>) -> PublishPlan {
        PublishPlan {
            target: Target::Gripwire,
            address: SocketAddr::from(([127, 0, 0, 1], 5561)),
            via: Via::Http,
            connections: 1,
            calls_in_flight: None,
            prefix: "c".into(),
            channels: vec![0, 1],
            mix: crate::Transport::Stream.into(),
            size_bytes: 50,
            batch,
            rate_hz,
            messages,
            outlives_server: false,
            duration: None,
        }
    }

    #[test]
    fn what_a_server_cannot_take_is_refused_before_anything_is_sent() {
        let nchan = PublishPlan { target: Target::Nchan, batch: 2, ..plan(1.0, 2, None) };
        let udp = PublishPlan { target: Target::Nchan, via: Via::Udp, ..plan(1.0, 1, None) };
        for plan in [nchan, udp] {
            assert!(matches!(Publisher::connect(plan), Err(PublishError::Plan(_))));
        }
    }
}
