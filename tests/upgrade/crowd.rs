//! All clients on one thread, which follows orders of the test.

use crate::client::{Client, Counts, Fate, Stage, World};
use crate::content::Numbers;
use crate::kind::Kind;
use gripwire_harness::deadline::patience;
use gripwire_loadgen::{Epoll, Event, Interest};
use socket2::{Domain, Socket, Type};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The clients. Dropped, they vanish.
pub struct Crowd {
    orders: Sender<(Order, Sender<Result<Counts, String>>)>,
    thread: Option<JoinHandle<()>>,
    /// How many items the slowest of the slow clients has not read yet.
    pub behind: Arc<AtomicU64>,
}

/// An order to the clients, which is answered when it is carried out, or when a client has failed.
#[derive(Clone, Debug)]
pub enum Order {
    /// So many clients of each kind connect; they are open.
    Open(Vec<(Kind, usize)>),
    /// Everybody has what was published when the order was given, and was answered something since.
    Round,
    /// Nothing is published any more, and clients begin nothing: everybody has everything.
    Settle,
    /// Connections may end from now on, if they do so properly; clients come again.
    AllowEnds(bool),
}

impl Crowd {
    /// Nobody yet, who will connect to `server`.
    pub fn new(server: SocketAddr, numbers: Arc<Numbers>) -> Crowd {
        let (orders, received) = channel();
        let behind = Arc::new(AtomicU64::new(0));
        let slowest = behind.clone();
        let run = move || {
            let epoll = Epoll::new().expect("an epoll");
            let hall = Hall {
                server,
                numbers,
                epoll,
                clients: Vec::new(),
                beats: BinaryHeap::new(),
                counts: Counts::default(),
                failures: Vec::new(),
                to_open: Vec::new(),
                opening: 0,
                ends_allowed: false,
                is_pausing: false,
                task: None,
            };
            hall.run(&received, &slowest);
        };
        let thread = std::thread::Builder::new().name("clients".to_owned()).spawn(run).expect("a thread");
        Crowd { orders, thread: Some(thread), behind }
    }

    /// Has an order carried out.
    pub fn obey(&self, order: Order) -> Counts {
        let (reply, replied) = channel();
        let what = format!("{order:?}");
        self.orders.send((order, reply)).expect("the clients' thread");
        match replied.recv().expect("the clients' thread") {
            Ok(counts) => counts,
            Err(why) => panic!("{what}: {why}"),
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // The end of the orders ends the thread.
        self.orders = channel().0;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The state of the clients' thread.
struct Hall {
    server: SocketAddr,
    numbers: Arc<Numbers>,
    epoll: Epoll,
    clients: Vec<Client>,
    /// When clients do something by themselves, or connect again.
    beats: BinaryHeap<Reverse<(Instant, usize)>>,
    counts: Counts,
    failures: Vec<String>,
    to_open: Vec<(Kind, usize)>,
    /// Clients that are connecting for the first time.
    opening: usize,
    ends_allowed: bool,
    is_pausing: bool,
    task: Option<Task>,
}

/// An order that is being carried out.
struct Task {
    order: Order,
    deadline: Instant,
    /// The last item of each channel, and the answers of each client, when the order came.
    last: Vec<u64>,
    answered: Vec<u64>,
    reply: Sender<Result<Counts, String>>,
}

impl Hall {
    fn run(mut self, orders: &Receiver<(Order, Sender<Result<Counts, String>>)>, slowest: &AtomicU64) {
        let mut events: Vec<Event> = Vec::new();
        let mut looked = Instant::now();
        loop {
            self.epoll.wait(Some(5), &mut events).expect("events");
            for event in events.drain(..) {
                self.advance(event.token as usize, event.writable);
            }
            self.beat();
            self.open_some();
            if looked.elapsed() < LOOK {
                continue;
            }
            looked = Instant::now();
            slowest.store(self.behind(), Ordering::Relaxed);
            match orders.try_recv() {
                Ok((order, reply)) => self.begin(order, reply),
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                Err(std::sync::mpsc::TryRecvError::Empty) => {}
            }
            self.look_after_task();
        }
    }

    fn begin(&mut self, order: Order, reply: Sender<Result<Counts, String>>) {
        match &order {
            Order::Open(kinds) => self.to_open.extend(kinds.iter().rev()),
            Order::Round => {}
            Order::Settle => self.is_pausing = true,
            Order::AllowEnds(allowed) => self.ends_allowed = *allowed,
        }
        let answered = self.clients.iter().map(|client| client.answered).collect();
        let deadline = Instant::now() + patience();
        self.task = Some(Task { order, deadline, last: self.numbers.all(), answered, reply });
    }

    /// Replies to the order if it is carried out, has failed, or has taken too long.
    fn look_after_task(&mut self) {
        let Some(task) = &self.task else { return };
        let is_done = match &task.order {
            Order::Open(_) => self.to_open.is_empty() && self.opening == 0,
            Order::AllowEnds(_) => true,
            Order::Round | Order::Settle => self.clients.iter().all(|client| self.has_all(task, client)),
        };
        let outcome = if !self.failures.is_empty() {
            Err(self.failed())
        } else if is_done {
            Ok(std::mem::take(&mut self.counts))
        } else if Instant::now() > task.deadline {
            Err(format!("after {:?} these lack something:\n{}", patience(), self.lacking(task)))
        } else {
            return;
        };
        let _ = task.reply.send(outcome);
        self.task = None;
    }

    /// How many clients of each kind have failed, and how the first did.
    fn failed(&self) -> String {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for failure in &self.failures {
            *kinds.entry(failure.split(' ').next().unwrap_or_default()).or_default() += 1;
        }
        format!("clients failed, by their kinds {kinds:?}:\n{}", first(&self.failures))
    }

    /// Whether a client has what the order wants.
    fn has_all(&self, task: &Task, client: &Client) -> bool {
        let is_settling = matches!(task.order, Order::Settle);
        let last = task.last[client.channel.0];
        // The last items are those that the client need not get, or that may be lost.
        let is_exempt = is_settling && !client.channel.group().is_exact();
        let has_items = !client.kind.is_subscribed()
            || is_exempt
            || (client.kind == Kind::Slow && !is_settling)
            || client.lacks(last) == 0;
        let has_answers = match is_settling {
            true => client.asked == client.answered || matches!(client.kind, Kind::Poll | Kind::Visitor),
            false if client.kind.is_asking() || client.kind.is_websocket() => {
                task.answered.get(client.number).is_none_or(|before| client.answered > *before)
            }
            false => true,
        };
        has_items && has_answers
    }

    fn lacking(&self, task: &Task) -> String {
        let lacking = self.clients.iter().filter(|client| match task.order {
            Order::Open(_) => !client.was_open,
            _ => !self.has_all(task, client),
        });
        let all: Vec<String> = lacking.map(|client| self.describe(client)).collect();
        format!("{} clients, such as\n{}", all.len(), first(&all))
    }

    fn describe(&self, client: &Client) -> String {
        format!(
            "{:?} {} of {:?} {}, next {:?} of {}, {} of {} answered, {:?}",
            client.kind,
            client.number,
            client.channel.group(),
            client.channel.0,
            client.next,
            self.numbers.last(client.channel),
            client.answered,
            client.asked,
            client.stage
        )
    }

    /// How many items the slowest slow client lacks.
    fn behind(&self) -> u64 {
        let slow = self.clients.iter().filter(|client| client.kind == Kind::Slow);
        let lack = |client: &Client| client.lacks(self.numbers.last(client.channel));
        slow.map(lack).max().unwrap_or(0)
    }

    fn open_some(&mut self) {
        while self.opening < WINDOW {
            let Some((kind, count)) = self.to_open.last_mut() else { return };
            if *count == 0 {
                self.to_open.pop();
                continue;
            }
            *count -= 1;
            let index = self.clients.len();
            self.clients.push(Client::new(*kind, index));
            self.opening += 1;
            self.connect(index);
        }
    }

    fn connect(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let connected = connection(self.server, client.kind).and_then(|socket| {
            self.epoll.add(socket.as_fd(), index as u64, Interest::ReadWrite)?;
            Ok(socket)
        });
        match connected {
            Ok(socket) => client.connecting(socket),
            Err(error) => self.fail(index, &format!("cannot connect: {error}")),
        }
    }

    /// Goes on with a client whose socket has something to read or room to write.
    fn advance(&mut self, index: usize, writable: bool) {
        let client = &mut self.clients[index];
        let was_open = client.was_open;
        let mut world =
            World { numbers: &self.numbers, ends_allowed: self.ends_allowed, counts: &mut self.counts };
        let outcome = match client.stage {
            Stage::Over => return,
            Stage::Connecting if !writable => return,
            Stage::Connecting => established(client, &self.numbers).map(|()| Fate::GoesOn),
            _ => client.flush().and_then(|()| client.receive(&mut world, usize::MAX)),
        };
        self.follow(index, outcome, was_open);
    }

    /// Does what follows from what a client has read or done.
    fn follow(&mut self, index: usize, outcome: Result<Fate, String>, was_open: bool) {
        let client = &mut self.clients[index];
        if client.was_open && !was_open {
            self.opening -= 1;
            self.schedule(index, Duration::from_millis((index as u64 * 13) % 1000));
        }
        let client = &mut self.clients[index];
        match outcome {
            Ok(Fate::GoesOn) => {
                let interest = match client.output.is_empty() {
                    false => Interest::ReadWrite,
                    true if client.kind == Kind::Slow && client.was_open => Interest::Nothing,
                    true => Interest::Read,
                };
                if let Some(socket) = &client.socket {
                    self.epoll.modify(socket.as_fd(), index as u64, interest).expect("a watched socket");
                }
            }
            Ok(Fate::ComesAgain) => self.comes_again(index),
            Err(_) if self.ends_allowed && client.may_repeat() => self.comes_again(index),
            Err(why) => self.fail(index, &why),
        }
    }

    /// Lets a client connect again soon.
    fn comes_again(&mut self, index: usize) {
        let client = &mut self.clients[index];
        (client.socket, client.stage) = (None, Stage::Over);
        self.counts.returned += 1;
        let spread = (index as u64 * 7 + self.counts.returned) % 200;
        self.schedule(index, Duration::from_millis(100 + spread));
    }

    fn fail(&mut self, index: usize, why: &str) {
        let description = self.describe(&self.clients[index]);
        self.failures.push(format!("{description}: {why}"));
        let client = &mut self.clients[index];
        (client.socket, client.stage) = (None, Stage::Over);
    }

    /// Lets the clients act whose time has come.
    fn beat(&mut self) {
        while self.beats.peek().is_some_and(|Reverse((due, _))| *due <= Instant::now()) {
            let Some(Reverse((due, index))) = self.beats.pop() else { return };
            if self.clients[index].beat != Some(due) {
                continue; // It has another time now.
            }
            match self.clients[index].stage {
                Stage::Over if self.failures.is_empty() => {
                    self.connect(index);
                    self.schedule(index, LOOK * 10);
                }
                Stage::Over => {}
                Stage::Connecting => self.schedule(index, LOOK),
                Stage::Head | Stage::Body => self.act(index),
            }
        }
    }

    fn act(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let was_open = client.was_open;
        let mut world =
            World { numbers: &self.numbers, ends_allowed: self.ends_allowed, counts: &mut self.counts };
        let (outcome, pause) = match client.act(&mut world, self.is_pausing) {
            Ok((fate, pause)) => (Ok(fate), pause),
            Err(why) => (Err(why), None),
        };
        if let Some(pause) = pause {
            self.schedule(index, pause);
        }
        self.follow(index, outcome, was_open);
    }

    /// Sets the time when a client acts or connects again. It has one such time.
    fn schedule(&mut self, index: usize, pause: Duration) {
        let due = Instant::now() + pause;
        self.clients[index].beat = Some(due);
        self.beats.push(Reverse((due, index)));
    }
}

/// The first of these sentences.
fn first(sentences: &[String]) -> String {
    sentences[..sentences.len().min(10)].join("\n")
}

/// The attempt to connect is over.
fn established(client: &mut Client, numbers: &Numbers) -> Result<(), String> {
    let error = client.socket.as_ref().and_then(|socket| socket.take_error().ok().flatten());
    match error {
        Some(error) => Err(format!("cannot connect: {error}")),
        None => client.connected(numbers),
    }
}

/// Begins a connection. The kernel keeps little for slow clients, so that the server has to.
fn connection(server: SocketAddr, kind: Kind) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if kind == Kind::Slow {
        socket.set_recv_buffer_size(4096)?;
        socket.set_tcp_mss(536)?;
    }
    match socket.connect(&server.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    let socket = TcpStream::from(socket);
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Clients that connect at the same time.
const WINDOW: usize = 200;
/// The time between two looks at orders.
const LOOK: Duration = Duration::from_millis(20);
