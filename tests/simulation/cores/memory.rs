//! A backplane in memory, between nodes of one simulation. As a broker does, it carries an item in bytes, to nodes that are
//! interested, each in its time and all in one order for each node. It can lose an item, and a node can be cut off from it.

use gripwire::backplane::{
    Arrival, Backplane, CommandOutcome, Item, Lost, OperatorCommand, Position, Source, Wants,
};
use gripwire::channel::home_of;
use gripwire::ids::CoreId;
use gripwire::proto::grip::{Publication, compact};
use gripwire::simulation::current;
use gripwire::wire::Ringer;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What all nodes are connected to.
#[derive(Clone, Default)]
pub struct Hub(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    nodes: Vec<Node>,
    loses_next: bool,
}

struct Node {
    name: Arc<str>,
    cores: Vec<Core>,
    is_cut_off: bool,
    /// Items that it has published.
    published: u64,
    /// When the last item on its way to this node arrives.
    due: Duration,
}

/// A core of a node.
#[derive(Default)]
struct Core {
    ringer: Option<Ringer>,
    interest: BTreeSet<Arc<str>>,
    arrivals: VecDeque<Arrival>,
    /// Arrivals, and their bytes, that the homes have not taken.
    used: (usize, usize),
}

/// A core's end.
struct End {
    hub: Hub,
    node: usize,
    core: usize,
}

impl Hub {
    /// One more node, with so many cores; the ends of all of them.
    pub fn join(&self, cores: usize) -> Vec<Box<dyn Backplane>> {
        let mut state = self.state();
        let node = state.nodes.len();
        state.nodes.push(Node {
            name: format!("node-{node}").into(),
            cores: (0..cores).map(|_| Core::default()).collect(),
            is_cut_off: false,
            published: 0,
            due: Duration::ZERO,
        });
        let end = |core| Box::new(End { hub: self.clone(), node, core }) as Box<dyn Backplane>;
        (0..cores).map(end).collect()
    }

    /// The next item that is published does not arrive anywhere.
    pub fn lose_next(&self) {
        self.state().loses_next = true;
    }

    /// Nothing arrives at `node` any more.
    pub fn cut_off(&self, node: usize) {
        self.state().nodes[node].is_cut_off = true;
    }

    /// What is published from now on arrives at `node` again.
    pub fn let_in(&self, node: usize) {
        let node = &mut self.state().nodes[node];
        node.is_cut_off = false;
        node.cores.iter_mut().for_each(|core| core.bring(Arrival::Lost(Lost::All)));
    }

    /// What is left when nobody listens any more.
    pub fn leftovers(&self) -> Vec<String> {
        let state = self.state();
        let cores = state.nodes.iter().flat_map(|node| &node.cores);
        let left = cores.filter(|core| core.used != (0, 0) || !core.interest.is_empty());
        left.map(|core| format!("{:?} not taken, interest in {:?}", core.used, core.interest)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("a simulation has one thread")
    }

    /// Sends what `from` has published on its way.
    fn send(&self, from: usize, bytes: &[u8]) {
        let world = current().expect("a simulation");
        let mut state = self.state();
        let is_lost = std::mem::take(&mut state.loses_next);
        state.nodes[from].published += 1;
        let position = Position { epoch: from as u64, sequence: state.nodes[from].published };
        for to in (0..state.nodes.len()).filter(|to| *to != from) {
            let delay = Duration::from_micros(world.dice(|dice| dice.within(1..30_000)));
            let due = state.nodes[to].due.max(world.elapsed() + delay);
            state.nodes[to].due = due;
            let (hub, publication) = (self.clone(), read(bytes));
            world.at(due, move || hub.arrive(from, to, publication, position, is_lost));
        }
    }

    fn arrive(&self, from: usize, to: usize, publication: Publication, position: Position, is_lost: bool) {
        let mut state = self.state();
        let name = state.nodes[from].name.clone();
        let node = &mut state.nodes[to];
        let home = home_of(&publication.channel, node.cores.len());
        let core = &mut node.cores[home.index()];
        if node.is_cut_off || !core.interest.contains(&publication.channel) {
            return;
        }
        let source = Source::Elsewhere(Some(name));
        core.bring(match is_lost {
            true => Arrival::Lost(Lost::Channel(publication.channel.clone())),
            false => {
                Arrival::Item(Item { publication: publication.into(), source, position: Some(position) })
            }
        });
    }
}

impl Core {
    fn bring(&mut self, arrival: Arrival) {
        self.used = (self.used.0 + 1, self.used.1 + arrival.weight());
        self.arrivals.push_back(arrival);
        self.ringer.as_ref().expect("the core has attached").ring();
    }
}

impl End {
    fn with_core<T>(&self, ask: impl FnOnce(&mut Core) -> T) -> T {
        ask(&mut self.hub.state().nodes[self.node].cores[self.core])
    }
}

impl Backplane for End {
    fn wants(&self) -> Wants {
        Wants { interest: true, items: true }
    }

    fn attach(&self, ringer: Ringer) {
        self.with_core(|core| core.ringer = Some(ringer));
    }

    fn interest(&self, channel: Arc<str>, wanted: bool) {
        let cores = self.hub.state().nodes[self.node].cores.len();
        assert_eq!(home_of(&channel, cores), CoreId(self.core as u16), "interest is told by the home");
        let is_news = self.with_core(|core| match wanted {
            true => core.interest.insert(channel),
            false => core.interest.remove(&channel),
        });
        assert!(is_news, "interest begins and ends by turns");
    }

    fn publish(&self, item: &Arc<Publication>) {
        self.hub.send(self.node, &compact::encode([&**item]));
    }

    fn next_arrival(&self) -> Option<Arrival> {
        self.with_core(|core| core.arrivals.pop_front())
    }

    fn took(&self, arrivals: usize, bytes: usize) {
        self.with_core(|core| core.used = (core.used.0 - arrivals, core.used.1 - bytes));
    }

    fn take_commands(&self) -> Vec<(u64, OperatorCommand)> {
        Vec::new()
    }

    fn answer(&self, ticket: u64, outcome: CommandOutcome) {
        panic!("command {ticket} was never given, and is answered with {outcome:?}");
    }
}

fn read(bytes: &[u8]) -> Publication {
    let mut items = Vec::new();
    compact::decode(bytes, &mut items).expect("what was written is read");
    items.pop().expect("one item")
}
