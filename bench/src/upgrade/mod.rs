//! Measures what clients notice of an upgrade, beside a restart with a drain. Streams and WebSockets are held while messages
//! are published to all of them without a pause. The load generator's workers note the longest time that any client was
//! without a message: in a window without any event, in one window for each upgrade, and in one with a restart, after which
//! all clients connect again. Messages are published by UDP, whose sockets keep what comes while nobody reads.
//!
//! `server` is the server with the processes that replace each other, `peaks` samples their memory and descriptors, and
//! `report` has the table.

mod peaks;
mod report;
mod server;

use crate::process::{CLIENT_CPU, beside_this_program, pin};
use crate::servers::PATIENCE;
use anyhow::ensure;
use gripwire_loadgen::{
    DeliveryStats, Fleet, FleetPlan, Layout, Mix, PublishPlan, Published, Publisher, Target, Via, Workers,
};
use peaks::{PeakWatch, Peaks};
use report::Window;
use server::Server;
use std::collections::HashMap;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The settings of the measurement.
#[derive(clap::Args)]
pub struct Settings {
    /// Streams of Server-Sent Events
    #[arg(long, default_value_t = 24_000)]
    streams: u32,
    /// WebSockets over HTTP
    #[arg(long, default_value_t = 2_000)]
    websockets: u32,
    /// Channels, to which the clients are spread evenly
    #[arg(long, default_value_t = 260)]
    channels: u32,
    /// Messages that each client gets in a second
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Seconds of each window
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Upgrades in a row
    #[arg(long, default_value_t = 3)]
    upgrades: u32,
    /// Cores of the server, all on one CPU
    #[arg(long, default_value_t = 2)]
    cores: usize,
    /// The server to measure, instead of the build beside this program
    #[arg(long)]
    server: Option<PathBuf>,
}

/// Upgrades and restarts a server, and prints a table.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    pin(CLIENT_CPU)?;
    let mut bench = Bench::open(settings)?;
    bench.window("warming up", |_, _| Ok(None))?;
    let mut windows = vec![bench.window("nothing happens", |_, _| Ok(None))?];
    for number in 1..=settings.upgrades {
        windows.push(bench.window(&format!("upgrade {number}"), upgrade)?);
    }
    let phases = report::phases(&bench.server.log());
    windows.push(bench.window("restart with drain", restart)?);
    let published = bench.publishing.stop()?;
    let rest = bench.fleet.collect(&published.channels)?;
    println!("{}", report::table(&windows));
    println!("{phases}");
    let DeliveryStats { duplicates, out_of_order, .. } = rest;
    println!(
        "{} messages published; {duplicates} doubled and {out_of_order} out of order at the end",
        published.messages
    );
    Ok(())
}

/// A server with its clients, to whom something is published all the time. The clients are dropped before the server.
struct Bench {
    fleet: Fleet,
    publishing: Publishing,
    server: Server,
    window: Duration,
}

/// What happened to the server in a window.
pub struct Event {
    /// Until another process served, or all clients were open again.
    took: Duration,
    peaks: Peaks,
}

impl Bench {
    fn open(settings: &Settings) -> anyhow::Result<Bench> {
        let server = Server::start(settings.server.clone(), settings.cores)?;
        let mix: Mix = format!("sse:{},websocket:{}", settings.streams, settings.websockets).parse()?;
        let subscribers = settings.streams + settings.websockets;
        let plan = FleetPlan {
            layout: Layout::Zipf { channels: settings.channels, exponent: 0.0 },
            workers: Workers::Processes(beside_this_program("gripwire-loadgen")?),
            opening: Duration::from_secs(120),
            returns: true,
            cpus: vec![CLIENT_CPU],
            ..FleetPlan::new(Target::Gripwire, mix.clone(), subscribers, server.clients)
        };
        let (fleet, opening) = Fleet::open(&plan)?;
        let why = opening.failure.as_deref().unwrap_or_default();
        ensure!(
            opening.failed == 0,
            "{} of {subscribers} clients could not be opened: {why}",
            opening.failed
        );
        let channels = plan.layout.channels(subscribers);
        let publishing = Publishing::start(PublishPlan {
            target: Target::Gripwire,
            address: server.udp.into(),
            via: Via::Udp,
            connections: 1,
            calls_in_flight: None,
            prefix: plan.prefix.clone(),
            rate_hz: settings.rate * channels.len() as f64,
            channels,
            mix,
            size_bytes: 100,
            batch: 1,
            messages: None,
            outlives_server: true,
            duration: Some(Duration::from_secs(3600)),
        })?;
        Ok(Bench { fleet, publishing, server, window: Duration::from_secs(settings.seconds) })
    }

    /// Lets `event` happen, and measures from its beginning until its end or the end of the window, whichever is later.
    fn window(
        &mut self,
        name: &str,
        event: impl FnOnce(&mut Server, &mut Fleet) -> anyhow::Result<Option<Event>>,
    ) -> anyhow::Result<Window> {
        let begun = Instant::now();
        let closed = self.fleet.standing().closed;
        let event = event(&mut self.server, &mut self.fleet)?;
        while begun.elapsed() < self.window {
            self.fleet.listen(Duration::from_millis(50))?;
        }
        let peaks = event.as_ref().map_or_else(
            || Peaks {
                old_bytes: peaks::user_bytes(self.server.serving.pid),
                old_descriptors: peaks::descriptors(self.server.serving.pid),
                ..Peaks::default()
            },
            |event| event.peaks,
        );
        Ok(Window {
            name: name.to_owned(),
            took: event.map(|event| event.took),
            peaks,
            ended: self.fleet.standing().closed - closed,
            // What is published meanwhile has not arrived everywhere, so nothing is settled here but gaps.
            deliveries: self.fleet.collect(&HashMap::new())?,
        })
    }
}

/// Has the server replaced by a new process, until the old one has ended.
fn upgrade(server: &mut Server, fleet: &mut Fleet) -> anyhow::Result<Option<Event>> {
    let begun = Instant::now();
    server.serving.signal(libc::SIGUSR2)?;
    let new = server.successor()?;
    let watch = PeakWatch::start(server.serving.pid, new.pid);
    while !server.serving.has_ended() {
        fleet.listen(LOOK)?;
        ensure!(begun.elapsed() < PATIENCE, "the old process does not end:\n{}", server.log());
    }
    let took = begun.elapsed();
    server.serving = new;
    Ok(Some(Event { took, peaks: watch.stop() }))
}

/// Ends the server, starts it again, and waits until all clients are back.
fn restart(server: &mut Server, fleet: &mut Fleet) -> anyhow::Result<Option<Event>> {
    let begun = Instant::now();
    let watch = PeakWatch::start(server.serving.pid, 0);
    server.serving.signal(libc::SIGTERM)?;
    while !server.serving.has_ended() {
        fleet.listen(LOOK)?;
        ensure!(begun.elapsed() < DRAIN_PATIENCE, "the server does not end:\n{}", server.log());
    }
    let peaks = watch.stop();
    server.start_again()?;
    while fleet.standing().returned < fleet.standing().closed.max(1) {
        fleet.listen(LOOK)?;
        let returned = fleet.standing();
        ensure!(
            begun.elapsed() < DRAIN_PATIENCE * 2,
            "only {} of {} clients came back: {}",
            returned.returned,
            returned.closed,
            fleet.failure().unwrap_or_default()
        );
    }
    Ok(Some(Event { took: begun.elapsed(), peaks }))
}

/// A publisher on a thread of its own.
struct Publishing {
    watch: std::sync::Arc<gripwire_loadgen::PublishWatch>,
    thread: JoinHandle<Result<Published, gripwire_loadgen::PublishError>>,
}

impl Publishing {
    fn start(plan: PublishPlan) -> anyhow::Result<Publishing> {
        let mut publisher = Publisher::connect(plan)?;
        let watch = publisher.watch();
        Ok(Publishing { watch, thread: std::thread::spawn(move || publisher.run()) })
    }

    fn stop(self) -> anyhow::Result<Published> {
        self.watch.stop();
        Ok(self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)
    }
}

const LOOK: Duration = Duration::from_millis(2);
/// Longer than `drain_ms`.
const DRAIN_PATIENCE: Duration = Duration::from_secs(40);
