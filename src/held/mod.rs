//! What becomes of a request of a client: it is answered by its application, or its client is held as the application
//! says.
//!
//! - [`Holds`] has what all holds of a core need. `answering` asks the application and follows its instruct, `opening`
//!   opens a hold when the homes of its channels have acknowledged it.
//! - Held over HTTP: `poll` is a long poll, `stream` a stream (with its `keep_alive`), `links` has streams that go on with
//!   links. `opens` is how all three open, `kept_request` what is kept of a request that may be made again.
//! - `websocket` has WebSockets of every kind, `sockjs` those of browsers that have none, and `on_route` what WebSockets of
//!   one route share.
//!
//! Each of them is a [`Held`](crate::clients::Held); nobody outside asks of which kind one is.

#![forbid(unsafe_code)]

mod answering;
mod keep_alive;
mod kept_request;
mod links;
mod on_route;
mod opening;
mod opens;
mod poll;
mod sockjs;
mod stream;
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
use opens::Opens;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// What the holds of a core need.
pub struct Holds {
    context: Rc<Context>,
    clients: Rc<Clients>,
    delivery: Rc<Delivery>,
    publishing: Rc<Publishing>,
    requests: Rc<Requests>,
    filters: Rc<Filters>,
    /// Links that will be asked for.
    fetches: RefCell<Fetches>,
    gone_links: GoneLinks,
    /// The conversations of SockJS, which all cores share.
    sockjs: Arc<Sessions>,
    last_keep_alive: RefCell<Option<Rc<KeepAlive>>>,
    /// The last stream without links, which holds all streams that are held alike.
    last_stream: RefCell<Option<(StreamTerms, Weak<dyn Opens>)>>,
    /// The route of the last WebSocket, which all WebSockets of that route share.
    last_route: RefCell<Weak<OnRoute<Holds>>>,
}

impl Holds {
    /// Nobody is held.
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
            sockjs,
            last_keep_alive: RefCell::default(),
            last_stream: RefCell::default(),
            last_route: RefCell::new(Weak::new()),
        })
    }

    /// Bytes that wait in all conversations of SockJS, of all cores.
    pub fn sockjs_bytes(&self) -> usize {
        self.sockjs.kept_bytes()
    }

    /// Has a look at its tables; at those that all cores share as well, if `shared` says so.
    pub fn look_at_tables(&self, look: &mut Look<'_>, shared: bool) {
        self.fetches.borrow_mut().look_at_tables(look);
        if shared {
            self.sockjs.look_at_tables(look);
        }
    }
}
