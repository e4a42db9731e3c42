//! The network of a simulation: listening ports, and connections to them. Clients, applications and origin
//! connections use a [`Stream`] in place of a socket; the simulated kernel below the wire owns the server's end of
//! clients' connections. `pipe` carries the bytes of one direction.

mod pipe;

use super::world::current;
use futures_lite::{AsyncRead, AsyncWrite};
pub use pipe::Observer;
use pipe::Pipe;
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A connection fails after this time without a packet from an other side that has vanished (TCP_USER_TIMEOUT).
const SILENCE: Duration = Duration::from_secs(125);

thread_local! {
    static NETWORK: Network = Network::default();
}

/// The listeners of a thread with a world.
#[derive(Default)]
struct Network {
    ports: RefCell<BTreeMap<SocketAddr, Vec<Weak<Port>>>>,
    /// The listeners that simulated kernels accept from, by the device and inode of the socket that stands for each.
    sockets: RefCell<BTreeMap<(u64, u64), Listener>>,
    clients: Cell<u16>,
}

#[derive(Default)]
struct Port {
    waiting: RefCell<VecDeque<Arrival>>,
    waker: Cell<Option<Waker>>,
    observer: RefCell<Option<Observer>>,
}

/// A listening port. It listens as long as this value or a clone of it lives.
#[derive(Clone)]
pub struct Listener(Rc<Port>);

/// A connection that was made to a port, and is not accepted yet.
pub struct Arrival {
    /// The listener's end of the connection.
    pub stream: Stream,
    /// The address of the client.
    pub peer: SocketAddr,
}

/// One end of a connection. Dropping it closes the connection; as in TCP, it is reset if bytes are unread.
pub struct Stream {
    incoming: Rc<Pipe>,
    outgoing: Rc<Pipe>,
}

/// Listens on `address`. Several listeners may share an address.
pub fn listen(address: SocketAddr) -> Listener {
    let port = Rc::<Port>::default();
    NETWORK.with(|network| {
        network.ports.borrow_mut().entry(address).or_default().push(Rc::downgrade(&port));
    });
    Listener(port)
}

/// Connects to `address`.
///
/// # Errors
/// `ConnectionRefused` if nothing listens there, `NotConnected` if this thread has no world.
pub async fn connect(address: SocketAddr) -> io::Result<Stream> {
    let Some(world) = current() else { return Err(io::ErrorKind::NotConnected.into()) };
    let delay = world.dice(pipe::delay);
    world.timer(delay).await;
    let port = NETWORK.with(|network| network.port(address)).ok_or(io::ErrorKind::ConnectionRefused)?;
    let (here, there) = Stream::pair();
    port.waiting.borrow_mut().push_back(Arrival { stream: there, peer: NETWORK.with(Network::next_client) });
    port.tell();
    Ok(here)
}

/// Connects to `address`.
///
/// # Errors
/// As for [`connect`], and `TimedOut` after `timeout`.
pub async fn connect_within(address: SocketAddr, timeout: Duration) -> io::Result<Stream> {
    let Some(world) = current() else { return Err(io::ErrorKind::NotConnected.into()) };
    let timed_out = async {
        world.timer(timeout).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    futures_lite::future::or(connect(address), timed_out).await
}

/// Drops all connections that were not accepted, and all listeners.
pub(super) fn clear() {
    NETWORK.with(Network::clear);
}

impl Network {
    fn port(&self, address: SocketAddr) -> Option<Rc<Port>> {
        let mut ports = self.ports.borrow_mut();
        let listening = ports.get_mut(&address)?;
        listening.retain(|port| port.strong_count() > 0);
        let world = current().filter(|_| !listening.is_empty())?;
        world.dice(|dice| dice.pick(listening).upgrade())
    }

    fn next_client(&self) -> SocketAddr {
        let number = self.clients.get().wrapping_add(1);
        self.clients.set(number);
        let [high, low] = number.to_be_bytes();
        SocketAddr::from((Ipv4Addr::new(10, 0, high, low), 40_000))
    }

    fn clear(&self) {
        self.clients.set(0);
        let sockets = self.sockets.take();
        drop(sockets);
        let ports = self.ports.take();
        for port in ports.values().flatten().filter_map(Weak::upgrade) {
            drop((port.waiting.take(), port.observer.take()));
        }
    }
}

impl Port {
    fn tell(&self) {
        self.waker.take().into_iter().for_each(Waker::wake);
        let observer = self.observer.borrow().clone();
        observer.iter().for_each(|observer| observer());
    }
}

impl Listener {
    /// A socket that stands for this listener where a real one is expected: a simulated kernel finds the listener
    /// by the socket's inode. The socket is not bound and does not listen.
    ///
    /// # Errors
    /// The system's error, if it has no descriptor left.
    pub fn socket(&self) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        let found = File::from(OwnedFd::from(socket.try_clone()?)).metadata()?;
        let identity = (found.dev(), found.ino());
        NETWORK.with(|network| network.sockets.borrow_mut().insert(identity, self.clone()));
        Ok(socket.into())
    }

    /// The listener that the socket with this device and inode stands for.
    pub fn of(identity: (u64, u64)) -> Option<Listener> {
        NETWORK.with(|network| network.sockets.borrow().get(&identity).cloned())
    }

    /// The socket with this device and inode is being closed: it stands for no listener any more.
    pub fn forget(identity: (u64, u64)) {
        let listener = NETWORK.with(|network| network.sockets.borrow_mut().remove(&identity));
        drop(listener);
    }

    /// Whether a connection waits to be accepted.
    pub fn has_arrivals(&self) -> bool {
        !self.0.waiting.borrow().is_empty()
    }

    /// Accepts the connection that has waited longest.
    pub fn try_accept(&self) -> Option<Arrival> {
        self.0.waiting.borrow_mut().pop_front()
    }

    /// Waits for a connection.
    pub async fn accept(&self) -> Stream {
        poll_fn(|context| {
            if let Some(arrival) = self.try_accept() {
                return Poll::Ready(arrival.stream);
            }
            self.0.waker.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// Calls `observer` for every new connection.
    pub fn observe(&self, observer: Observer) {
        self.0.observer.replace(Some(observer));
    }
}

impl Stream {
    /// Makes the two ends of a connection.
    pub fn pair() -> (Stream, Stream) {
        let (one, other) = (Pipe::new(), Pipe::new());
        let here = Stream { incoming: one.clone(), outgoing: other.clone() };
        (here, Stream { incoming: other, outgoing: one })
    }

    /// Calls `observer` when there may be data to read, or room to write.
    pub fn observe(&self, observer: &Observer) {
        self.incoming.observe_arrivals(observer.clone());
        self.outgoing.observe_room(observer.clone());
    }

    /// Reads data that has arrived, 0 bytes at the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has arrived; the failure of the connection, if it has failed.
    pub fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.incoming.read(into)
    }

    /// Whether [`Stream::try_read`] would not block.
    pub fn is_readable(&self) -> bool {
        self.incoming.is_readable()
    }

    /// The time when data last arrived.
    pub fn arrived_at(&self) -> Duration {
        self.incoming.arrived_at()
    }

    /// Writes as many bytes as there is room for.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; `BrokenPipe` after [`Stream::shut_down`]; the failure of the connection, if
    /// it has failed.
    pub fn try_write(&self, from: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.incoming.failure() {
            return Err(error);
        }
        self.outgoing.write(from, &self.incoming)
    }

    /// Whether [`Stream::try_write`] would not block.
    pub fn is_writable(&self) -> bool {
        self.incoming.failure().is_some() || self.outgoing.has_room()
    }

    /// Bytes that were written here and not read at the other end.
    pub fn unread(&self) -> usize {
        self.outgoing.unread()
    }

    /// Ends the sending side.
    pub fn shut_down(&self) {
        self.outgoing.end();
    }

    /// Resets the connection.
    pub fn reset(self) {
        self.outgoing.fail(io::ErrorKind::ConnectionReset, Duration::ZERO);
    }

    /// Simulates that the machine of this end loses power: nothing is sent any more, and the other end fails after a
    /// long time.
    pub fn vanish(self) {
        self.incoming.swallow();
        self.outgoing.fail(io::ErrorKind::TimedOut, SILENCE);
        self.outgoing.swallow();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        match self.incoming.abandon() {
            true => self.outgoing.fail(io::ErrorKind::ConnectionReset, Duration::ZERO),
            false => self.outgoing.end(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.try_read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.incoming.wait_for_arrivals(context.waker());
                Poll::Pending
            }
            outcome => Poll::Ready(outcome),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match self.try_write(from) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.outgoing.wait_for_room(context.waker());
                self.incoming.wait_for_failure(context.waker());
                Poll::Pending
            }
            outcome => Poll::Ready(outcome),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down();
        Poll::Ready(Ok(()))
    }
}
