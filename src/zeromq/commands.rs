//! What REQ sockets ask, from the call to the answer. The cores do it: one of them if it concerns all, and each if it is
//! about connections, which may be anywhere.

use super::parts::Parts;
use crate::bridge::{Inlet, Order, Outcome};
use crate::proto::grip::command::{self, Answer, Call, Command, Refusal};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use zmq::{DONTWAIT, Message, SNDMORE, Socket};

/// Calls that are being followed; beyond them none is read.
const CALLS: usize = 64;

/// The command socket's calls.
pub struct Commands {
    socket: Socket,
    inlets: Vec<Arc<Inlet>>,
    uris: Vec<(&'static str, String)>,
    pending: FxHashMap<u64, Pending>,
    tickets: u64,
}

/// A call that cores are following.
struct Pending {
    envelope: Vec<Message>,
    id: Option<Box<[u8]>>,
    asked: Asked,
    /// Cores that have not answered.
    missing: usize,
}

/// What their answers come to.
enum Asked {
    /// To nothing but that it is done.
    Done(Result<Answer, Refusal>),
    /// Which of these are there.
    Connections(Arc<[Box<str>]>, BTreeSet<usize>),
    /// Whether one was found.
    Any(bool),
}

impl Commands {
    /// Calls of `socket`.
    pub fn new(socket: Socket, inlets: Vec<Arc<Inlet>>, uris: Vec<(&'static str, String)>) -> Commands {
        Commands { socket, inlets, uris, pending: FxHashMap::default(), tickets: 0 }
    }

    /// The socket, if another call may be read.
    pub fn readable(&self) -> Option<&Socket> {
        (self.pending.len() < CALLS).then_some(&self.socket)
    }

    /// Reads a call, if one has come, and has it followed; whether there was one.
    pub fn receive(&mut self) -> bool {
        let Some(parts) = self.readable().and_then(Parts::receive) else { return false };
        let Some((envelope, call)) = parts.enveloped() else {
            tracing::debug!("a message on the command socket is no call");
            return true;
        };
        let Call { id, command } = command::parse(&call);
        match command {
            Ok(command) => self.follow(envelope, id, command),
            Err(refusal) => self.answer(&envelope, id.as_deref(), &Err(refusal)),
        }
        true
    }

    /// What became of an order on one core.
    pub fn outcome(&mut self, ticket: u64, outcome: Outcome) {
        let Some(pending) = self.pending.get_mut(&ticket) else { return };
        pending.missing -= 1;
        match (&mut pending.asked, outcome) {
            (Asked::Connections(_, found), Outcome::Here(places)) => found.extend(places),
            (Asked::Any(found), outcome) => *found |= outcome == Outcome::Done,
            (Asked::Done(answer), Outcome::Busy) => *answer = Err(busy()),
            _ => {}
        }
        if pending.missing == 0
            && let Some(Pending { envelope, id, asked, .. }) = self.pending.remove(&ticket)
        {
            self.answer(&envelope, id.as_deref(), &asked.answer());
        }
    }

    fn follow(&mut self, envelope: Vec<Message>, id: Option<Box<[u8]>>, command: Command) {
        self.tickets += 1;
        let done = || Asked::Done(Ok(Answer::Done));
        let (asked, missing) = match command {
            Command::ZmqUris => {
                let uris = self.uris.clone();
                return self.answer(&envelope, id.as_deref(), &Ok(Answer::Uris(uris)));
            }
            Command::Recover => (done(), self.order_one(Order::Recover)),
            Command::Publish(items) => (done(), self.order_one(Order::Publish(items))),
            Command::ConnCheck(ids) => {
                let ids: Arc<[Box<str>]> = ids.into();
                let missing = self.order_all(|| Order::ConnCheck(ids.clone()));
                (Asked::Connections(ids, BTreeSet::new()), missing)
            }
            Command::RefreshConnection(id) => {
                let id: Arc<str> = id.into();
                (Asked::Any(false), self.order_all(|| Order::RefreshConnection(id.clone())))
            }
            Command::RefreshChannel(channel) => {
                let channel: Arc<str> = channel.into();
                (done(), self.order_all(|| Order::RefreshChannel(channel.clone())))
            }
        };
        self.pending.insert(self.tickets, Pending { envelope, id, asked, missing });
    }

    /// Gives an order to one core; how many cores will answer.
    fn order_one(&self, order: Order) -> usize {
        self.inlets.first().map_or(0, |inlet| {
            inlet.order(self.tickets, order);
            1
        })
    }

    fn order_all(&self, order: impl Fn() -> Order) -> usize {
        self.inlets.iter().for_each(|inlet| inlet.order(self.tickets, order()));
        self.inlets.len()
    }

    /// Answers. Whoever has left misses it.
    fn answer(&self, envelope: &[Message], id: Option<&[u8]>, answer: &Result<Answer, Refusal>) {
        let parts = envelope.iter().map(|part| self.socket.send(&part[..], DONTWAIT | SNDMORE));
        let sent = parts.collect::<Result<(), _>>();
        if sent.and_then(|()| self.socket.send(command::answer(id, answer), DONTWAIT)).is_err() {
            tracing::debug!("whoever sent a command does not take its answer");
        }
    }
}

impl Asked {
    fn answer(self) -> Result<Answer, Refusal> {
        match self {
            Asked::Done(answer) => answer,
            Asked::Connections(ids, found) => {
                let found = found.into_iter().filter_map(|place| ids.get(place).cloned());
                Ok(Answer::Connections(found.collect()))
            }
            Asked::Any(true) => Ok(Answer::Done),
            Asked::Any(false) => Err(Refusal::of("item-not-found")),
        }
    }
}

fn busy() -> Refusal {
    let reason = "the server is busy delivering what was published before; try again";
    Refusal { condition: "busy", reason: Some(reason.to_owned()) }
}
