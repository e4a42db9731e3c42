//! Core queries: questions that operators ask of all cores, and the cores' answers. They travel in a mesh of their
//! own, and so do the reports of receipts. A core answers at once, from its tables, and never waits for another core.
//! So an answer takes no longer than the turns of the other cores, and there are never more queries under way than
//! connections to the control port.

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

/// Messages that a ring between two cores holds. More messages wait in a lane in front of the ring.
const RING: usize = 16;
/// How long an answer may take; only a core that is stuck takes so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The plan of the mesh for core queries.
#[derive(Clone)]
pub struct QueryPlan(LanesPlan<Message>);

impl QueryPlan {
    /// The plan for a server with this many `cores`.
    pub fn new(cores: usize) -> QueryPlan {
        QueryPlan(LanesPlan::new(cores, RING))
    }
}

/// A message from one core to another.
enum Message {
    /// A question for the receiving core.
    Ask { ticket: u64, question: Question },
    /// The answer to the question that the receiving core asked with this ticket.
    QueryAnswer { ticket: u64, answer: QueryAnswer },
    /// The sender has written an item, which was published on the receiving core, to the last of its subscribers.
    Reached { receipt: Receipt, reach: Reach },
}

/// A question for one core.
#[derive(Clone)]
pub enum Question {
    /// Which channels have subscribers on the core.
    Channels { from: u32, prefix: Arc<str>, limit: usize },
    /// How many subscribers each of these channels has on the core.
    Audiences(Arc<[Arc<str>]>),
    /// The number of subscribers and the last id of a channel.
    Channel(Arc<str>),
    /// The subscribers of a channel.
    Members { channel: Arc<str>, before: u32, limit: usize },
    /// Which of these connections are clients of the core whose request is being answered or held.
    Present(Arc<[ConnectionId]>),
    /// The state of a client.
    Client(ConnectionId),
    /// Close the connection of a client.
    Close(ConnectionId),
    /// Have a client refetch from its application.
    Refresh(ConnectionId),
}

/// The answer to a [`Question`], in the variant of that question's name.
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

/// The state of a client.
#[derive(Debug)]
pub struct ClientState {
    /// The client's id, made of its core, slot and generation.
    pub id: ConnectionId,
    /// The Connection-Id that its application knows, if there is one.
    pub connection_id: Option<Uuid>,
    /// The client's address, if it has one.
    pub peer: Option<SocketAddr>,
    /// The transport of its hold, if the client is held.
    pub transport: Option<Transport>,
    /// The channels that the client is subscribed to.
    pub channels: Vec<Arc<str>>,
    /// The client has a backlog: it has not taken everything that was sent to it.
    pub is_behind: bool,
}

/// The outcome of a refresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refreshed {
    /// The client's application is asked.
    Asked,
    /// The client has no request that could be made again.
    Nothing,
    /// There is no such client.
    NoClient,
}

/// Answers questions from the tables of a core.
pub trait LookUp {
    /// The answer to `question`, at once.
    fn look_up(&self, question: Question) -> QueryAnswer;

    /// An item of this core has been written to the last of its subscribers on another core. `reach` counts that
    /// core's subscribers.
    fn reached(&self, receipt: Receipt, reach: Reach);
}

/// A core's ends of the mesh for core queries.
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

/// A question that waits for its answer. Dropping this value forgets the question.
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
    /// Joins the mesh. Returns also the incoming messages, which [`Queries::start`] takes. `None` if joining fails.
    pub async fn join(context: Rc<Context>, plan: QueryPlan) -> Option<(Rc<Queries>, Questions)> {
        let (lanes, ends) = plan.0.join().await?;
        let (waiting, tickets, tables) = (RefCell::default(), Cell::default(), OnceCell::new());
        Some((Rc::new(Queries { context, lanes, waiting, tickets, tables }), Questions(ends)))
    }

    /// Answers the questions of other cores from `tables`, from now on, in one task for each ring that ends at this
    /// core.
    ///
    /// # Panics
    /// If it was called before.
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

    /// Asks all cores at once. The answers in the order of the cores; `None` for a core that does not answer.
    pub async fn ask_all(self: &Rc<Self>, question: &Question) -> Vec<Option<QueryAnswer>> {
        let cores = (0..self.context.cores).map(|core| CoreId(core as u16));
        let asked: Vec<Awaited> = cores.map(|core| self.put(core, question.clone())).collect();
        let mut answers = Vec::new();
        for question in asked {
            answers.push(question.answer().await);
        }
        answers
    }

    /// Tells the core of an item's publisher how many subscribers the item reached on this core.
    pub fn report(&self, receipt: Receipt, reach: Reach) {
        match receipt.core == self.context.id {
            true => self.reached(receipt, reach),
            false => self.lanes.send(receipt.core, Message::Reached { receipt, reach }),
        }
    }

    /// The messages that wait in front of the rings to other cores.
    pub fn loads(&self) -> impl Iterator<Item = LaneLoad> {
        self.lanes.loads()
    }

    /// Shows its tables to `look`, which shrinks tables that have been nearly empty for a while.
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

/// The ends of the rings from other cores.
pub struct Questions(RingEnds<Message>);
