//! The ways of what is published: into this core, to the homes of channels, and from homes to the cores that are
//! interested.
//!
//! - [`Admitted`] are items that may be published: whoever publishes here has them admitted first.
//! - [`Publishing`] has the homes of this core and its ends of the mesh. `publishing` sends publications to their homes
//!   and waits for `confirmations`, `homes` lets the homes here do their work, `readers` take what comes from other cores.
//! - Ways in beside the control port: `datagrams`, and `backplanes` from other nodes.
//! - `waits` finds work that stands still.

#![forbid(unsafe_code)]

mod admitted;
mod backplanes;
mod confirmations;
mod datagrams;
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
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use waits::Waits;

/// What is published on this core, and the homes of channels here.
pub struct Publishing {
    context: Rc<Context>,
    clients: Rc<Clients>,
    delivery: Rc<Delivery>,
    home: RefCell<Home>,
    /// Messages of this core to channels at home here, in order.
    to_own_home: RefCell<VecDeque<ToHome>>,
    mesh: Mesh,
    /// How many messages the homes of all cores have sent.
    dispatched: Arc<Dispatched>,
    confirmations: RefCell<Confirmations>,
    datagrams: RefCell<Option<Box<Datagrams>>>,
    /// Bad datagrams that the operator has read of.
    reported_bad: Growth,
    backplanes: Backplanes,
    /// What waits, and since when.
    waits: Waits,
    /// Rung after every turn that took something off a bounded queue, and when a lane of the mesh has room again.
    room: Bell,
}

/// The ways in and out that a core is started with.
pub struct Ways {
    /// The homes of channels on this core.
    pub home: Home,
    /// Its ends of the mesh.
    pub mesh: Mesh,
    /// How many messages the homes of all cores have sent.
    pub dispatched: Arc<Dispatched>,
    /// Its datagram sockets.
    pub datagrams: Vec<DatagramSocket>,
    /// Its ends of backplanes.
    pub backplanes: Vec<Box<dyn Backplane>>,
}

impl Publishing {
    /// Nothing is published yet. `ringer` wakes the core for what backplanes bring.
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
            datagrams: Datagrams::new(datagrams).into(),
            reported_bad: Growth::default(),
            backplanes,
            waits: Waits::default(),
            room: Bell::default(),
        })
    }

    /// What is published shares this with the other rooms of its core.
    pub fn context(&self) -> &Rc<Context> {
        &self.context
    }

    /// The clients of this core.
    pub fn clients(&self) -> &Rc<Clients> {
        &self.clients
    }

    /// The deliveries of this core.
    pub fn delivery(&self) -> &Rc<Delivery> {
        &self.delivery
    }
}
