//! A simulation of cores, homes and the rings between them, without sockets, clocks or threads. Whatever the order in which
//! subscribers join and leave, publishers publish, and messages and slices of a fan-out arrive: each subscriber gets exactly
//! the items it is owed, in order and once; a receipt counts the subscribers reached; and no table keeps anything at the end.
//!
//! `world` runs the room `channel` of several cores one step at a time. `ledger` keeps the items that every subscriber is
//! owed, by rules that are independent of the room's code. `order` compares the order of items with ids with a model, and
//! `readers` tests subscribers that follow ids. A failure prints its seed and the shortest series of steps that shows it.

mod cores;
mod ledger;
mod order;
mod readers;
mod world;

use gripwire::channel::Transport;
use ledger::Speaks;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use world::World;

/// Channels, and slots of each core: few, so that they are shared and reused all the time.
const CHANNELS: usize = 3;
const SLOTS: u32 = 7;
const CASES: u32 = 3000;

/// Something that happens somewhere. Cores and rings are taken modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    Subscribe {
        core: usize,
        slot: u32,
        transport: Transport,
        channels: Vec<usize>,
        reconnects: bool,
    },
    Disconnect {
        core: usize,
        slot: u32,
    },
    Publish {
        core: usize,
        channel: usize,
        speaks: Speaks,
        times: usize,
        receipt: bool,
    },
    /// The next message of one of the rings that have any arrives; so do up to `more` behind it.
    Arrive {
        ring: usize,
        more: usize,
    },
    FanOut {
        core: usize,
        budget: usize,
    },
    /// A connection leaves and comes back when its channels have just been given up.
    Flap {
        core: usize,
        slot: u32,
    },
    /// A WebSocket asks for one more channel, or leaves one.
    Join {
        core: usize,
        slot: u32,
        channel: usize,
    },
    Leave {
        core: usize,
        slot: u32,
        channel: usize,
    },
    /// A subscription has filters from now on.
    Filter {
        core: usize,
        slot: u32,
        channel: usize,
    },
    /// Time goes on.
    Tick {
        core: usize,
        by: u32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let core = 0..4usize;
    prop_oneof![
        6 => (core.clone(), 0..SLOTS, transport(), channels(), any::<bool>()).prop_map(
            |(core, slot, transport, channels, reconnects)| Step::Subscribe {
                core, slot, transport, channels, reconnects
            }
        ),
        3 => (core.clone(), 0..SLOTS).prop_map(|(core, slot)| Step::Disconnect { core, slot }),
        2 => (core.clone(), 0..SLOTS).prop_map(|(core, slot)| Step::Flap { core, slot }),
        6 => (core.clone(), 0..CHANNELS, speaks(), 1..3usize, prop::bool::weighted(0.3)).prop_map(
            |(core, channel, speaks, times, receipt)| Step::Publish { core, channel, speaks, times, receipt }
        ),
        12 => (any::<usize>(), 0..3usize).prop_map(|(ring, more)| Step::Arrive { ring, more }),
        8 => (core.clone(), 1..4usize).prop_map(|(core, budget)| Step::FanOut { core, budget }),
        3 => (core.clone(), 0..SLOTS, 0..CHANNELS).prop_map(
            |(core, slot, channel)| Step::Join { core, slot, channel }
        ),
        2 => (core.clone(), 0..SLOTS, 0..CHANNELS).prop_map(
            |(core, slot, channel)| Step::Leave { core, slot, channel }
        ),
        3 => (core.clone(), 0..SLOTS, 0..CHANNELS).prop_map(
            |(core, slot, channel)| Step::Filter { core, slot, channel }
        ),
        2 => (core, 0..3u32).prop_map(|(core, by)| Step::Tick { core, by }),
    ]
}

fn transport() -> impl Strategy<Value = Transport> {
    prop::sample::select(&Transport::ALL[..])
}

/// Mostly one channel; sometimes several, one of them twice, or none.
fn channels() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        6 => prop::collection::vec(0..CHANNELS, 1),
        3 => prop::collection::vec(0..CHANNELS, 2..4),
        1 => Just(Vec::new()),
    ]
}

fn speaks() -> impl Strategy<Value = Speaks> {
    let http = prop_oneof![
        6 => Just((true, true, false)),
        4 => Just((true, false, false)),
        2 => Just((false, true, false)),
        1 => Just((false, false, false)),
        1 => any::<bool>().prop_map(|response| (false, response, true)),
    ];
    let socket = prop_oneof![6 => Just((true, false)), 3 => Just((false, false)), 1 => Just((false, true))];
    (http, socket).prop_map(|((stream, response, close), (socket, close_socket))| Speaks {
        stream,
        response,
        close,
        socket,
        close_socket,
    })
}

fn take(world: &mut World, step: Step) -> Result<(), TestCaseError> {
    match step {
        Step::Subscribe { core, slot, transport, channels, reconnects } => {
            world.subscribe(core, slot, transport, channels, reconnects)
        }
        Step::Disconnect { core, slot } => {
            world.disconnect(core, slot);
            Ok(())
        }
        Step::Flap { core, slot } => world.flap(core, slot),
        Step::Publish { core, channel, speaks, times, receipt } => {
            (0..times).for_each(|_| world.publish(core, channel, speaks, receipt));
            Ok(())
        }
        Step::Arrive { ring, more } => world.arrive(ring, more + 1),
        Step::FanOut { core, budget } => world.fan_out(core, budget).map(drop),
        Step::Join { core, slot, channel } => world.join(core, slot, channel),
        Step::Leave { core, slot, channel } => world.leave(core, slot, channel),
        Step::Filter { core, slot, channel } => {
            world.filter(core, slot, channel);
            Ok(())
        }
        Step::Tick { core, by } => world.tick(core, by),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_subscriber_gets_what_it_is_owed_in_order_and_once(
        cores in 1..4usize,
        linger in 0..3u32,
        clock in prop_oneof![Just(0u32), Just(u32::MAX - 2)],
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(cores, linger, clock);
        for step in steps {
            take(&mut world, step)?;
        }
        world.settle()?;
        world.everyone_got_everything()?;
        world.receipts_are_true()?;
        world.leave_nothing()?;
    }
}

/// More than one pass takes, with subscribers that join and leave between its slices.
#[test]
fn a_burst_reaches_everyone_in_several_passes() -> Result<(), TestCaseError> {
    let mut world = World::new(2, 1, 0);
    let both = Speaks { stream: true, response: true, close: false, socket: true, close_socket: false };
    for (slot, transport) in [(0, Transport::StreamChunked), (1, Transport::StreamRaw)] {
        world.subscribe(0, slot, transport, vec![0], false)?;
        world.subscribe(1, slot, transport, vec![0, 1], false)?;
    }
    world.settle()?;
    for round in 0..700 {
        world.publish(round % 2, 0, both, round % 10 == 0);
        world.arrive(round, 2)?;
        match round % 100 {
            50 => world.subscribe(1, 2 + round as u32 / 100, Transport::StreamChunked, vec![0], false)?,
            75 => drop(world.fan_out(1, 1)?),
            90 => world.disconnect(1, 1 + round as u32 / 100),
            _ => {}
        }
    }
    world.settle()?;
    world.everyone_got_everything()?;
    world.receipts_are_true()?;
    world.leave_nothing()
}
