//! Calls of REQ sockets on the command socket, from the call to the answer. One core executes them, and queries the other
//! cores if necessary.

use super::parts::Parts;
use crate::backplane::{CommandOutcome, Inlet, OperatorCommand};
use crate::proto::grip::command::{self, Answer, Call, Command, Refusal};
use crate::proto::grip::{Publication, SocketFormat};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use zmq::{DONTWAIT, Message, SNDMORE, Socket};

/// Most calls in progress. No further call is read meanwhile.
const CALLS: usize = 64;

/// The command socket's calls.
pub struct Commands {
    socket: Socket,
    /// The inlet of the core that executes commands.
    inlet: Arc<Inlet>,
    uris: Vec<(&'static str, String)>,
    pending: FxHashMap<u64, Pending>,
    tickets: u64,
}

/// A call in progress.
struct Pending {
    envelope: Vec<Message>,
    id: Option<Box<[u8]>>,
}

impl Commands {
    /// Reads calls from `socket`. The core behind `inlet` executes them.
    pub fn new(socket: Socket, inlet: Arc<Inlet>, uris: Vec<(&'static str, String)>) -> Commands {
        Commands { socket, inlet, uris, pending: FxHashMap::default(), tickets: 0 }
    }

    /// Reads calls from `socket` from now on. Calls in progress are not answered.
    pub fn replace(&mut self, socket: Socket) {
        self.socket = socket;
        self.pending.clear();
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The socket, if another call may be read.
    pub fn readable(&self) -> Option<&Socket> {
        (self.pending.len() < CALLS).then_some(&self.socket)
    }

    /// Reads one waiting call and starts it. Returns whether there was one.
    pub fn receive(&mut self) -> bool {
        let Some(parts) = self.readable().and_then(Parts::receive) else { return false };
        let Some((envelope, call)) = parts.enveloped() else {
            tracing::debug!("ignored a message on the command socket that is not a call");
            return true;
        };
        let Call { id, command } = command::parse(&call);
        match command {
            Ok(command) => self.follow(envelope, id, command),
            Err(refusal) => self.answer(&envelope, id.as_deref(), &Err(refusal)),
        }
        true
    }

    /// Answers the call with this ticket by its outcome.
    pub fn outcome(&mut self, ticket: u64, outcome: CommandOutcome) {
        let Some(Pending { envelope, id }) = self.pending.remove(&ticket) else { return };
        let answer = match outcome {
            CommandOutcome::Done => Ok(Answer::Done),
            CommandOutcome::Connections(ids) => Ok(Answer::Connections(ids)),
            CommandOutcome::NotFound => Err(Refusal::of("item-not-found")),
            CommandOutcome::Busy => Err(busy()),
        };
        self.answer(&envelope, id.as_deref(), &answer);
    }

    fn follow(&mut self, envelope: Vec<Message>, id: Option<Box<[u8]>>, command: Command) {
        let asked = match command {
            Command::ZmqUris => {
                let uris = self.uris.clone();
                return self.answer(&envelope, id.as_deref(), &Ok(Answer::Uris(uris)));
            }
            Command::Recover => OperatorCommand::Recover,
            Command::Publish(items) => OperatorCommand::Publish(items),
            Command::ConnCheck(ids) => OperatorCommand::ConnCheck(ids),
            Command::RefreshConnection(id) => OperatorCommand::Refresh(id),
            Command::RefreshChannel(channel) => OperatorCommand::Publish(vec![refresh_of(&channel)]),
        };
        self.tickets += 1;
        self.pending.insert(self.tickets, Pending { envelope, id });
        self.inlet.ask(self.tickets, asked);
    }

    /// Sends an answer. It is lost if the caller has disconnected.
    fn answer(&self, envelope: &[Message], id: Option<&[u8]>, answer: &Result<Answer, Refusal>) {
        let parts = envelope.iter().map(|part| self.socket.send(&part[..], DONTWAIT | SNDMORE));
        let sent = parts.collect::<Result<(), _>>();
        if sent.and_then(|()| self.socket.send(command::answer(id, answer), DONTWAIT)).is_err() {
            tracing::debug!("the answer to a command cannot be sent: its sender has disconnected");
        }
    }
}

/// An item, outside the channel's sequence, that causes a refresh of all WebSockets on `channel`.
fn refresh_of(channel: &str) -> Publication {
    let mut item = Publication::new(channel);
    (item.no_seq, item.socket) = (true, Some(SocketFormat::Refresh));
    item
}

fn busy() -> Refusal {
    let reason = "the server is busy delivering earlier items; try again";
    Refusal { condition: "busy", reason: Some(reason.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zmq::{Context, SocketType};

    /// Commands, and a client that calls them.
    struct World {
        commands: Commands,
        inlet: Arc<Inlet>,
        client: Socket,
        _context: Context,
    }

    fn world() -> World {
        let context = Context::new();
        let socket = context.socket(SocketType::ROUTER).expect("a socket");
        socket.bind("inproc://commands").expect("an address");
        // A DEALER may send again before it was answered, unlike a REQ.
        let client = context.socket(SocketType::DEALER).expect("a socket");
        client.connect("inproc://commands").expect("a connection");
        let inlet = Arc::<Inlet>::default();
        let uris = vec![("command", "tcp://127.0.0.1:5563".to_owned())];
        World { commands: Commands::new(socket, inlet.clone(), uris), inlet, client, _context: context }
    }

    impl World {
        /// Calls `method` with `id`, as a tagged netstring.
        fn ask(&self, method: &str, id: &str) {
            let fields = [("id", id), ("method", method)];
            let text = |text: &str| format!("{}:{text},", text.len());
            let map: String = fields.iter().map(|(name, value)| text(name) + &text(value)).collect();
            self.client.send("", SNDMORE).expect("room");
            self.client.send(format!("{}:{map}}}", map.len()).as_bytes(), 0).expect("room");
        }

        /// The next answer that has arrived.
        fn answer(&self) -> Option<String> {
            let parts = Parts::receive(&self.client)?;
            let [delimiter, answer] = parts.exactly().expect("an envelope and an answer");
            assert!(delimiter.is_empty());
            Some(String::from_utf8_lossy(answer).into_owned())
        }
    }

    #[test]
    fn a_call_that_a_core_follows_is_answered_when_its_outcome_is_known() {
        let mut world = world();
        assert!(!world.commands.receive(), "nothing was asked");
        world.ask("recover", "first");
        world.ask("recover", "second");
        while world.commands.receive() {}
        assert_eq!(world.answer(), None);
        let tickets: Vec<u64> = world.inlet.take_commands().into_iter().map(|(ticket, _)| ticket).collect();
        let [first, second] = tickets[..] else { panic!("two commands and not {tickets:?}") };
        world.commands.outcome(second, CommandOutcome::Busy);
        let answer = world.answer().expect("an answer");
        assert!(answer.contains("second") && answer.contains("busy"), "{answer}");
        world.commands.outcome(first, CommandOutcome::Done);
        let answer = world.answer().expect("an answer");
        assert!(answer.contains("first") && answer.contains("7:success,4:true!"), "{answer}");
        // The call was answered already.
        world.commands.outcome(first, CommandOutcome::Done);
        assert_eq!(world.answer(), None);
    }

    #[test]
    fn what_needs_no_core_is_answered_at_once() {
        let mut world = world();
        world.ask("get-zmq-uris", "1");
        world.ask("dance", "2");
        while world.commands.receive() {}
        assert!(world.answer().expect("an answer").contains("tcp://127.0.0.1:5563"));
        assert!(world.answer().expect("an answer").contains("method-not-found"));
        assert!(world.inlet.take_commands().is_empty());
    }

    #[test]
    fn only_so_many_calls_are_followed_at_a_time() {
        let mut world = world();
        for call in 0..=CALLS {
            world.ask("recover", &call.to_string());
        }
        while world.commands.receive() {}
        let commands = world.inlet.take_commands();
        assert_eq!(commands.len(), CALLS);
        assert!(world.commands.readable().is_none());
        world.commands.outcome(commands[0].0, CommandOutcome::Done);
        assert!(world.commands.receive(), "the last call is read when another one is over");
        assert_eq!(world.inlet.take_commands().len(), 1);
    }
}
