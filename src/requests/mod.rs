//! Requests of clients on their way to applications: which route a request takes, and how it is written for the
//! application. The room `held` decides what happens with the answers.
//!
//! - [`Requests`] has the routes, the pool of connections to applications, and the signers (`signatures`).
//! - A client's request: `routing` finds its route, `forwarding` finds out which client sent it and whether by TLS,
//!   `connecting` decides whether its application is asked, `cross_origin` prepares answers to pages of other origins, `client_body` is its body, and `to_origin` writes it
//!   for its application.
//! - Requests that no client makes: `origin` says where a client's request went, `way` says where a request may go if
//!   an application has named its URI, and `permits` says when it may be made, in the order of `refetch_scheduler`.

#![forbid(unsafe_code)]

mod client_body;
mod connecting;
mod cross_origin;
pub mod forwarding;
mod origin;
mod packing;
mod permits;
mod refetch_scheduler;
mod routing;
mod signatures;
mod to_origin;
mod way;

pub use client_body::{KEPT_BYTES, Kept, request_body};
pub use connecting::Connect;
pub use origin::Origin;
pub use packing::PackedOrigin;
pub use permits::Permit;
pub use routing::{host_name, no_route};
pub use signatures::Signers;
pub use to_origin::{Scheme, say_what_was_heard};

use crate::clients::Clients;
use crate::config::Config;
use crate::context::Context;
use crate::delivery::Delivery;
use crate::origin::{Pool, Routes};
use crate::runtime;
use http::HeaderMap;
use refetch_scheduler::{RefetchScheduler, Ticket};
use signatures::Signatures;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Makes requests to applications.
pub struct Requests {
    context: Rc<Context>,
    clients: Rc<Clients>,
    delivery: Rc<Delivery>,
    routes: RefCell<Arc<Routes>>,
    pool: Pool,
    signatures: RefCell<Signatures>,
    /// Refetches and filter requests that wait for a permit.
    scheduler: RefCell<RefetchScheduler<Rc<Ticket>>>,
}

impl Requests {
    /// Makes requests by `routes`, signed by `signers`.
    pub fn new(
        context: Rc<Context>,
        clients: Rc<Clients>,
        delivery: Rc<Delivery>,
        routes: Arc<Routes>,
        signers: Signers,
    ) -> Rc<Requests> {
        let settings = context.settings();
        Rc::new(Requests {
            context,
            clients,
            delivery,
            routes: routes.into(),
            pool: Pool::new(&settings.proxy),
            signatures: Signatures::new(signers).into(),
            scheduler: RefetchScheduler::new(settings.channels.refetches_per_core, runtime::seed()).into(),
        })
    }

    /// The connections to applications.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Puts new settings, routes and keys in force.
    pub fn renew(&self, settings: &Config, routes: Arc<Routes>, signers: Signers) {
        self.pool.renew(&settings.proxy);
        self.scheduler.borrow_mut().set_limit(settings.channels.refetches_per_core);
        *self.routes.borrow_mut() = routes;
        self.signatures.borrow_mut().renew(signers);
    }

    /// Whether a request with these headers comes from another GRIP proxy.
    pub fn are_trusted(&self, headers: &HeaderMap) -> bool {
        self.signatures.borrow().are_trusted(headers)
    }
}
