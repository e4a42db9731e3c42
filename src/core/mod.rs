//! One core's world: its rooms, its loop, its commands. Nothing here is shared with other threads.
//!
//! [`Core`] composes the rooms; `start` makes them, from the bottom up. The loop is `turn`; `serve` hands requests to
//! whom they are for. `commands` are those of the main
//! thread, and `operator_commands` what operators ask by way of a
//! backplane. `ceiling` bounds the
//! memory of the process, `memory` gives back what is not needed, and `reporting` is what operators see.

#![forbid(unsafe_code)]

mod ceiling;
mod commands;
mod memory;
mod operator_commands;
mod reporting;
mod serve;
mod start;
mod turn;

pub use commands::{CoreCommand, CoreCommands, Renewal};
pub use start::{CoreError, CorePlan, run};

use crate::clients::Clients;
use crate::context::Context;
use crate::control::ControlPort;
use crate::delivery::Delivery;
use crate::filters::Filters;
use crate::held::Holds;
use crate::observe::{Growth, ReportState};
use crate::publish::Publishing;
use crate::queries::Queries;
use crate::requests::Requests;
use ceiling::Ceiling;
use memory::Memory;
use std::cell::RefCell;
use std::rc::Rc;

/// One core.
pub struct Core {
    context: Rc<Context>,
    clients: Rc<Clients>,
    delivery: Rc<Delivery>,
    publishing: Rc<Publishing>,
    requests: Rc<Requests>,
    filters: Rc<Filters>,
    holds: Rc<Holds>,
    control: Rc<ControlPort>,
    queries: Rc<Queries>,
    /// What the main thread asks for.
    commands: CoreCommands,
    ceiling: Ceiling,
    /// What is known of memory that is not needed.
    memory: RefCell<Memory>,
    /// What the operator has read of counters.
    report_state: ReportState,
    /// Requests that have waited for too long, as far as the operator has read of them.
    reported_queue_timeouts: Growth,
}

impl Drop for Core {
    fn drop(&mut self) {
        self.clients.forget_all();
    }
}
