//! A core's connections to applications. Idle ones are kept for the next request to the same place, newest first,
//! and closed when they were idle too long. A request goes to the targets of its route in order, the next one only
//! when a target cannot be connected to.

use super::builtin;
use super::connect::{Sender, connect};
use super::error::OriginError;
use super::header_rules::response_headers;
use super::request::{Request, RequestBody};
use super::resolve::Resolver;
use super::response::{Response, ResponseBody};
use super::route::{Destination, Route, Target};
use super::tls::Tls;
use crate::config::Proxy;
use futures_lite::FutureExt;
use http::{HeaderValue, Uri, Version, header};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Idle connections kept for one place.
const IDLE_PER_PLACE: usize = 256;

/// Connections of one core.
pub struct Pool {
    resolver: Resolver,
    tls: Tls,
    idle: RefCell<FxHashMap<Place, Vec<(Instant, Sender)>>>,
    connect_timeout_ms: u64,
    idle_timeout_ms: u64,
    keep_alive: Duration,
}

/// Where a connection leads; requests to equal places may share connections.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Place {
    pub host: String,
    pub port: u16,
    pub tls: Option<Security>,
}

/// How a place's certificate is verified.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Security {
    /// The name for SNI, and the one the certificate must be for.
    pub name: String,
    pub insecure: bool,
}

/// A target did not answer.
enum Failure {
    /// It could not be connected to: the request is untouched, and the next target may have it.
    Connect(String, Box<hyper::Request<RequestBody>>),
    /// It got the request.
    Answer(OriginError),
}

impl Pool {
    /// An empty pool.
    pub fn new(settings: &Proxy) -> Rc<Pool> {
        Rc::new(Pool {
            resolver: Resolver::default(),
            tls: Tls::default(),
            idle: RefCell::default(),
            connect_timeout_ms: settings.connect_timeout_ms,
            idle_timeout_ms: settings.origin_idle_timeout_ms,
            keep_alive: Duration::from_millis(settings.origin_keep_alive_ms),
        })
    }

    /// Sends `request` to the first target of `route` that can be connected to.
    pub async fn request(self: &Rc<Self>, route: &Route, request: Request) -> Result<Response, OriginError> {
        if let Some(target) = route.targets.iter().find(|target| is_builtin(target)) {
            return builtin::answer(&target.destination, route, request).await;
        }
        let host = request.host.clone();
        let mut outgoing = Box::new(outgoing(request)?);
        let (mut tried, mut last) = (Vec::new(), String::new());
        for target in &route.targets {
            set_host(&mut outgoing, target.host.as_deref().unwrap_or(&host));
            let Some(place) = Place::of(target, &host) else { continue };
            match self.send(&place, outgoing).await {
                Ok(response) => return Ok(response),
                Err(Failure::Answer(error)) => return Err(error),
                Err(Failure::Connect(error, untouched)) => {
                    tried.push(target.destination.to_string());
                    last = error;
                    outgoing = untouched;
                }
            }
        }
        Err(OriginError::Unreachable { tried: tried.join(", "), last })
    }

    /// Keeps an idle connection.
    pub(super) fn put(&self, place: Place, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let of_place = idle.entry(place).or_default();
        if of_place.len() < IDLE_PER_PLACE {
            of_place.push((Instant::now(), sender));
        }
    }

    /// Closes the connections that were idle too long.
    pub fn purge(&self) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|_, of_place| {
            of_place.retain(|(since, sender)| since.elapsed() < self.keep_alive && !sender.is_closed());
            !of_place.is_empty()
        });
    }

    async fn send(
        self: &Rc<Self>,
        place: &Place,
        mut request: Box<hyper::Request<RequestBody>>,
    ) -> Result<Response, Failure> {
        while let Some(sender) = self.take(place).await {
            match self.exchange(place, sender, request).await {
                // The application closed the idle connection just when it was to be used again.
                Err(Retry::Untouched(untouched)) => request = untouched,
                Err(Retry::Failed(error)) => return Err(Failure::Answer(error)),
                Ok(response) => return Ok(response),
            }
        }
        let connected = within(self.connect_timeout_ms, connect(place, &self.resolver, &self.tls)).await;
        let sender = match connected {
            Some(Ok(sender)) => sender,
            Some(Err(error)) => return Err(Failure::Connect(error.to_string(), request)),
            None => {
                return Err(Failure::Connect(
                    format!("no connection after {} ms", self.connect_timeout_ms),
                    request,
                ));
            }
        };
        match self.exchange(place, sender, request).await {
            Ok(response) => Ok(response),
            Err(Retry::Untouched(_)) => {
                Err(Failure::Answer(OriginError::Broken("the connection was closed".into())))
            }
            Err(Retry::Failed(error)) => Err(Failure::Answer(error)),
        }
    }

    /// An idle connection to `place` that is ready.
    async fn take(&self, place: &Place) -> Option<Sender> {
        loop {
            let (since, mut sender) = self.idle.borrow_mut().get_mut(place)?.pop()?;
            if since.elapsed() < self.keep_alive && !sender.is_closed() && sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    async fn exchange(
        self: &Rc<Self>,
        place: &Place,
        mut sender: Sender,
        request: Box<hyper::Request<RequestBody>>,
    ) -> Result<Response, Retry> {
        let answer = match within(self.idle_timeout_ms, sender.try_send_request(*request)).await {
            Some(Ok(answer)) => answer,
            Some(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(untouched) => Retry::Untouched(Box::new(untouched)),
                    None => Retry::Failed(OriginError::Broken(reason_of(error.error()))),
                });
            }
            None => return Err(Retry::Failed(OriginError::Silent(self.idle_timeout_ms))),
        };
        if answer.status().is_informational() {
            let status = answer.status();
            return Err(Retry::Failed(OriginError::Broken(format!("status {status} to a plain request"))));
        }
        Ok(self.response(place, sender, answer))
    }

    fn response(
        self: &Rc<Self>,
        place: &Place,
        sender: Sender,
        answer: hyper::Response<Incoming>,
    ) -> Response {
        let (parts, incoming) = answer.into_parts();
        let reason = parts.extensions.get::<ReasonPhrase>();
        let reason = reason.and_then(|reason| std::str::from_utf8(reason.as_bytes()).ok()).map(str::to_owned);
        let home = (self.clone(), place.clone(), sender);
        Response {
            status: parts.status.as_u16(),
            reason,
            headers: response_headers(parts.headers),
            body: ResponseBody::incoming(incoming, self.idle_timeout_ms, home),
            publish: Vec::new(),
        }
    }
}

/// A request failed on one connection.
enum Retry {
    /// Before any of it was sent.
    Untouched(Box<hyper::Request<RequestBody>>),
    /// For good.
    Failed(OriginError),
}

impl Place {
    fn of(target: &Target, host: &str) -> Option<Place> {
        let Destination::Address { host: connect_host, port } = &target.destination else { return None };
        let name = match target.trust_connect_host {
            true => connect_host,
            false => target.host.as_deref().unwrap_or(host),
        };
        let name = without_port(name).to_owned();
        let tls = target.ssl.then_some(Security { name, insecure: target.insecure });
        Some(Place { host: connect_host.clone(), port: *port, tls })
    }
}

/// What `future` gives within `limit_ms`.
pub(super) async fn within<T>(limit_ms: u64, future: impl Future<Output = T>) -> Option<T> {
    let given_up = async {
        glommio::timer::sleep(Duration::from_millis(limit_ms)).await;
        None
    };
    async { Some(future.await) }.or(given_up).await
}

fn is_builtin(target: &Target) -> bool {
    matches!(target.destination, Destination::Test | Destination::Demo)
}

fn outgoing(request: Request) -> Result<hyper::Request<RequestBody>, OriginError> {
    let uri: Uri = request.path_and_query.parse().map_err(|error| OriginError::Broken(format!("{error}")))?;
    let mut outgoing = hyper::Request::new(request.body);
    *outgoing.method_mut() = request.method;
    *outgoing.uri_mut() = uri;
    *outgoing.version_mut() = Version::HTTP_11;
    *outgoing.headers_mut() = request.headers;
    Ok(outgoing)
}

fn set_host(outgoing: &mut hyper::Request<RequestBody>, host: &str) {
    if let Ok(value) = HeaderValue::from_str(host) {
        outgoing.headers_mut().insert(header::HOST, value);
    }
}

fn without_port(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

fn reason_of(error: &hyper::Error) -> String {
    use std::error::Error;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
