//! A WebSocket. An idle one takes only the row of its client and a [`Socket`]; parts that are seldom needed are boxed.

use super::activity::Activity;
use super::clock::Clock;
use super::incoming::Incoming;
use super::over_http::{OverHttp, Waiting};
use super::through::Through;
use super::variables::Variables;
use crate::bell::Bell;
use crate::channel::Transport;
use crate::context::Booking;
use crate::held::Holds;
use crate::held::on_route::OnRoute;
use crate::held::sockjs::Session;
use crate::origin::Route;
use crate::proto::websocket::Compression;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;

/// A WebSocket.
pub(in crate::held) struct Socket {
    pub(super) on: Rc<OnRoute<Holds>>,
    pub(super) application: Application,
    pub(super) busy: RefCell<Option<Box<Busy>>>,
    pub(super) rare: RefCell<Option<Box<Rare>>>,
    pub(super) closing: Cell<Closing>,
    /// The application has detached.
    pub(super) detached: Cell<bool>,
    /// The client is gone.
    pub(super) gone: Cell<bool>,
    pub(super) activity: Activity,
}

/// How the application takes part.
pub(super) enum Application {
    OverHttp(OverHttp),
    Through(Box<Through>),
    /// The client speaks SockJS, and the application is at the other side of this conversation.
    SockJs(Arc<Session>),
}

/// The state that a WebSocket has only while something is under way.
#[derive(Default)]
pub(super) struct Busy {
    /// The message that is arriving.
    pub incoming: Option<Incoming>,
    /// Events that wait for an application over HTTP.
    pub waiting: Waiting,
    /// The bytes of the message and the events.
    pub booking: Booking,
    /// The bytes of the request that is under way.
    pub offered: Booking,
    /// The client is paused until there is room for more events.
    pub paused: bool,
    /// The WebSocket's task is running.
    pub has_task: bool,
    /// The task is asking the application, or carrying out its answer.
    pub acts: bool,
    /// The application must be asked once more when the task has no more events.
    pub ask_again: bool,
    /// Rings when a channel came into force, when the client took its backlog, and when the client is gone.
    pub changed: Rc<Bell>,
}

/// The state that few WebSockets have.
#[derive(Default)]
pub(super) struct Rare {
    pub clock: Clock,
    /// The variables that the application has set, if any.
    pub variables: Option<Box<Variables>>,
    /// The prefix of messages for the client, if it is not `m:`.
    pub prefix: Option<Box<str>>,
}

/// The progress of the closing handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Closing {
    /// Neither side has closed.
    No,
    /// The client has closed, and the application must answer.
    ByClient,
    /// The client was sent a close, and must answer.
    ByServer,
    /// The same, because the server is about to end. What the client said before it saw the close goes to its application.
    ByDrain,
    /// Both sides have closed.
    Done,
}

impl Socket {
    /// The WebSocket of a client that came by `route`.
    pub fn new(holds: &Rc<Holds>, route: Arc<Route>, application: Application) -> Socket {
        Socket {
            on: OnRoute::share(holds, route, &holds.last_route),
            application,
            busy: RefCell::default(),
            rare: RefCell::default(),
            closing: Cell::new(Closing::No),
            detached: Cell::new(false),
            gone: Cell::new(false),
            activity: Activity::default(),
        }
    }

    /// The holds of its core.
    pub fn holds(&self) -> &Rc<Holds> {
        &self.on.room
    }

    /// The route by which the client came.
    pub fn route(&self) -> &Arc<Route> {
        &self.on.route
    }

    /// Whether the WebSocket can be closed now because the server is about to end. An answer of the application that is
    /// under way goes to the client first. SockJS is closed at the other side of its conversation.
    pub fn can_end(&self) -> bool {
        let has_task = || self.busy.borrow().as_ref().is_some_and(|busy| busy.has_task);
        let is_ready = match &self.application {
            Application::OverHttp(_) => !has_task(),
            Application::Through(_) => true,
            Application::SockJs(_) => false,
        };
        is_ready && self.closing.get() == Closing::No
    }

    /// Whether bytes that pass through the WebSocket now count as activity.
    pub fn is_active(&self, now: u32) -> bool {
        self.activity.counts(now)
    }

    /// The transport of published items for the WebSocket.
    pub fn transport(&self) -> Transport {
        match self.compression().is_some_and(Compression::takes_shared) {
            true => Transport::CompressedSocket,
            false => Transport::Socket,
        }
    }

    /// Wakes the WebSocket's task, because an event for which it may wait has happened.
    pub fn wake(&self) {
        if let Some(busy) = &*self.busy.borrow() {
            busy.changed.ring();
        }
    }

    /// The client is gone: nothing more is sent to it or expected from it.
    pub fn end(&self) {
        self.gone.set(true);
        self.wake();
        match &self.application {
            Application::OverHttp(_) => {}
            Application::Through(through) => through.end(),
            Application::SockJs(session) => session.leave(),
        }
    }

    pub fn busy(&self) -> RefMut<'_, Busy> {
        RefMut::map(self.busy.borrow_mut(), |busy| &mut **busy.get_or_insert_default())
    }

    pub fn rare(&self) -> RefMut<'_, Rare> {
        RefMut::map(self.rare.borrow_mut(), |rare| &mut **rare.get_or_insert_default())
    }

    /// Frees the state that an idle WebSocket does not need.
    pub fn settle(&self) {
        let mut busy = self.busy.borrow_mut();
        if busy.as_ref().is_some_and(|busy| busy.is_idle()) {
            *busy = None;
        }
    }
}

impl Busy {
    fn is_idle(&self) -> bool {
        self.incoming.is_none() && self.waiting.is_empty() && !self.has_task
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_stays_within_what_an_idle_one_may_cost() {
        assert!(size_of::<Socket>() <= 104, "{}", size_of::<Socket>());
    }
}
