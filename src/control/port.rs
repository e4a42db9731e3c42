//! The rooms of a core that the control port uses.

use super::wrong_secrets::WrongSecrets;
use crate::clients::Clients;
use crate::context::{Context, Readiness};
use crate::delivery::Delivery;
use crate::observe::Metrics;
use crate::publish::Publishing;
use crate::queries::Queries;
use std::rc::Rc;
use std::sync::Arc;

/// Asks the main thread to drain the server.
pub type AskToDrain = Box<dyn Fn() + Send>;

/// Has the main thread begin an upgrade. It calls the function with the outcome.
pub type AskToUpgrade = Box<dyn Fn(Box<dyn FnOnce(UpgradeOutcome) + Send>) + Send>;

/// The outcome of an upgrade: the new process, or the reason why the old one goes on.
pub type UpgradeOutcome = Result<NewProcess, String>;

/// The process that serves after an upgrade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewProcess {
    /// Its process id.
    pub pid: u32,
    /// Whether it has the clients of the old process, which drains them otherwise.
    pub has_clients: bool,
}

/// The control port of a core.
pub struct ControlPort {
    pub(super) context: Rc<Context>,
    pub(super) clients: Rc<Clients>,
    pub(super) delivery: Rc<Delivery>,
    pub(super) publishing: Rc<Publishing>,
    pub(super) queries: Rc<Queries>,
    /// The counters of all cores.
    pub(super) all_metrics: Arc<[Arc<Metrics>]>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) ask_to_drain: AskToDrain,
    pub(super) ask_to_upgrade: AskToUpgrade,
    pub(super) wrong_secrets: WrongSecrets,
}

impl ControlPort {
    /// The control port of the core of `publishing`.
    pub fn new(
        publishing: Rc<Publishing>,
        queries: Rc<Queries>,
        all_metrics: Arc<[Arc<Metrics>]>,
        readiness: Arc<Readiness>,
        ask_to_drain: AskToDrain,
        ask_to_upgrade: AskToUpgrade,
    ) -> Rc<ControlPort> {
        Rc::new(ControlPort {
            context: publishing.context().clone(),
            clients: publishing.clients().clone(),
            delivery: publishing.delivery().clone(),
            publishing,
            queries,
            all_metrics,
            readiness,
            ask_to_drain,
            ask_to_upgrade,
            wrong_secrets: WrongSecrets::default(),
        })
    }

    /// The counters of all cores.
    pub fn all_metrics(&self) -> &Arc<[Arc<Metrics>]> {
        &self.all_metrics
    }
}
