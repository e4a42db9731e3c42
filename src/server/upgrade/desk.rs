//! The main thread's part of an upgrade: it starts the thread that carries the upgrade out, refuses a second one
//! meanwhile, and tells those who asked how it ended.

use super::child_pid::ChildPid;
use super::error::UpgradeError;
use super::old::{Belongings, replace};
use super::token::Token;
use crate::control::{NewProcess, UpgradeOutcome};
use std::sync::Arc;

/// Called with the outcome of an upgrade.
pub(in crate::server) type UpgradeReply = Box<dyn FnOnce(UpgradeOutcome) + Send>;

/// The upgrades of this process.
pub(in crate::server) struct UpgradeDesk {
    /// `None` once the server is about to end, so that nothing keeps its ports open.
    belongings: Option<Arc<Belongings>>,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    token: Arc<Token>,
    /// The new process.
    child: Arc<ChildPid>,
    /// Who asked for it; nobody if it was a signal.
    reply: Option<UpgradeReply>,
    is_cancelled: bool,
}

impl UpgradeDesk {
    /// A desk of a process with these belongings.
    pub fn new(belongings: Belongings) -> UpgradeDesk {
        UpgradeDesk { belongings: Some(Arc::new(belongings)), under_way: None }
    }

    /// Begins an upgrade. `ended` is called on another thread with the outcome, which belongs to
    /// [`ended`](UpgradeDesk::ended).
    pub fn begin(
        &mut self,
        reply: Option<UpgradeReply>,
        ended: impl FnOnce(Result<NewProcess, UpgradeError>) + Send + 'static,
    ) {
        match self.try_begin(ended) {
            Ok((token, child)) => {
                self.under_way = Some(UnderWay { token, child, reply, is_cancelled: false });
            }
            Err(error) => answer(reply, Err(error)),
        }
    }

    fn try_begin(
        &self,
        ended: impl FnOnce(Result<NewProcess, UpgradeError>) + Send + 'static,
    ) -> Result<(Arc<Token>, Arc<ChildPid>), UpgradeError> {
        if self.under_way.is_some() {
            return Err(UpgradeError::UnderWay);
        }
        if std::process::id() == 1 {
            return Err(UpgradeError::FirstProcess);
        }
        let belongings = self.belongings.clone().ok_or(UpgradeError::Ending)?;
        let token = Arc::new(Token::new().map_err(UpgradeError::Descriptors)?);
        let child = Arc::<ChildPid>::default();
        let of_thread = (token.clone(), child.clone());
        let thread = std::thread::Builder::new().name("upgrade".to_owned());
        tracing::info!("an upgrade begins: a new process is started");
        let run = move || {
            let outcome = replace(&belongings, &of_thread.0, &of_thread.1);
            drop(belongings);
            ended(outcome);
        };
        thread.spawn(run).map_err(UpgradeError::Descriptors)?;
        Ok((token, child))
    }

    /// An upgrade has ended. Tells who asked for it, and the log. Returns the new process if it serves.
    pub fn ended(&mut self, outcome: Result<NewProcess, UpgradeError>) -> Option<NewProcess> {
        let under_way = self.under_way.take();
        let outcome = match under_way.as_ref().is_some_and(|under_way| under_way.is_cancelled) {
            true => outcome.map_err(|_| UpgradeError::Cancelled),
            false => outcome,
        };
        let replaced = outcome.as_ref().ok().copied();
        answer(under_way.and_then(|under_way| under_way.reply), outcome);
        replaced
    }

    /// Whether an upgrade is under way.
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Gives up the upgrade that is under way, because the server is about to end. Returns whether one is under way:
    /// [`ended`](UpgradeDesk::ended) follows. If the new process serves already, the upgrade goes on.
    pub fn cancel(&mut self) -> bool {
        let Some(under_way) = &mut self.under_way else { return false };
        if under_way.token.take() {
            under_way.is_cancelled = true;
            // The thread of the upgrade hears of its end at once, instead of waiting for the next step.
            under_way.child.kill();
        }
        true
    }

    /// No upgrade can begin any more, and nothing here keeps the ports open.
    pub fn close(&mut self) {
        self.belongings = None;
    }
}

fn answer(reply: Option<UpgradeReply>, outcome: Result<NewProcess, UpgradeError>) {
    match &outcome {
        Ok(NewProcess { pid, has_clients }) => tracing::info!(pid, has_clients, "a new process serves"),
        Err(error) => tracing::error!("no upgrade took place, and the old process goes on: {error}"),
    }
    if let Some(reply) = reply {
        reply(outcome.map_err(|error| error.to_string()));
    }
}
