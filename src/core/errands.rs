//! What operators ask of all cores: questions and their answers, in a mesh of their own, and the reports of receipts. A
//! core answers at once, from its tables, and never waits for another; so whoever asks waits for nothing but the other
//! cores' turns, and no more is under way than there are connections to the control port.

use super::Core;
use super::client::{ClientState, Refreshed};
use crate::bell::Bell;
use crate::channel::{Audience, LastId, Page, Reach, Receipt, Transport, home_of};
use crate::ids::{ConnectionId, CoreId};
use crate::mesh::{LanesPlan, RingEnds};
use crate::patience::within;
use crate::runtime;
use crate::slack::Look;
use rustc_hash::FxHashMap;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Errands a ring between two cores holds. More wait in front of it.
const RING: usize = 16;
/// How long an answer may take; only a core that is stuck takes so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The mesh that errands travel by.
#[derive(Clone)]
pub struct ErrandPlan(pub(super) LanesPlan<Errand>);

impl ErrandPlan {
    /// For so many cores.
    pub fn new(cores: usize) -> ErrandPlan {
        ErrandPlan(LanesPlan::new(cores, RING))
    }
}

/// From one core to another.
pub(super) enum Errand {
    /// Answer this.
    Ask { ticket: u64, question: Question },
    /// The answer to what this core asked with this ticket.
    Answer { ticket: u64, answer: Answer },
    /// An item of this core has been written to the last of the sender's subscribers.
    Reached { receipt: Receipt, reach: Reach },
}

/// What a core is asked.
#[derive(Clone)]
pub(super) enum Question {
    /// Which channels it has subscribers of.
    Channels { from: u32, prefix: Arc<str>, limit: usize },
    /// How many subscribers it has of each of these.
    Audiences(Arc<[Arc<str>]>),
    /// What it knows of a channel.
    Channel(Arc<str>),
    /// Who is subscribed to a channel.
    Members { channel: Arc<str>, before: u32, limit: usize },
    /// Which of these are clients of its that are answered or held.
    Present(Arc<[ConnectionId]>),
    /// What a client is doing.
    Client(ConnectionId),
    /// Close the connection of a client.
    Close(ConnectionId),
    /// Have the application of a client asked for what it has.
    Refresh(ConnectionId),
}

/// What a core answers, as the question was.
pub(super) enum Answer {
    Channels(Page<Arc<str>>),
    Audiences(Vec<Audience>),
    Channel(Audience, LastId),
    Members(Page<(ConnectionId, Transport)>),
    Present(Vec<ConnectionId>),
    Client(Option<Box<ClientState>>),
    Closed(bool),
    Refreshed(Refreshed),
}

/// Questions that wait for their answers.
#[derive(Default)]
pub(super) struct Asked {
    waiting: FxHashMap<u64, Rc<Reply>>,
    tickets: u64,
}

#[derive(Default)]
struct Reply {
    answer: Cell<Option<Answer>>,
    bell: Bell,
}

impl Asked {
    /// Has a look at its tables.
    pub fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.waiting);
    }
}

/// A question on its way; forgotten when this is dropped.
struct Awaited {
    core: Rc<Core>,
    ticket: u64,
    reply: Rc<Reply>,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.core.asked.borrow_mut().waiting.remove(&self.ticket);
    }
}

impl Awaited {
    async fn answer(self) -> Option<Answer> {
        let answered = async {
            loop {
                if let Some(answer) = self.reply.answer.take() {
                    return Some(answer);
                }
                self.reply.bell.rung().await;
            }
        };
        within(PATIENCE, answered).await?
    }
}

impl Core {
    /// Asks one core; `None` if it does not answer.
    pub(super) async fn ask(self: &Rc<Self>, core: CoreId, question: Question) -> Option<Answer> {
        self.put(core, question).answer().await
    }

    /// Asks all cores at once; what those say that answer, in order.
    pub(super) async fn ask_all(self: &Rc<Self>, question: &Question) -> Vec<Option<Answer>> {
        let cores = (0..self.cores).map(|core| CoreId(core as u16));
        let asked: Vec<Awaited> = cores.map(|core| self.put(core, question.clone())).collect();
        let mut answers = Vec::new();
        for question in asked {
            answers.push(question.answer().await);
        }
        answers
    }

    fn put(self: &Rc<Self>, core: CoreId, question: Question) -> Awaited {
        let reply = Rc::<Reply>::default();
        let ticket = {
            let mut asked = self.asked.borrow_mut();
            asked.tickets += 1;
            let ticket = asked.tickets;
            asked.waiting.insert(ticket, reply.clone());
            ticket
        };
        match core == self.id {
            true => reply.answer.set(Some(self.look_up(question))),
            false => self.errands.send(core, Errand::Ask { ticket, question }),
        }
        Awaited { core: self.clone(), ticket, reply }
    }

    /// Tells the publisher of an item whom it reached here.
    pub(super) fn report(&self, receipt: Receipt, reach: Reach) {
        match receipt.core == self.id {
            true => self.receipts.borrow_mut().reached(receipt, reach),
            false => self.errands.send(receipt.core, Errand::Reached { receipt, reach }),
        }
    }

    /// One task for each ring that ends here.
    pub(super) fn start_errands(self: &Rc<Self>, ends: RingEnds<Errand>) {
        for peer in ends.peers() {
            let (core, ends) = (self.clone(), ends.clone());
            runtime::spawn(async move {
                while let Some(errand) = ends.receive(peer).await {
                    core.run_errand(peer, errand);
                }
            })
            .detach();
        }
    }

    fn run_errand(self: &Rc<Self>, from: CoreId, errand: Errand) {
        match errand {
            Errand::Ask { ticket, question } => {
                let answer = self.look_up(question);
                self.errands.send(from, Errand::Answer { ticket, answer });
            }
            Errand::Answer { ticket, answer } => {
                if let Some(reply) = self.asked.borrow().waiting.get(&ticket) {
                    reply.answer.set(Some(answer));
                    reply.bell.ring();
                }
            }
            Errand::Reached { receipt, reach } => self.receipts.borrow_mut().reached(receipt, reach),
        }
    }

    /// Answers from this core's tables.
    fn look_up(self: &Rc<Self>, question: Question) -> Answer {
        let subscriptions = &self.subscriptions;
        match question {
            Question::Channels { from, prefix, limit } => {
                Answer::Channels(subscriptions.borrow().list(from, &prefix, limit))
            }
            Question::Audiences(channels) => {
                let subscriptions = subscriptions.borrow();
                Answer::Audiences(channels.iter().map(|channel| subscriptions.audience(channel)).collect())
            }
            Question::Channel(channel) => {
                let is_home = home_of(&channel, self.cores) == self.id;
                let last_id = is_home.then(|| self.home.borrow().last_id(&channel)).flatten();
                Answer::Channel(subscriptions.borrow().audience(&channel), last_id)
            }
            Question::Members { channel, before, limit } => {
                let Page { items, next } = subscriptions.borrow().members(&channel, before, limit);
                let name = |(slot, transport)| (self.id_of_place(slot), transport);
                Answer::Members(Page { items: items.into_iter().map(name).collect(), next })
            }
            Question::Present(ids) => {
                Answer::Present(ids.iter().copied().filter(|id| self.is_present(*id)).collect())
            }
            Question::Client(name) => Answer::Client(self.state_of_client(name).map(Box::new)),
            Question::Close(name) => Answer::Closed(self.close_client(name)),
            Question::Refresh(name) => Answer::Refreshed(self.refresh_client(name)),
        }
    }
}
