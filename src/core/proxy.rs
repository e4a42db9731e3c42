//! Answers a client's request: asks the origin of its route, and relays what comes back or holds the client as it
//! says. The task of a held request ends here.

use super::Core;
use super::again::Permit;
use super::client_body::{KEPT_BYTES, Kept, request_body};
use super::connection::Request;
use super::count::{count_request, count_response, request_bytes};
use super::cross_origin;
use super::exchange::{Exchange, Gone};
use super::forwarding::{believes_peer, client_address, client_network, is_https};
use super::hold::{Again, HeldFor};
use super::links::GoneLink;
use super::respond;
use super::sockjs;
use crate::channel::HeardUpTo;
use crate::origin::{self, Lookup, OriginError, Refusal, RequestBody, Response, Route, Target};
use crate::proto::grip::{
    self, Channel, FilterError, Hold, IdRenderer, IdRendering, Instruct, InstructError, Link, Mode,
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, header};
use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

/// Names the id of a route.
const PUSHPIN_ROUTE: HeaderName = HeaderName::from_static("pushpin-route");

/// Answers `request`.
pub(super) async fn answer(exchange: &Rc<Exchange>, mut request: Request) {
    if request.target == "*" {
        return respond::send_whole(exchange, &server_options());
    }
    let Some(route) = find_route(exchange, &request, false) else {
        return fail(exchange, &request, None, &no_route(&request));
    };
    if let Some(below) = route.below_sockjs(&request.target).map(str::to_owned) {
        return sockjs::answer(exchange, request, route, &below).await;
    }
    let asked_body = match cross_origin::prepare(exchange, &mut request, &route) {
        Ok(asked_body) => asked_body,
        Err(error) => return respond::send_whole(exchange, &respond::text(400, format!("{error}\n"))),
    };
    if let Some(error) = forged_events(&request, &route) {
        return fail(exchange, &request, Some(&route), &error);
    }
    let kept = Rc::new(RefCell::new(Kept::default()));
    let own_body = match request_body(exchange, request.body, &kept).await {
        Ok(body) => body,
        Err(_) => return malformed_body(exchange),
    };
    let body = match asked_body {
        None => own_body,
        Some(body) => {
            *kept.borrow_mut() = Kept::of(&body);
            exchange.keep_body(2 * body.len());
            RequestBody::Whole(body)
        }
    };
    ask(exchange, request, route, body, &kept, Before::default()).await;
}

/// The refusal of a client that speaks to its application as this server does for WebSockets.
pub(super) fn forged_events(request: &Request, route: &Route) -> Option<OriginError> {
    let is_forged = !request.is_trusted && !route.no_grip && grip::claims_events(&request.headers);
    is_forged.then(|| OriginError::ForgedEvents { route: route.id.clone() })
}

/// Answers the request of a long poll again, after `delay_ms` and when its application may be asked.
pub(super) async fn answer_again(exchange: &Rc<Exchange>, again: Again, delay_ms: u64) {
    let Again { request, body, heard, behind, gone, cross_origin: _ } = again;
    let Some(route) = find_route(exchange, &request, false) else {
        return fail(exchange, &request, None, &no_route(&request));
    };
    let kept = Rc::new(RefCell::new(Kept::of(&body)));
    exchange.keep_body(2 * body.len());
    let body = if body.is_empty() { RequestBody::Empty } else { RequestBody::Whole(body) };
    let permit = exchange.core().permit(route.target_names().into(), delay_ms).await;
    let before = Before { heard, behind, gone, permit: Some(permit) };
    ask(exchange, request, route, body, &kept, before).await;
}

/// What was before a request: nothing, unless it is made again.
#[derive(Default)]
struct Before {
    heard: Vec<HeardUpTo>,
    behind: u32,
    gone: Option<GoneLink>,
    permit: Option<Permit>,
}

async fn ask(
    exchange: &Rc<Exchange>,
    request: Request,
    route: Arc<Route>,
    body: RequestBody,
    kept: &RefCell<Kept>,
    before: Before,
) {
    let core = exchange.core().clone();
    let mut to_origin = origin_request(&core, &request, &route, body, Scheme::Http);
    say_what_was_heard(&mut to_origin.headers, &before.heard, &route);
    count_request(exchange, &to_origin);
    let outcome = core.pool.request(&route, to_origin).await;
    let mut response = match outcome {
        Ok(response) => response,
        Err(_) if exchange.body_is_malformed() => return malformed_body(exchange),
        Err(error) => return fail(exchange, &request, Some(&route), &error),
    };
    count_response(exchange, response.status, &response.headers);
    if let Err(busy) = core.publish(mem::take(&mut response.publish)).await {
        return respond::send_whole(exchange, &respond::text(503, format!("{busy}\n")));
    }
    let is_grip = !route.no_grip && !request.is_trusted && grip::is_grip(response.status, &response.headers);
    if is_grip {
        // Boxed, so that a request that waits for its application has no room for it.
        Box::pin(follow_instruct(exchange, request, &route, response, kept, before)).await;
    } else {
        // A client may take its time for what may be long.
        drop(before.permit);
        let status = response.status;
        let sent = respond::relay(exchange, response).await;
        log(exchange, &request, &route, status, sent.ok());
    }
}

/// Reads the answer as GRIP instructions and does what they say.
async fn follow_instruct(
    exchange: &Rc<Exchange>,
    request: Request,
    route: &Arc<Route>,
    response: Response,
    kept: &RefCell<Kept>,
    before: Before,
) {
    let refuse = |error: &OriginError| fail(exchange, &request, Some(route), error);
    let invalid = |error: InstructError| {
        refuse(&OriginError::Instruct { target: route.target_names(), reason: error.to_string() });
    };
    let response = match response.decoded(|| route.target_names()).await {
        Ok(response) => response,
        Err(error) => return refuse(&error),
    };
    let Response { status, reason, mut headers, mut body, target, .. } = response;
    // The answer to HEAD has no content (RFC 9110 section 9.3.2), so what the instruct says of the answer is not known.
    let is_untold = exchange.asked.head && grip::has_instruct_body(&headers);
    if is_untold {
        headers.remove(header::CONTENT_TYPE);
    }
    let reason = reason.as_deref().and_then(|reason| std::str::from_utf8(reason).ok());
    let start = match collect(&mut body).await {
        Ok(start) => start,
        Err(error) => return refuse(&error),
    };
    exchange.count_answered(start.len());
    exchange.keep_body(kept.borrow().bytes.capacity() + start.len());
    let too_large = start.len() > KEPT_BYTES;
    let given = if too_large { Bytes::new() } else { start.clone() };
    let mut instruct = match Instruct::parse(status, reason, &headers, given) {
        Ok(instruct) => instruct,
        Err(error) => return invalid(error),
    };
    let origin = exchange.core().origin_of(&request, route);
    let Some(links) = origin.links(next_link(&instruct), gone_link(&instruct)) else {
        return invalid(InstructError::Link);
    };
    let goes_on = instruct.hold.is_none() && links.next.is_some();
    let streams = goes_on || instruct.hold.as_ref().is_some_and(|hold| hold.mode == Mode::Stream);
    if too_large && !streams {
        return refuse(&OriginError::InstructTooLarge { target: route.target_names() });
    }
    if is_untold || streams && respond::has_no_content(exchange.asked, &instruct.response) {
        log(exchange, &request, route, instruct.response.status, Some(0));
        return respond::send_head(exchange, &instruct.response);
    }
    let hold = instruct.hold.take().or_else(|| goes_on.then(Hold::of_nothing));
    let (Some(mut hold), false) = (hold, exchange.asked.head) else {
        log(exchange, &request, route, instruct.response.status, Some(instruct.response.body.len() as u64));
        return respond::send_whole(exchange, &instruct.response);
    };
    // An origin may answer before it has read all of the request.
    if let Ok(rest) = exchange.collect_body(KEPT_BYTES).await {
        kept.borrow_mut().add(&rest);
    }
    if !exchange.body_is_done() || kept.borrow().overflowed {
        return fail(exchange, &request, Some(route), &OriginError::RequestTooLarge);
    }
    let mut rest_of_opening = None;
    if too_large {
        match send_opening(exchange, &instruct, start, &mut body).await {
            Ok(last) => rest_of_opening = Some(last),
            Err(Broken) => return exchange.cut(),
        }
    }
    add_channels_of_route(&mut hold, route, if goes_on { None } else { route.targets.get(target) });
    log(exchange, &request, route, instruct.response.status, None);
    let body = mem::take(&mut kept.borrow_mut().bytes).freeze();
    let cross_origin = exchange.cross_origin();
    let (heard, behind, gone) = (Vec::new(), before.behind, before.gone);
    let again = Again { request, body, heard, behind, gone, cross_origin };
    let held_for = HeldFor { origin: Rc::new(origin), links, goes_on };
    exchange.core().clone().hold(exchange, hold, instruct.response, again, rest_of_opening, held_for);
}

/// Names the channels of `hold` as publishers know them, and adds those that `target` implies.
fn add_channels_of_route(hold: &mut Hold, route: &Route, target: Option<&Target>) {
    if let Some(prefix) = &route.prefix {
        hold.channels.iter_mut().for_each(|channel| channel.name.insert_str(0, prefix));
    }
    let implied = target.map(|target| target.subscriptions.as_slice()).unwrap_or_default();
    hold.channels.extend(implied.iter().map(|name| Channel::named(name)));
}

/// Where the answer goes on, whether it holds or not.
fn next_link(instruct: &Instruct) -> Option<&Link> {
    let of_hold = instruct.hold.as_ref().and_then(|hold| hold.next_link.as_ref());
    of_hold.or(instruct.next_link.as_ref())
}

fn gone_link(instruct: &Instruct) -> Option<&String> {
    instruct.hold.as_ref()?.gone_link.as_ref()
}

/// A target for the log: what clients put into queries, such as tokens, is no business of whoever reads that, unless
/// the settings say so.
pub(super) fn logged<'t>(core: &Core, target: &'t str) -> &'t str {
    match core.settings().log.queries {
        true => target,
        false => path_of(target),
    }
}

fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// Streams an opening that is too large to keep, but for its last part: the client sees that when it is subscribed.
async fn send_opening(
    exchange: &Exchange,
    instruct: &Instruct,
    start: Bytes,
    body: &mut origin::ResponseBody,
) -> Result<Bytes, Broken> {
    let mut rendering = instruct.renderer.clone().map(IdRenderer::begin);
    let mut render = |part: Bytes| match &mut rendering {
        Some(rendering) => rendering.push(&part),
        None => Ok(part),
    };
    let mut last = render(start)?;
    exchange.send_paced(respond::stream_opening(exchange, &instruct.response)).await?;
    while let Some(part) = body.next().await {
        let part = part?;
        exchange.count_answered(part.len());
        respond::send_part(exchange, mem::replace(&mut last, render(part)?)).await?;
    }
    rendering.as_ref().map_or(Ok(()), IdRendering::finish)?;
    Ok(last)
}

/// The client or the origin broke off.
struct Broken;

impl From<Gone> for Broken {
    fn from(_: Gone) -> Broken {
        Broken
    }
}

impl From<FilterError> for Broken {
    fn from(error: FilterError) -> Broken {
        tracing::warn!(%error, "a stream ends because its beginning cannot be rendered");
        Broken
    }
}

impl From<OriginError> for Broken {
    fn from(_: OriginError) -> Broken {
        Broken
    }
}

/// The body, or what of it goes a little beyond what may be kept.
async fn collect(body: &mut origin::ResponseBody) -> Result<Bytes, OriginError> {
    let mut start = BytesMut::new();
    while start.len() <= KEPT_BYTES {
        match body.next().await {
            Some(part) => start.extend_from_slice(&part?),
            None => break,
        }
    }
    Ok(start.freeze())
}

/// The route of a request, which is counted for it from now on.
pub(super) fn find_route(exchange: &Exchange, request: &Request, websocket: bool) -> Option<Arc<Route>> {
    let core = exchange.core();
    let host = host_name(&request.host).to_ascii_lowercase();
    let path = path_of(&request.target);
    let tls = is_https(core, request);
    let lookup = Lookup { host: &host, path, tls, websocket };
    let asked = asked_route(core, request);
    let route = {
        let routes = core.routes.borrow();
        asked.map_or_else(|| routes.find(&lookup), |id| routes.find_by_id(id, &lookup)).cloned()
    };
    if core.route_is_known(exchange.slot, route.as_deref(), websocket) {
        let asked = || request_bytes(request.method.as_str(), request.target.as_bytes(), &request.headers);
        exchange.count(|tally| tally.client.received.header_bytes += asked());
    }
    route
}

/// The id of the route that a request names, where it may.
fn asked_route<'a>(core: &Core, request: &'a Request) -> Option<&'a str> {
    let named = request.headers.get(PUSHPIN_ROUTE).filter(|_| core.settings().proxy.accept_pushpin_route);
    named?.to_str().ok().filter(|id| !id.is_empty())
}

/// The host without its port.
pub(super) fn host_name(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// What a client speaks.
#[derive(Clone, Copy)]
pub(super) enum Scheme {
    Http,
    WebSocket,
}

impl Scheme {
    /// How URIs call it when it is by TLS.
    fn secure(self) -> &'static str {
        match self {
            Scheme::Http => "https",
            Scheme::WebSocket => "wss",
        }
    }
}

/// A request as its origin gets it.
pub(super) fn origin_request(
    core: &Core,
    request: &Request,
    route: &Route,
    body: RequestBody,
    scheme: Scheme,
) -> origin::Request {
    let (host, path_and_query) = route.rewrite(&request.host, &request.target);
    let proxy = &core.settings().proxy;
    let speaks_for_us = !route.no_grip && !route.unsigned && !request.is_trusted;
    let rules = origin::Rules {
        route,
        proxy,
        peer: request.peer.map(|peer| peer.ip()),
        believes_peer: believes_peer(core, request),
        secure_scheme: is_https(core, request).then_some(scheme.secure()),
        is_trusted: request.is_trusted,
        grip_sig: match speaks_for_us {
            true => core.signatures.borrow().token(route),
            false => None,
        },
        grip_feature: grip::GRIP_FEATURE,
    };
    let mut headers = origin::request_headers(&request.headers, rules);
    if speaks_for_us {
        core.tell_of_refused_subscriptions(&mut headers, route);
    }
    let path_and_query = Bytes::from(path_and_query);
    let client = client_network(core, request);
    origin::Request { method: request.method.clone(), host, path_and_query, headers, body, client }
}

/// Tells an application what its client has got; channels have the names it gave them.
pub(super) fn say_what_was_heard(headers: &mut HeaderMap, heard: &[HeardUpTo], route: &Route) {
    for (channel, id) in heard {
        let prefix = route.prefix.as_deref().unwrap_or_default();
        let channel = channel.strip_prefix(prefix).unwrap_or(channel);
        if let Some(value) = grip::grip_last(channel, id) {
            headers.append(grip::GRIP_LAST, value);
        }
    }
}

/// Tells the client that its request failed, and the operator why.
pub(super) fn fail(exchange: &Rc<Exchange>, request: &Request, route: Option<&Route>, error: &OriginError) {
    let debug = exchange.core().settings().proxy.debug || route.is_some_and(|route| route.debug);
    let Refusal { status, body, retry_after_s } = error.answer(debug);
    // Of requests that have waited for too long there are many at a time: the operator hears of them once a second.
    let is_told_later = matches!(error, OriginError::QueueTimeout { .. });
    if !is_told_later && route.is_none_or(|route| route.logs(1)) {
        let target = logged(exchange.core(), &request.target);
        tracing::warn!(method = %request.method, host = request.host, target, %error, "request failed");
    }
    let mut answer = respond::text(status, body.into_owned());
    if let Some(seconds) = retry_after_s {
        answer.headers.insert(header::RETRY_AFTER, seconds.into());
    }
    respond::send_whole(exchange, &answer);
}

/// No route is for this request.
pub(super) fn no_route(request: &Request) -> OriginError {
    OriginError::NoRoute { host: request.host.clone(), path: path_of(&request.target).to_owned() }
}

fn malformed_body(exchange: &Rc<Exchange>) {
    exchange.core().gauges.bad_requests_total.add(1);
    respond::send_whole(exchange, &respond::text(400, "The request body is malformed.\n"));
}

/// The answer to `OPTIONS *`, which asks the server and no application (RFC 9110 section 9.3.7).
fn server_options() -> grip::Answer {
    let mut answer = respond::text(200, Bytes::new());
    answer.headers.remove(header::CONTENT_TYPE);
    answer.headers.insert(header::ALLOW, respond::ALLOWED);
    answer
}

fn log(exchange: &Exchange, request: &Request, route: &Route, status: u16, bytes: Option<u64>) {
    let settings = exchange.core().settings();
    if !settings.log.requests || !route.logs(2) {
        return;
    }
    let said = |name, is_wanted: bool| request.headers.get(name).filter(|_| is_wanted)?.to_str().ok();
    let forwarded_for = said("x-forwarded-for", settings.log.forwarded_for);
    let user_agent = said("user-agent", settings.log.user_agent);
    let (host, target) = (request.host.as_str(), logged(exchange.core(), &request.target));
    let (from, route, method) =
        (request.peer.map(|peer| tracing::field::display(peer.ip())), route.id.as_str(), &request.method);
    let client = client_address(exchange.core(), request)
        .filter(|client| Some(*client) != request.peer.map(|peer| peer.ip()));
    let client = client.map(tracing::field::display);
    let connection = bytes.is_none().then(|| exchange.core().id_of_place(exchange.slot));
    let connection = connection.map(tracing::field::display);
    let what = if bytes.is_some() { "answered" } else { "accepted" };
    tracing::info!(
        %method, host, target, from, client, forwarded_for, user_agent, route, status, bytes, connection, "{what}"
    );
}
