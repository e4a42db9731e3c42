//! Answers requests of clients: relays the answer of the application, or holds the client if the application says so.
//!
//! - [`Holds`] has the rooms and tables that all holds of a core use. `answering` asks the application and follows its
//!   instruct, `opening` opens a hold when the homes of its channels have acknowledged it.
//! - Holds over HTTP: `poll` is a long poll, `stream` a stream (with its `keep_alive`), `links` has streams that
//!   continue with links. `opens` is the interface by which all three are opened, `kept_request` a request that can be
//!   made again.
//! - `websocket` has WebSockets of every kind, `sockjs` has SockJS for browsers without WebSockets, and `on_route` is
//!   shared by the WebSockets of one route.
//! - `packed` are holds on their way to another process, and `packing` holds clients again that come from another process.
//! - `draining` ends all of this when the server is about to end, and waits for the tasks that `unfinished` counts.
//!
//! Each kind of hold implements [`Held`](crate::clients::Held), so other rooms do not depend on the kind.

#![forbid(unsafe_code)]

mod answering;
mod draining;
mod keep_alive;
mod kept_request;
mod links;
mod on_route;
mod opening;
mod opens;
mod packed;
mod packing;
mod poll;
mod sockjs;
mod stream;
mod unfinished;
mod websocket;

pub use sockjs::Sessions;

use crate::clients::Clients;
use crate::context::Context;
use crate::delivery::Delivery;
use crate::filters::Filters;
use crate::publish::Publishing;
use crate::requests::Requests;
use crate::slack::Look;
use keep_alive::{KeepAlive, StreamTerms};
use links::{Fetches, GoneLinks};
use on_route::OnRoute;
use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use stream::Stream;
use unfinished::Unfinished;

/// The rooms and tables that all holds of a core use.
pub struct Holds {
    context: Rc<Context>,
    clients: Rc<Clients>,
    delivery: Rc<Delivery>,
    publishing: Rc<Publishing>,
    requests: Rc<Requests>,
    filters: Rc<Filters>,
    /// Links that will be requested.
    fetches: RefCell<Fetches>,
    gone_links: GoneLinks,
    unfinished: Unfinished,
    /// The SockJS conversations, shared by all cores.
    sockjs: Arc<Sessions>,
    /// Connections to applications on their way to or from another process.
    connections: RefCell<Vec<OwnedFd>>,
    /// Clients of another process whose subscriptions are not in force yet.
    adopting: Cell<usize>,
    last_keep_alive: RefCell<Option<Rc<KeepAlive>>>,
    /// The hold of the last stream without links. All streams on the same terms share it.
    last_stream: RefCell<Option<(StreamTerms, Weak<Stream>)>>,
    /// The route of the last WebSocket. All WebSockets of that route share it.
    last_route: RefCell<Weak<OnRoute<Holds>>>,
}

impl Holds {
    /// The holds of a core on which no client is held.
    pub fn new(
        publishing: Rc<Publishing>,
        requests: Rc<Requests>,
        filters: Rc<Filters>,
        sockjs: Arc<Sessions>,
    ) -> Rc<Holds> {
        Rc::new(Holds {
            context: publishing.context().clone(),
            clients: publishing.clients().clone(),
            delivery: publishing.delivery().clone(),
            publishing,
            requests,
            filters,
            fetches: RefCell::default(),
            gone_links: GoneLinks::default(),
            unfinished: Unfinished::default(),
            sockjs,
            connections: RefCell::default(),
            adopting: Cell::default(),
            last_keep_alive: RefCell::default(),
            last_stream: RefCell::default(),
            last_route: RefCell::new(Weak::new()),
        })
    }

    /// Shows its tables to `look`, which shrinks tables that have been nearly empty for a while. The tables that all
    /// cores share are shown only if `shared` is true.
    pub fn look_at_tables(&self, look: &mut Look<'_>, shared: bool) {
        self.fetches.borrow_mut().look_at_tables(look);
        if shared {
            self.sockjs.look_at_tables(look);
        }
    }
}
