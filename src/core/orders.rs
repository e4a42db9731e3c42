//! What operators ask of the server by the command socket of ZeroMQ, done by whichever cores it is about.

use super::Core;
use crate::bridge::{Order, Outcome};
use crate::ids::{ConnectionId, NameSet};
use crate::queries::{Answer, Question, Refreshed};
use crate::runtime;
use std::rc::Rc;
use std::sync::Arc;

impl Core {
    /// Takes the orders that have come; whether there were any.
    pub(super) fn take_orders(self: &Rc<Self>) -> bool {
        let orders = self.publishing.take_orders();
        let any = !orders.is_empty();
        orders.into_iter().for_each(|(ticket, order)| self.follow(ticket, order));
        any
    }

    /// Has an order followed, by whichever cores it is about.
    fn follow(self: &Rc<Self>, ticket: u64, order: Order) {
        let core = self.clone();
        runtime::spawn(async move {
            let outcome = core.outcome_of(order).await;
            core.publishing.tell_outcome(ticket, outcome);
        })
        .detach();
    }

    async fn outcome_of(self: &Rc<Self>, order: Order) -> Outcome {
        match order {
            Order::Publish(publications) => {
                self.publishing.publish(publications).await.map_or(Outcome::Busy, |()| Outcome::Done)
            }
            Order::Recover => self.publishing.recover().await.map_or(Outcome::Busy, |()| Outcome::Done),
            Order::ConnCheck(names) => self.present_among(names).await,
            Order::Refresh(name) => {
                let Some(id) = self.clients.known_id(&name) else { return Outcome::NotFound };
                match self.queries.ask(id.core(), Question::Refresh(id)).await {
                    Some(Answer::Refreshed(Refreshed::Asked)) => Outcome::Done,
                    Some(_) => Outcome::NotFound,
                    None => Outcome::Busy,
                }
            }
        }
    }

    /// Which of the connections with these names are there.
    async fn present_among(self: &Rc<Self>, mut names: Vec<Box<str>>) -> Outcome {
        let ids: Arc<[ConnectionId]> = names.iter().filter_map(|name| self.clients.known_id(name)).collect();
        let mut present = NameSet::default();
        for answer in self.queries.ask_all(&Question::Present(ids)).await {
            let Some(Answer::Present(ids)) = answer else { return Outcome::Busy };
            present.extend(ids);
        }
        names.retain(|name| self.clients.known_id(name).is_some_and(|id| present.contains(&id)));
        Outcome::Connections(names)
    }
}
