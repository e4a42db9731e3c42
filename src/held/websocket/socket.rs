//! A WebSocket. An idle one is the row of its client and a [`Socket`], in which what is not always there is boxed.

use super::activity::Activity;
use super::clock::Clock;
use super::incoming::Incoming;
use super::over_http::{OverHttp, Waiting};
use super::through::Through;
use crate::bell::Bell;
use crate::channel::Transport;
use crate::context::Booking;
use crate::held::Holds;
use crate::held::on_route::OnRoute;
use crate::held::sockjs::Session;
use crate::origin::Route;
use crate::proto::websocket::Compression;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A WebSocket.
pub(in crate::held) struct Socket {
    on: Rc<OnRoute<Holds>>,
    pub(super) application: Application,
    pub(super) busy: RefCell<Option<Box<Busy>>>,
    pub(super) rare: RefCell<Option<Box<Rare>>>,
    pub(super) closing: Cell<Closing>,
    /// The application takes no more part.
    pub(super) detached: Cell<bool>,
    /// The client is gone.
    pub(super) gone: Cell<bool>,
    pub(super) activity: Activity,
}

/// How the application takes part.
pub(super) enum Application {
    OverHttp(OverHttp),
    Through(Box<Through>),
    /// It is in a conversation of SockJS.
    SockJs(Arc<Session>),
}

/// What a WebSocket has only while something is under way.
#[derive(Default)]
pub(super) struct Busy {
    /// The message that is arriving.
    pub incoming: Option<Incoming>,
    /// Events on their way to an application over HTTP.
    pub waiting: Waiting,
    /// The bytes of these.
    pub booking: Booking,
    /// The client is not read until they are gone.
    pub paused: bool,
    /// A task is at work for this WebSocket.
    pub has_task: bool,
    /// The application is to be asked once more when the task is done.
    pub ask_again: bool,
    /// Rung when a channel came into force, when the client took what was sent, and when it is gone.
    pub changed: Rc<Bell>,
}

/// What few WebSockets have.
#[derive(Default)]
pub(super) struct Rare {
    pub clock: Clock,
    /// Variables of the application, which every request repeats.
    pub meta: BTreeMap<String, String>,
    /// What precedes messages that are for the client, if not `m:`.
    pub prefix: Option<Box<str>>,
}

/// How far the closing handshake is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closing {
    /// Nobody closes.
    No,
    /// The client has closed, and the application is to answer.
    ByClient,
    /// The client was sent a close and is to answer.
    ByServer,
    /// Both have.
    Done,
}

impl Socket {
    /// Of a client that came by `route`.
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

    /// The route that its client came by.
    pub fn route(&self) -> &Arc<Route> {
        &self.on.route
    }

    /// Whether what goes through it now counts as activity.
    pub fn is_active(&self, now: u32) -> bool {
        self.activity.counts(now)
    }

    /// How what is published is written to it.
    pub fn transport(&self) -> Transport {
        match self.compression().is_some_and(Compression::takes_shared) {
            true => Transport::CompressedSocket,
            false => Transport::Socket,
        }
    }

    /// Something that this WebSocket's task may wait for has happened.
    pub fn wake(&self) {
        if let Some(busy) = &*self.busy.borrow() {
            busy.changed.ring();
        }
    }

    /// Nothing more is sent to or expected of the client.
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

    /// Lets go of what an idle WebSocket does not need.
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
