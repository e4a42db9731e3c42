//! Makes a core's requests to applications: takes a request and a route, and returns an answer or an error. Targets
//! are tried in order; the next target is tried only while nothing was sent. If a kept connection turns out dead, the
//! request is made again on a new connection, provided that the request may be made twice or was not written at all.
//! Each core has one pool on its thread and calls [`Pool::purge`] about every second.

use super::body::{Arriving, Lease, ResponseBody};
use super::connect::Connector;
use super::connect_error::ConnectError;
use super::connection::{Answered, Connection, Lost};
use super::error::{Attempt, OriginError};
use super::idle::{Bounds, Idle};
use super::local::{self, Publish};
use super::message::{Outbound, Request, Response};
use super::openings::{Opening, Openings, Overdue};
use super::origin_address::OriginAddress;
use super::own_ports::OwnPorts;
use super::response_headers::response_headers;
use super::route::{Destination, Route, Target};
use super::tls::Tls;
use super::upgrade::{PackedUpgraded, UpgradeAnswer, Upgraded};
use super::upload::Upload;
use crate::config::Proxy;
use crate::patience::within;
use crate::proto::grip::Publication;
use crate::proto::http1::AnswerHead;
use crate::runtime;
use crate::slack::Look;
use futures_lite::future::BoxedLocal;
use http::Method;
use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Connections to applications, and the requests on them.
pub struct Pool {
    connector: Connector,
    idle: Rc<RefCell<Idle<Connection>>>,
    /// Requests whose answer is not read to its end.
    openings: Openings,
    idle_timeout: Cell<Duration>,
    overdue: RefCell<Option<String>>,
    publish: OnceCell<Box<Publish>>,
}

/// The current figures of a pool, and how many requests it has refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Connections that carry no request.
    pub idle: usize,
    /// Requests whose answer is not read to its end.
    pub open: u64,
    /// Requests that wait for their turn.
    pub waiting: u64,
    /// Requests refused because they had waited for too long.
    pub queue_timeouts_total: u64,
}

/// Why a target gave no answer.
enum Trouble {
    /// Nothing was sent, so another target may be tried.
    Connect(ConnectError),
    Failed(OriginError),
}

impl Pool {
    /// An empty pool. It needs the core's executor only when a request is made.
    pub fn new(proxy: &Proxy) -> Self {
        Self::trusting(Tls::default(), proxy)
    }

    /// As [`Pool::new`], with these TLS configurations.
    pub(super) fn trusting(tls: Tls, proxy: &Proxy) -> Self {
        let bounds = Bounds {
            in_one_place: KEPT_FOR_ONE_PLACE,
            in_all: proxy.open_requests_per_core,
            keep: Duration::from_millis(proxy.origin_keep_alive_ms),
            age: Duration::from_millis(proxy.origin_connection_age_ms),
        };
        Pool {
            connector: Connector::new(tls, proxy.connect_timeout_ms),
            idle: Rc::new(RefCell::new(Idle::new(bounds))),
            openings: Openings::new(proxy.open_requests_per_core, proxy.queue_timeout_ms),
            idle_timeout: Duration::from_millis(proxy.origin_idle_timeout_ms).into(),
            overdue: RefCell::default(),
            publish: OnceCell::new(),
        }
    }

    /// Keeps requests away from `own_ports` if an application named their URI.
    pub fn protect(&self, own_ports: OwnPorts) {
        *self.connector.own_ports.borrow_mut() = own_ports;
    }

    /// Sets how built-in applications publish. Without this, their items are not published.
    pub fn publish_by(&self, publish: impl Fn(Vec<Publication>) -> BoxedLocal<Result<(), String>> + 'static) {
        debug_assert!(self.publish.get().is_none(), "there is one way to publish");
        self.publish.get_or_init(|| Box::new(publish));
    }

    /// Takes over the timeouts of new settings, for requests that are made from now on, and reads certificates again.
    pub fn renew(&self, proxy: &Proxy) {
        self.connector.set_timeout(proxy.connect_timeout_ms);
        self.connector.tls.forget_certificates();
        let keep = Duration::from_millis(proxy.origin_keep_alive_ms);
        self.idle.borrow_mut().set_times(keep, Duration::from_millis(proxy.origin_connection_age_ms));
        self.idle_timeout.set(Duration::from_millis(proxy.origin_idle_timeout_ms));
        self.openings.set_timeout(proxy.queue_timeout_ms);
    }

    /// Makes `request` at the first target of `route` that can be reached. Waits for its turn while the core has as
    /// many open requests as allowed. Dropping the future gives up the request and closes its connection.
    ///
    /// # Errors
    /// Why there is no answer; a target that cannot be reached is an error only if no other target can be.
    pub async fn request(&self, route: &Route, request: Request) -> Result<Response, OriginError> {
        match self.answer(route, request, false).await? {
            UpgradeAnswer::Response(response) => Ok(response),
            UpgradeAnswer::Switched(_) => Err(OriginError::Switched { target: route.target_names() }),
        }
    }

    /// As [`Pool::request`], for a request that asks to switch protocols: the request always has a new connection.
    ///
    /// # Errors
    /// As [`Pool::request`].
    pub async fn switch(&self, route: &Route, request: Request) -> Result<UpgradeAnswer, OriginError> {
        self.answer(route, request, true).await
    }

    async fn answer(
        &self,
        route: &Route,
        mut request: Request,
        may_switch: bool,
    ) -> Result<UpgradeAnswer, OriginError> {
        let asked_host = std::mem::take(&mut request.host);
        let mut outbound = Box::new(request.into_outbound()?);
        let mut tried = Vec::new();
        for (index, target) in route.targets.iter().enumerate() {
            let Destination::Address { host, port } = &target.destination else {
                let response = self.answer_locally(route, target, *outbound).await;
                return Ok(UpgradeAnswer::Response(response).of_target(index));
            };
            let uri_host = target.host.as_ref().or(route.as_host.as_ref()).unwrap_or(&asked_host);
            outbound.set_host(uri_host)?;
            let place = OriginAddress::of(host, *port, target, uri_host);
            match self.ask(&place, &mut outbound, may_switch).await {
                Ok(answer) => return Ok(answer.of_target(index)),
                Err(Trouble::Failed(error)) => return Err(error),
                Err(Trouble::Connect(
                    error @ (ConnectError::Private { .. } | ConnectError::OwnPort { .. }),
                )) => {
                    let attempt = Attempt { target: place.name(), error };
                    return Err(OriginError::Blocked { attempt });
                }
                Err(Trouble::Connect(error)) => tried.push(Attempt { target: place.name(), error }),
            }
        }
        Err(OriginError::Unreachable { route: route.id.clone(), tried })
    }

    /// Drops connections and names that are too old. Cheap; old connections and names cost only memory and
    /// descriptors.
    pub fn purge(&self, now: Instant) {
        self.idle.borrow_mut().purge(now);
        self.connector.resolver.purge(now);
    }

    /// Shows the tables that grow with clients to `look`.
    pub fn look_at_tables(&self, look: &mut Look<'_>) {
        self.openings.look_at_tables(look);
    }

    /// The application, `host:port`, of the last request that waited for its turn for too long since the last call.
    pub fn take_overdue(&self) -> Option<String> {
        self.overdue.take()
    }

    /// The figures for metrics.
    pub fn counts(&self) -> PoolCounts {
        PoolCounts {
            idle: self.idle.borrow().count(),
            open: self.openings.open(),
            waiting: self.openings.waiting(),
            queue_timeouts_total: self.openings.timeouts(),
        }
    }

    async fn answer_locally(&self, route: &Route, target: &Target, outbound: Outbound) -> Response {
        let path = route.local_path(outbound.target.as_str());
        let publish = self.publish.get().map(|publish| &**publish);
        local::answer(&target.destination, &outbound.method, path, outbound.body, publish).await
    }

    /// Asks one target on a kept connection. If there is none, or it is dead, the target is asked on a new connection.
    /// The body goes back to `outbound` if nothing was sent.
    async fn ask(
        &self,
        place: &OriginAddress,
        outbound: &mut Outbound,
        may_switch: bool,
    ) -> Result<UpgradeAnswer, Trouble> {
        let admitted = self.openings.admit(place, outbound.client).await;
        let opening = admitted.map_err(|overdue| self.queue_timeout(place, &overdue))?;
        let mut upload = outbound.upload();
        let to_head = outbound.method == Method::HEAD;
        let kept = if may_switch { None } else { self.kept(place).await };
        if let Some(mut connection) = kept {
            let spare = outbound.method.is_idempotent().then(|| upload.spare()).flatten();
            let exchanged = connection.exchange(upload, to_head, self.idle_timeout.get()).await;
            upload = match (exchanged, spare) {
                (Ok(answered), Some(spare)) if gave_up_waiting(&answered) => spare,
                (Ok(answered), _) => return accept(answered, self.lease(connection, place, opening)),
                (Err(lost), spare) => retry(lost, spare, place)?,
            };
        }
        // Boxed, because every waiting request would pay for the future's size, and few requests make a connection.
        let mut connection = match Box::pin(self.connector.connect(place)).await {
            Ok(connection) => connection,
            Err(error) => {
                outbound.body = upload.into_body();
                return Err(Trouble::Connect(error));
            }
        };
        match connection.exchange(upload, to_head, self.idle_timeout.get()).await {
            Ok(answered) if may_switch && answered.head.status == SWITCHING_PROTOCOLS => {
                Ok(switched(answered, connection))
            }
            Ok(answered) => accept(answered, self.lease(connection, place, opening)),
            Err(lost) => Err(failed(lost, place)),
        }
    }

    /// The switched connection that was packed in another process, on its `socket`.
    ///
    /// # Errors
    /// The system's error, if `socket` cannot be used.
    pub fn take_over(&self, packed: PackedUpgraded, socket: OwnedFd) -> io::Result<Upgraded> {
        Ok(Upgraded::unpack(packed, self.connector.transport_of(socket)?))
    }

    /// A kept connection to an address that `place` has now.
    async fn kept(&self, place: &OriginAddress) -> Option<Connection> {
        if !self.idle.borrow().has(place) {
            return None;
        }
        let resolver = &self.connector.resolver;
        // Boxed for the same reason as connecting. If the resolver hangs, the known addresses stay in force.
        within(LOOKUP, Box::pin(resolver.keep_current(&place.host))).await;
        let leads_there = |connection: &Connection| resolver.leads_to(&place.host, connection.address);
        self.idle.borrow_mut().take(place, runtime::now(), leads_there)
    }

    fn queue_timeout(&self, place: &OriginAddress, overdue: &Overdue) -> Trouble {
        let target = place.name();
        self.overdue.replace(Some(target.clone()));
        Trouble::Failed(OriginError::QueueTimeout { target, timeout_ms: overdue.timeout_ms })
    }

    fn lease(&self, connection: Connection, place: &OriginAddress, opening: Opening) -> Lease {
        let (home, idle) = (self.idle.clone(), self.idle_timeout.get());
        Lease { connection, place: place.clone(), home, idle, _opening: opening }
    }
}

/// The transport of a connection that answered 101.
fn switched(answered: Answered, connection: Connection) -> UpgradeAnswer {
    let mut headers = answered.head.headers;
    response_headers(&mut headers);
    let (transport, early) = connection.switched();
    UpgradeAnswer::Switched(Upgraded::new(headers, transport, early))
}

/// The answer for a head; its body keeps the lease.
fn accept(answered: Answered, lease: Lease) -> Result<UpgradeAnswer, Trouble> {
    let Answered { head, upload, is_reusable } = answered;
    if head.status == SWITCHING_PROTOCOLS {
        return Err(Trouble::Failed(OriginError::Switched { target: lease.place.name() }));
    }
    let AnswerHead { status, reason, mut headers, body: decoder, .. } = *head;
    response_headers(&mut headers);
    let body = ResponseBody::arriving(Arriving { decoder, upload, is_reusable, lease });
    Ok(UpgradeAnswer::Response(Response { status, reason, headers, body, target: 0 }))
}

/// Whether an application says that it closes a connection on which it waited for a request for too long. The
/// application did not see this request (RFC 9110 section 15.5.9).
fn gave_up_waiting(answered: &Answered) -> bool {
    answered.head.status == REQUEST_TIMEOUT && !answered.head.keep_alive
}

/// The upload to send again after a kept connection failed: the request itself if it was not written, or its spare if
/// no answer began.
///
/// # Errors
/// In all other cases the origin may have acted on the request, so the failure is returned.
fn retry(lost: Lost, spare: Option<Upload>, place: &OriginAddress) -> Result<Upload, Trouble> {
    match (lost, spare) {
        (Lost::Unsent(upload, _), _) => Ok(upload),
        (Lost::Unanswered(_), Some(spare)) => Ok(spare),
        (lost, _) => Err(failed(lost, place)),
    }
}

fn failed(lost: Lost, place: &OriginAddress) -> Trouble {
    let target = place.name();
    Trouble::Failed(match lost {
        Lost::Idle(limit) => OriginError::idle(target, limit),
        Lost::Body(source) => OriginError::RequestBody { target, source },
        Lost::Unsent(_, source) => OriginError::Broken { target, source: source.into() },
        Lost::Unanswered(source) | Lost::Garbled(source) => OriginError::Broken { target, source },
    })
}

const SWITCHING_PROTOCOLS: u16 = 101;
const REQUEST_TIMEOUT: u16 = 408;
/// How long a request with a kept connection waits for the resolver.
const LOOKUP: Duration = Duration::from_secs(1);
/// More connections to one place are rarely needed at once; more than this many are not kept.
const KEPT_FOR_ONE_PLACE: usize = 256;

#[cfg(test)]
mod tests;
