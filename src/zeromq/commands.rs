//! What REQ sockets ask, from the call to the answer. A core does it, and asks the others what it must.

use super::parts::Parts;
use crate::bridge::{Inlet, Order, Outcome};
use crate::channel::{Publication, SocketFormat};
use crate::proto::grip::command::{self, Answer, Call, Command, Refusal};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use zmq::{DONTWAIT, Message, SNDMORE, Socket};

/// Calls that are being followed; beyond them none is read.
const CALLS: usize = 64;

/// The command socket's calls.
pub struct Commands {
    socket: Socket,
    /// The way to the core that follows them.
    inlet: Arc<Inlet>,
    uris: Vec<(&'static str, String)>,
    pending: FxHashMap<u64, Pending>,
    tickets: u64,
}

/// A call that is being followed.
struct Pending {
    envelope: Vec<Message>,
    id: Option<Box<[u8]>>,
}

impl Commands {
    /// Calls of `socket`, followed by the core behind `inlet`.
    pub fn new(socket: Socket, inlet: Arc<Inlet>, uris: Vec<(&'static str, String)>) -> Commands {
        Commands { socket, inlet, uris, pending: FxHashMap::default(), tickets: 0 }
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

    /// What became of an order.
    pub fn outcome(&mut self, ticket: u64, outcome: Outcome) {
        let Some(Pending { envelope, id }) = self.pending.remove(&ticket) else { return };
        let answer = match outcome {
            Outcome::Done => Ok(Answer::Done),
            Outcome::Connections(ids) => Ok(Answer::Connections(ids)),
            Outcome::NotFound => Err(Refusal::of("item-not-found")),
            Outcome::Busy => Err(busy()),
        };
        self.answer(&envelope, id.as_deref(), &answer);
    }

    fn follow(&mut self, envelope: Vec<Message>, id: Option<Box<[u8]>>, command: Command) {
        let order = match command {
            Command::ZmqUris => {
                let uris = self.uris.clone();
                return self.answer(&envelope, id.as_deref(), &Ok(Answer::Uris(uris)));
            }
            Command::Recover => Order::Recover,
            Command::Publish(items) => Order::Publish(items),
            Command::ConnCheck(ids) => Order::ConnCheck(ids),
            Command::RefreshConnection(id) => Order::Refresh(id),
            Command::RefreshChannel(channel) => Order::Publish(vec![refresh_of(&channel)]),
        };
        self.tickets += 1;
        self.pending.insert(self.tickets, Pending { envelope, id });
        self.inlet.order(self.tickets, order);
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

/// The item that has the applications of all WebSockets on `channel` asked, outside the channel's sequence.
fn refresh_of(channel: &str) -> Publication {
    let mut item = Publication::new(channel);
    (item.no_seq, item.socket) = (true, Some(SocketFormat::Refresh));
    item
}

fn busy() -> Refusal {
    let reason = "the server is busy delivering what was published before; try again";
    Refusal { condition: "busy", reason: Some(reason.to_owned()) }
}
