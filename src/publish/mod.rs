//! The way of published items: into this core, to the homes of their channels, and from the homes to the interested
//! cores.
//!
//! - [`Admitted`] are items that may be published: whoever publishes here has them admitted first.
//! - [`Publishing`] has the homes of this core and its ends of the mesh. `publishing` sends publications to their homes
//!   and waits for `confirmations`, `homes` lets the homes here do their work, `readers` takes messages from other
//!   cores.
//! - Items that do not come by the control port: `datagrams`, and `backplanes` from other nodes.
//! - `waits` finds queues that do not move.

#![forbid(unsafe_code)]

mod admitted;
mod backplanes;
mod confirmations;
mod datagrams;
mod handing_over;
mod homes;
mod publishing;
mod readers;
mod waits;

pub use admitted::{Admitted, Refused};
pub use publishing::Busy;

use crate::backplane::{Backplane, Backplanes};
use crate::bell::Bell;
use crate::channel::{Dispatched, Home, ToHome};
use crate::clients::Clients;
use crate::context::Context;
use crate::delivery::Delivery;
use crate::mesh::Mesh;
use crate::observe::Growth;
use crate::wire::{DatagramSocket, Ringer};
use confirmations::Confirmations;
use datagrams::Datagrams;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use waits::Waits;

/// The publishing side of a core: items that are published here, and the homes of channels.
pub struct Publishing {
    context: Rc<Context>,
    clients: Rc<Clients>,
    delivery: Rc<Delivery>,
    home: RefCell<Home>,
    /// Messages of this core to channels at home here, in order.
    to_own_home: RefCell<VecDeque<ToHome>>,
    mesh: Mesh,
    /// How many messages homes have sent to each core, shared by all cores.
    dispatched: Arc<Dispatched>,
    confirmations: RefCell<Confirmations>,
    /// Publish calls that are under way.
    publishes: Cell<usize>,
    datagrams: RefCell<Option<Box<Datagrams>>>,
    /// Bad datagrams, as far as they have been logged.
    reported_bad: Growth,
    backplanes: Backplanes,
    /// Which queues wait, and since when.
    waits: Waits,
    /// Rings after every turn that shortened a bounded queue, and when a lane of the mesh has room again.
    room: Bell,
}

/// The homes, rings, sockets and backplanes that a core is started with.
pub struct Ways {
    /// The homes of channels on this core.
    pub home: Home,
    /// Its ends of the mesh.
    pub mesh: Mesh,
    /// How many messages homes have sent to each core, shared by all cores.
    pub dispatched: Arc<Dispatched>,
    /// Its datagram sockets.
    pub datagrams: Vec<DatagramSocket>,
    /// Its ends of backplanes.
    pub backplanes: Vec<Box<dyn Backplane>>,
}

impl Publishing {
    /// The publishing side of a core to which nothing was published yet. Backplanes use `ringer` to wake the core.
    pub fn new(
        context: Rc<Context>,
        clients: Rc<Clients>,
        delivery: Rc<Delivery>,
        ways: Ways,
        ringer: &Ringer,
    ) -> Rc<Publishing> {
        let Ways { mut home, mesh, dispatched, datagrams, backplanes } = ways;
        let backplanes = Backplanes::new(backplanes, ringer);
        if backplanes.wants().interest {
            home.watch();
        }
        Rc::new(Publishing {
            context,
            clients,
            delivery,
            home: home.into(),
            to_own_home: RefCell::default(),
            mesh,
            dispatched,
            confirmations: RefCell::default(),
            publishes: Cell::default(),
            datagrams: Datagrams::new(datagrams).into(),
            reported_bad: Growth::default(),
            backplanes,
            waits: Waits::default(),
            room: Bell::default(),
        })
    }

    /// The values that all rooms of this core share.
    pub fn context(&self) -> &Rc<Context> {
        &self.context
    }

    /// The clients of this core.
    pub fn clients(&self) -> &Rc<Clients> {
        &self.clients
    }

    /// The delivery of this core.
    pub fn delivery(&self) -> &Rc<Delivery> {
        &self.delivery
    }
}
