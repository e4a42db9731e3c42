//! Commands of operators that come by way of a backplane, such as the command socket of ZeroMQ. The core that gets a
//! command carries it out together with the cores that it concerns.

use super::Core;
use crate::backplane::{Caller, CommandOutcome, OperatorCommand};
use crate::ids::{ConnectionId, NameSet};
use crate::publish::Admitted;
use crate::queries::{QueryAnswer, Question, Refreshed};
use crate::runtime;
use std::rc::Rc;
use std::sync::Arc;

impl Core {
    /// Starts the commands that have come. Returns whether there were any.
    pub(super) fn follow_commands(self: &Rc<Self>) -> bool {
        let commands = self.publishing.take_commands();
        let any = !commands.is_empty();
        commands.into_iter().for_each(|(command, caller)| self.follow(command, caller));
        any
    }

    /// Carries out a command in a task, and answers its caller with the outcome.
    fn follow(self: &Rc<Self>, command: OperatorCommand, caller: Caller) {
        let core = self.clone();
        runtime::spawn(async move { caller.answer(core.outcome_of(command).await) }).detach();
    }

    async fn outcome_of(self: &Rc<Self>, command: OperatorCommand) -> CommandOutcome {
        match command {
            OperatorCommand::Publish(publications) => self
                .publishing
                .publish(Admitted::all(publications))
                .await
                .map_or(CommandOutcome::Busy, |()| CommandOutcome::Done),
            OperatorCommand::Recover => {
                self.publishing.recover().await.map_or(CommandOutcome::Busy, |()| CommandOutcome::Done)
            }
            OperatorCommand::ConnCheck(names) => self.present_among(names).await,
            OperatorCommand::Refresh(name) => {
                let Some(id) = self.clients.known_id(&name) else { return CommandOutcome::NotFound };
                match self.queries.ask(id.core(), Question::Refresh(id)).await {
                    Some(QueryAnswer::Refreshed(Refreshed::Asked)) => CommandOutcome::Done,
                    Some(_) => CommandOutcome::NotFound,
                    None => CommandOutcome::Busy,
                }
            }
        }
    }

    /// Which of the connections with these names exist.
    async fn present_among(self: &Rc<Self>, mut names: Vec<Box<str>>) -> CommandOutcome {
        let ids: Arc<[ConnectionId]> = names.iter().filter_map(|name| self.clients.known_id(name)).collect();
        let mut present = NameSet::default();
        for answer in self.queries.ask_all(&Question::Present(ids)).await {
            let Some(QueryAnswer::Present(ids)) = answer else { return CommandOutcome::Busy };
            present.extend(ids);
        }
        names.retain(|name| self.clients.known_id(name).is_some_and(|id| present.contains(&id)));
        CommandOutcome::Connections(names)
    }
}
