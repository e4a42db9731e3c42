//! A whole run: open the subscribers, publish on schedule, wait for late messages, collect the results. Every phase has a
//! time limit, so a run always ends.
//!
//! `outcome.rs` has the results of a run, `figures.rs` formats them for people, and `timeline.rs` samples the counts during
//! the run.

mod figures;
mod outcome;
mod timeline;

use crate::fleet::{Fleet, FleetError, FleetPlan, Standing};
use crate::publisher::{PublishError, PublishPlan, Published, Publisher};
use crate::server::{ServerWatch, WatchError};
use crate::sys::now_ns;
use crate::transport::Transport;
use std::collections::HashMap;
use std::thread;
use std::time::Duration;
use timeline::Recorder;

pub use figures::Figure;
pub use outcome::Outcome;
pub use timeline::{Moment, Phase};

/// The plan of a run.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// The subscribers.
    pub fleet: FleetPlan,
    /// The publisher; without one, the subscribers are only held.
    pub publish: Option<PublishPlan>,
    /// Time for which subscribers are held before publishing, or instead of it.
    pub hold: Duration,
    /// Most time to wait for late messages.
    pub late: Duration,
    /// Processes of the server to watch.
    pub processes: Vec<u32>,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The fleet failed.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The publisher failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A process cannot be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// No subscriber is open.
    #[error("none of {subscribers} subscribers could be opened: {failure}")]
    NobodyOpen {
        /// The number of subscribers.
        subscribers: u32,
        /// Why the first subscriber failed.
        failure: String,
    },
}

/// Executes a plan. `watch` is called several times a second with the phase and a sample.
///
/// # Errors
///
/// If the server cannot be reached or refuses a publish call, or a worker fails.
pub fn run(plan: &RunPlan, watch: &mut dyn FnMut(Phase, &Moment)) -> Result<Outcome, RunError> {
    let server = ServerWatch::new(&plan.processes)?;
    let publisher = plan.publish.clone().map(Publisher::connect).transpose()?;
    let cost_idle = server.cost();
    let mut recorder = Recorder::new(&server, watch);
    let mut fleet = Fleet::start(&plan.fleet)?;
    let opening = loop {
        recorder.step(&mut fleet, Phase::Opening, 0)?;
        if let Some(opening) = fleet.opened() {
            break opening;
        }
    };
    if opening.open == 0 && plan.fleet.subscribers > 0 {
        let failure = opening.failure.unwrap_or_default();
        return Err(RunError::NobodyOpen { subscribers: plan.fleet.subscribers, failure });
    }
    hold(&mut fleet, &mut recorder, plan.hold)?;
    let cost_held = server.cost();
    let published = match publisher {
        Some(publisher) => publish(&mut fleet, &mut recorder, publisher)?,
        None => Published::default(),
    };
    let awaited = awaited(&plan.fleet, &published.channels);
    let started_ns = now_ns();
    if published.messages > 0 {
        wait_for_late(&mut fleet, &mut recorder, plan, awaited, published.messages)?;
    }
    let waited = Duration::from_nanos(now_ns().saturating_sub(started_ns));
    let cost_end = server.cost();
    let deliveries = fleet.collect(&published.channels)?;
    let Standing { closed, bytes, .. } = fleet.standing();
    let failure = fleet.failure().map(str::to_owned);
    Ok(Outcome {
        opening,
        deliveries,
        closed,
        failure,
        bytes,
        published_messages: published.messages,
        published_seconds: published.seconds,
        publish_calls: published.calls,
        latest_call_ns: published.latest_ns,
        seconds: published.seconds + waited.as_secs_f64(),
        drained: plan.fleet.drain,
        watched: !server.is_empty(),
        cost_idle,
        cost_held,
        cost_end,
        moments: recorder.finish(),
    })
}

fn hold(fleet: &mut Fleet, recorder: &mut Recorder, hold: Duration) -> Result<(), FleetError> {
    let until_ns = now_ns() + hold.as_nanos() as u64;
    while now_ns() < until_ns {
        recorder.step(fleet, Phase::Holding, 0)?;
    }
    Ok(())
}

fn publish(
    fleet: &mut Fleet,
    recorder: &mut Recorder,
    mut publisher: Publisher,
) -> Result<Published, RunError> {
    let sent = publisher.watch();
    thread::scope(|scope| {
        let publishing = scope.spawn(move || publisher.run());
        while !publishing.is_finished() {
            if let Err(error) = recorder.step(fleet, Phase::Publishing, sent.sent()) {
                sent.stop();
                return Err(error.into());
            }
        }
        Ok(publishing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)
    })
}

/// Waits until all messages have arrived. If not all can be expected, waits until no input arrives for a while.
fn wait_for_late(
    fleet: &mut Fleet,
    recorder: &mut Recorder,
    plan: &RunPlan,
    awaited: u64,
    published: u64,
) -> Result<(), FleetError> {
    let until_ns = now_ns() + plan.late.as_nanos() as u64;
    let whole = !plan.fleet.drain && !plan.fleet.mix.has(Transport::Poll);
    let (mut last, mut since_ns) = (u64::MAX, now_ns());
    while now_ns() < until_ns {
        recorder.step(fleet, Phase::Waiting, published)?;
        let standing = fleet.standing();
        if !plan.fleet.drain && standing.messages >= awaited {
            return Ok(());
        }
        let exact = whole && standing.failed == 0 && standing.closed == 0;
        if standing.bytes != last {
            (last, since_ns) = (standing.bytes, now_ns());
        } else if !exact && now_ns() - since_ns > QUIET.as_nanos() as u64 {
            return Ok(());
        }
    }
    Ok(())
}

/// The expected number of deliveries if all subscribers are open: for each subscriber that reads, the messages of its
/// channel.
fn awaited(plan: &FleetPlan, published: &HashMap<u32, u32>) -> u64 {
    let count = |subscriber| match plan.stalls(subscriber) {
        true => 0,
        false => published.get(&plan.layout.channel(subscriber)).map_or(0, |&count| u64::from(count)),
    };
    (0..plan.subscribers).map(count).sum()
}

/// Time without input after which waiting ends if there is no exact count to wait for: with long polls, with draining, and
/// after subscribers were lost.
const QUIET: Duration = Duration::from_secs(2);
