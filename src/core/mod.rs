//! One core: its rooms, its loop, its commands. Other threads share nothing here.
//!
//! [`Core`] composes the rooms, and `start` makes them, from the bottom up. `turn` is the loop, and `serve` hands each
//! request to the room that answers it. `commands` carries out commands of the main thread, and `operator_commands`
//! those that operators send through a backplane. When a new process replaces this one, `hand_over` are the steps of that,
//! `handing_over` passes clients on to the new process, and its `taking_over` takes them; they come by a `channel`, in the
//! form of `packed`. `ceiling` bounds the memory of the process, `memory` gives memory
//! back, and `reporting` publishes metrics and log lines.

#![forbid(unsafe_code)]

mod ceiling;
mod channel;
mod commands;
mod hand_over;
mod handing_over;
mod memory;
mod operator_commands;
mod packed;
mod reporting;
mod serve;
mod start;
mod taking_over;
mod turn;

pub use commands::{CoreCommand, CoreCommands, Renewal};
pub use hand_over::{HandOver, IdleReport};
pub use packed::HAND_OVER_FORMAT;
pub use start::{CoreError, CorePlan, run};
pub use taking_over::TakeOver;

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
use handing_over::Sent;
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
    /// The queue of commands from the main thread.
    commands: CoreCommands,
    ceiling: Ceiling,
    /// The clients that were sent to a new process.
    sent: Sent,
    /// Memory to give back.
    memory: RefCell<Memory>,
    /// The counters at the time of the last log line.
    report_state: ReportState,
    /// The number of queue timeouts at the time of the last log line.
    reported_queue_timeouts: Growth,
}

impl Drop for Core {
    fn drop(&mut self) {
        self.clients.forget_all();
    }
}
