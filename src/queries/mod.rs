//! What operators ask of all cores: questions and their answers, in a mesh of their own, and the reports of receipts. A
//! core answers at once, from its tables, and never waits for another; so whoever asks waits for nothing but the other
//! cores' turns, and no more is under way than there are connections to the control port.

#![forbid(unsafe_code)]

use crate::bell::Bell;
use crate::channel::{Audience, LastId, Page, Reach, Transport};
use crate::context::Context;
use crate::ids::{ConnectionId, CoreId};
use crate::mesh::{LaneLoad, Lanes, LanesPlan, RingEnds};
use crate::patience::within;
use crate::proto::grip::Receipt;
use crate::runtime;
use crate::slack::Look;
use rustc_hash::FxHashMap;
use std::cell::{Cell, OnceCell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Messages a ring between two cores holds. More wait in front of it.
const RING: usize = 16;
/// How long an answer may take; only a core that is stuck takes so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The mesh that questions travel by.
#[derive(Clone)]
pub struct QueryPlan(LanesPlan<Message>);

impl QueryPlan {
    /// For so many cores.
    pub fn new(cores: usize) -> QueryPlan {
        QueryPlan(LanesPlan::new(cores, RING))
    }
}

/// From one core to another.
enum Message {
    /// QueryAnswer this.
    Ask { ticket: u64, question: Question },
    /// The answer to what this core asked with this ticket.
    QueryAnswer { ticket: u64, answer: QueryAnswer },
    /// An item of this core has been written to the last of the sender's subscribers.
    Reached { receipt: Receipt, reach: Reach },
}

/// What a core is asked.
#[derive(Clone)]
pub enum Question {
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
pub enum QueryAnswer {
    Channels(Page<Arc<str>>),
    Audiences(Vec<Audience>),
    Channel(Audience, LastId),
    Members(Page<(ConnectionId, Transport)>),
    Present(Vec<ConnectionId>),
    Client(Option<Box<ClientState>>),
    Closed(bool),
    Refreshed(Refreshed),
}

/// What a client is doing.
#[derive(Debug)]
pub struct ClientState {
    /// Its id, by its place.
    pub id: ConnectionId,
    /// The id that its application knows it by, if it does.
    pub connection_id: Option<Uuid>,
    /// Its address, if it has one.
    pub peer: Option<SocketAddr>,
    /// How it is written to, if it is held.
    pub transport: Option<Transport>,
    /// The channels that it is subscribed to.
    pub channels: Vec<Arc<str>>,
    /// It has not taken what was sent to it.
    pub is_behind: bool,
}

/// Whether an application is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refreshed {
    /// It is.
    Asked,
    /// The client has nothing that could be asked for.
    Nothing,
    /// There is no such client.
    NoClient,
}

/// Answers questions from the tables of a core.
pub trait LookUp {
    /// The answer to `question`, at once.
    fn look_up(&self, question: Question) -> QueryAnswer;

    /// An item of this core has reached so many of the subscribers of another one, which were the last there.
    fn reached(&self, receipt: Receipt, reach: Reach);
}

/// A core's place in the mesh of questions.
pub struct Queries {
    context: Rc<Context>,
    lanes: Lanes<Message>,
    waiting: RefCell<FxHashMap<u64, Rc<Reply>>>,
    tickets: Cell<u64>,
    tables: OnceCell<Weak<dyn LookUp>>,
}

#[derive(Default)]
struct Reply {
    answer: Cell<Option<QueryAnswer>>,
    bell: Bell,
}

/// A question on its way; forgotten when this is dropped.
struct Awaited {
    queries: Rc<Queries>,
    ticket: u64,
    reply: Rc<Reply>,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.queries.waiting.borrow_mut().remove(&self.ticket);
    }
}

impl Awaited {
    async fn answer(self) -> Option<QueryAnswer> {
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

impl Queries {
    /// Joins the mesh; with what comes in, which [`Queries::start`] takes. `None` if that fails.
    pub async fn join(context: Rc<Context>, plan: QueryPlan) -> Option<(Rc<Queries>, Questions)> {
        let (lanes, ends) = plan.0.join().await?;
        let (waiting, tickets, tables) = (RefCell::default(), Cell::default(), OnceCell::new());
        Some((Rc::new(Queries { context, lanes, waiting, tickets, tables }), Questions(ends)))
    }

    /// Answers the questions of other cores by `tables` from now on: one task for each ring that ends here.
    ///
    /// # Panics
    /// When it was called before.
    pub fn start(self: &Rc<Self>, Questions(ends): Questions, tables: Weak<dyn LookUp>) {
        assert!(self.tables.set(tables).is_ok(), "tables are given once");
        for peer in ends.peers() {
            let (queries, ends) = (self.clone(), ends.clone());
            runtime::spawn(async move {
                while let Some(message) = ends.receive(peer).await {
                    queries.take(peer, message);
                }
            })
            .detach();
        }
    }

    /// Asks one core; `None` if it does not answer.
    pub async fn ask(self: &Rc<Self>, core: CoreId, question: Question) -> Option<QueryAnswer> {
        self.put(core, question).answer().await
    }

    /// Asks all cores at once; what those say that answer, in order.
    pub async fn ask_all(self: &Rc<Self>, question: &Question) -> Vec<Option<QueryAnswer>> {
        let cores = (0..self.context.cores).map(|core| CoreId(core as u16));
        let asked: Vec<Awaited> = cores.map(|core| self.put(core, question.clone())).collect();
        let mut answers = Vec::new();
        for question in asked {
            answers.push(question.answer().await);
        }
        answers
    }

    /// Tells the core of an item's publisher whom it reached here.
    pub fn report(&self, receipt: Receipt, reach: Reach) {
        match receipt.core == self.context.id {
            true => self.reached(receipt, reach),
            false => self.lanes.send(receipt.core, Message::Reached { receipt, reach }),
        }
    }

    /// What waits in front of the rings to other cores.
    pub fn loads(&self) -> impl Iterator<Item = LaneLoad> {
        self.lanes.loads()
    }

    /// Has a look at its tables.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        look.at(&mut *self.waiting.borrow_mut());
        self.lanes.look_at_tables(look);
    }

    fn put(self: &Rc<Self>, core: CoreId, question: Question) -> Awaited {
        let reply = Rc::<Reply>::default();
        let ticket = self.tickets.get() + 1;
        self.tickets.set(ticket);
        self.waiting.borrow_mut().insert(ticket, reply.clone());
        match core == self.context.id {
            true => reply.answer.set(self.look_up(question)),
            false => self.lanes.send(core, Message::Ask { ticket, question }),
        }
        Awaited { queries: self.clone(), ticket, reply }
    }

    fn take(&self, from: CoreId, message: Message) {
        match message {
            Message::Ask { ticket, question } => {
                if let Some(answer) = self.look_up(question) {
                    self.lanes.send(from, Message::QueryAnswer { ticket, answer });
                }
            }
            Message::QueryAnswer { ticket, answer } => {
                if let Some(reply) = self.waiting.borrow().get(&ticket) {
                    reply.answer.set(Some(answer));
                    reply.bell.ring();
                }
            }
            Message::Reached { receipt, reach } => self.reached(receipt, reach),
        }
    }

    fn look_up(&self, question: Question) -> Option<QueryAnswer> {
        Some(self.tables.get()?.upgrade()?.look_up(question))
    }

    fn reached(&self, receipt: Receipt, reach: Reach) {
        if let Some(tables) = self.tables.get().and_then(Weak::upgrade) {
            tables.reached(receipt, reach);
        }
    }
}

/// What comes in from other cores.
pub struct Questions(RingEnds<Message>);
