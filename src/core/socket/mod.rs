//! WebSockets. `open` answers the upgrade, `over_http` serves those that their application sees as HTTP requests, and
//! `through` passes on those whose application speaks WebSocket itself. For their channels both kinds are the same:
//! `kept` bounds what is kept of what clients send; `place` does what the application says from within (joining them,
//! for one), `life` is what happens to a WebSocket from outside, up to its end; `filtered` is what it gets by way of
//! filters; `sockjs` is a client's that speaks SockJS by it; `incoming` decodes what a client sends, `clock` tells what
//! is to be done when, and `activity` what counts as such.
//!
//! An idle WebSocket is its row and a [`Socket`], in which what is not always there is boxed.

mod activity;
mod clock;
mod filtered;
mod incoming;
mod kept;
mod life;
mod open;
mod over_http;
mod place;
mod sockjs;
mod through;

pub(super) use open::{answer, answer_on, refusal};

use super::accounts::Booking;
use super::sockjs::Session;
use crate::bell::Bell;
use crate::channel::Transport;
use crate::origin::Route;
use crate::proto::websocket::Compression;
use activity::Activity;
use clock::Clock;
use incoming::Incoming;
use over_http::{OverHttp, Waiting};
use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use through::Through;

/// A WebSocket.
pub struct Socket {
    route: Arc<Route>,
    application: Application,
    busy: RefCell<Option<Box<Busy>>>,
    rare: RefCell<Option<Box<Rare>>>,
    closing: Cell<Closing>,
    /// The application takes no more part.
    detached: Cell<bool>,
    /// The client is gone.
    gone: Cell<bool>,
    activity: Activity,
}

/// How the application takes part.
enum Application {
    OverHttp(OverHttp),
    Through(Box<Through>),
    /// It is in a conversation of SockJS.
    SockJs(Arc<Session>),
}

/// What a WebSocket has only while something is under way.
#[derive(Default)]
struct Busy {
    /// The message that is arriving.
    incoming: Option<Incoming>,
    /// Events on their way to an application over HTTP.
    waiting: Waiting,
    /// The bytes of these.
    booking: Booking,
    /// The client is not read until they are gone.
    paused: bool,
    /// A task is at work for this WebSocket.
    has_task: bool,
    /// The application is to be asked once more when the task is done.
    ask_again: bool,
    /// Rung when a channel came into force, when the client took what was sent, and when it is gone.
    changed: Rc<Bell>,
}

/// What few WebSockets have.
#[derive(Default)]
struct Rare {
    clock: Clock,
    /// Variables of the application, which every request repeats.
    meta: BTreeMap<String, String>,
    /// What precedes messages that are for the client, if not `m:`.
    prefix: Option<Box<str>>,
}

/// How far the closing handshake is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Closing {
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
    fn new(route: Arc<Route>, application: Application) -> Socket {
        Socket {
            route,
            application,
            busy: RefCell::default(),
            rare: RefCell::default(),
            closing: Cell::new(Closing::No),
            detached: Cell::new(false),
            gone: Cell::new(false),
            activity: Activity::default(),
        }
    }

    /// Whether what goes through it now counts as activity.
    pub(super) fn is_active(&self, now: u32) -> bool {
        self.activity.counts(now)
    }

    /// How what is published is written to it.
    fn transport(&self) -> Transport {
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
    fn end(&self) {
        self.gone.set(true);
        self.wake();
        match &self.application {
            Application::OverHttp(_) => {}
            Application::Through(through) => through.end(),
            Application::SockJs(session) => session.leave(),
        }
    }

    fn busy(&self) -> RefMut<'_, Busy> {
        RefMut::map(self.busy.borrow_mut(), |busy| &mut **busy.get_or_insert_default())
    }

    fn rare(&self) -> RefMut<'_, Rare> {
        RefMut::map(self.rare.borrow_mut(), |rare| &mut **rare.get_or_insert_default())
    }

    /// Lets go of what an idle WebSocket does not need.
    fn settle(&self) {
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
