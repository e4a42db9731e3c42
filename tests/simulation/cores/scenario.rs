//! Who is there and what happens, by the seed.

use super::client::{live, witness};
use super::cluster::Cluster;
use super::deliveries::Deliveries;
use super::http::{dice, elapsed};
use super::{application, publisher};
use gripwire::config::Config;
use gripwire::runtime;
use gripwire::simulation::{Host, Random, Simulation};
use std::rc::Rc;
use std::time::Duration;

/// Publishers begin when witnesses are there. Nobody begins anything new after a while, and in the end everyone goes.
const BEGIN: Duration = Duration::from_secs(5);
pub const STOP: Duration = Duration::from_secs(15);
pub const END: Duration = Duration::from_secs(40);

/// The bounds of a world.
#[derive(Debug)]
pub struct Scenario {
    seed: u64,
    cores: usize,
    channels: usize,
    clients: usize,
    publishers: usize,
    mesh_messages: usize,
    /// Cores are stopped now and then.
    pauses: bool,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Messages that subscribers got.
    pub delivered: usize,
    /// Stands for everything that happened.
    digest: u64,
    finished: Duration,
}

impl Scenario {
    /// The scenario of `seed`.
    pub fn of(seed: u64) -> Scenario {
        let mut dice = Random::new(seed ^ 0x5eed);
        Scenario {
            seed,
            cores: 1 + dice.below(4),
            channels: 1 + dice.below(4),
            clients: 1 + dice.below(24),
            publishers: 1 + dice.below(4),
            mesh_messages: *dice.pick(&[1, 4, 16, 1024]),
            pauses: dice.chance(50),
        }
    }

    /// Lets it happen, and holds what happened against the rules.
    pub fn run(self) -> Outcome {
        let simulation = Simulation::new(self.seed);
        let mut settings = Config::default();
        settings.limits.mesh_messages = self.mesh_messages;
        settings.proxy.origin_idle_timeout_ms = 10_000;
        let cluster = Cluster::start(&simulation, self.cores, settings, application::ROUTES);
        let deliveries = Rc::<Deliveries>::default();
        if self.pauses {
            self.pause_cores(&simulation);
        }
        let happened = simulation.run(self.happen(cluster, deliveries.clone()));
        happened.expect("everyone comes to an end");
        deliveries.check();
        let leftovers = simulation.world().leftovers();
        assert!(leftovers.is_empty(), "{leftovers:?}");
        let (delivered, digest) = deliveries.digest();
        Outcome { delivered, digest, finished: simulation.world().elapsed() }
    }

    /// Everyone lives their lives.
    fn happen(&self, cluster: Cluster, deliveries: Rc<Deliveries>) -> impl Future<Output = ()> + 'static {
        let Scenario { channels, clients, publishers, .. } = *self;
        async move {
            application::start();
            let mut lives = Vec::new();
            for channel in 0..channels {
                lives.push(runtime::spawn(witness(deliveries.clone(), channel)));
            }
            for _ in 0..clients {
                lives.push(runtime::spawn(live(deliveries.clone(), channels)));
            }
            runtime::sleep(BEGIN.saturating_sub(elapsed())).await;
            for number in 0..publishers {
                lives.push(runtime::spawn(publisher::publish(deliveries.clone(), number, channels)));
            }
            for life in lives {
                life.await;
            }
            cluster.emptied().await;
        }
    }

    /// Stops cores for up to two seconds, each by itself.
    fn pause_cores(&self, simulation: &Simulation) {
        let world = simulation.world().clone();
        for core in 0..self.cores {
            let pausing = world.clone();
            let pauses = async move {
                while elapsed() < STOP {
                    let wait = dice(|dice| dice.within(1..5_000_000));
                    runtime::sleep(Duration::from_micros(wait)).await;
                    let delay = Duration::from_micros(dice(|dice| dice.within(1..2_000_000)));
                    pausing.pause(Host(core as u16), delay);
                    runtime::sleep(delay).await;
                }
            };
            world.spawn(pauses).detach();
        }
    }
}
