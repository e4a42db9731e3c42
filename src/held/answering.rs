//! Answers a client's request: asks the application of its route, and relays the application's answer, or holds the
//! client if the answer says so. The task of a held request ends here.

use super::Holds;
use super::kept_request::KeptRequest;
use super::links::{GoneLink, resolve};
use super::opening::HeldFor;
use crate::channel::HeardUpTo;
use crate::clients::counting::{count_request, count_response};
use crate::clients::{Exchange, Gone, Reason, Request, answer};
use crate::origin::{self, OriginError, RequestBody, Response, Route, Target};
use crate::proto::grip::{
    self, Channel, FilterError, Hold, IdRenderer, IdRendering, Instruct, InstructError, Link, Mode,
};
use crate::requests::{
    Connect, KEPT_BYTES, Kept, Permit, Scheme, no_route, request_body, say_what_was_heard,
};
use crate::runtime;
use bytes::{Bytes, BytesMut};
use futures_lite::FutureExt;
use http::header;
use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

/// The state that a refetch carries over from the request before; empty for a client's first request.
#[derive(Default)]
struct Before {
    heard: Vec<HeardUpTo>,
    behind: u32,
    gone: Option<GoneLink>,
    permit: Option<Permit>,
}

impl Holds {
    /// Answers `request`.
    pub async fn answer(self: &Rc<Self>, exchange: &Rc<Exchange>, mut request: Request) {
        if request.target == "*" {
            return answer::send_whole(exchange, &server_options());
        }
        let requests = &self.requests;
        let Some(route) = requests.find_route(exchange, &request, false) else {
            return requests.fail(exchange, &request, None, &no_route(&request));
        };
        if let Some(below) = route.below_sockjs(&request.target).map(str::to_owned) {
            return self.answer_sockjs(exchange, request, route, &below).await;
        }
        let connect = requests.connect(exchange, &mut request, &route, Scheme::Http);
        let Connect::GoesOn { body: asked_body } = connect else { return };
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
        self.ask(exchange, request, route, body, &kept, Before::default()).await;
    }

    /// Starts a task that refetches for a long poll: makes its request again when a permit is granted.
    pub(super) fn refetch_in_task(
        self: &Rc<Self>,
        exchange: Rc<Exchange>,
        again: Box<KeptRequest>,
        reason: Reason,
    ) {
        let (holds, delay_ms) = (self.clone(), self.requests.delay_ms(reason));
        runtime::spawn(async move {
            exchange.ended().or(holds.answer_refetch(&exchange, *again, delay_ms)).await;
        })
        .detach();
    }

    /// Makes the request of a long poll again, after `delay_ms` and when a permit is granted, and answers it.
    async fn answer_refetch(self: &Rc<Self>, exchange: &Rc<Exchange>, again: KeptRequest, delay_ms: u64) {
        let KeptRequest { request, body, heard, behind, gone, cross_origin: _ } = again;
        let requests = &self.requests;
        let Some(route) = requests.find_route(exchange, &request, false) else {
            return requests.fail(exchange, &request, None, &no_route(&request));
        };
        let kept = Rc::new(RefCell::new(Kept::of(&body)));
        exchange.keep_body(2 * body.len());
        let body = if body.is_empty() { RequestBody::Empty } else { RequestBody::Whole(body) };
        let permit = requests.permit(route.target_names().into(), delay_ms).await;
        self.context.gate.settled().await;
        let before = Before { heard, behind, gone, permit: Some(permit) };
        self.ask(exchange, request, route, body, &kept, before).await;
    }

    async fn ask(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        request: Request,
        route: Arc<Route>,
        body: RequestBody,
        kept: &RefCell<Kept>,
        before: Before,
    ) {
        let requests = &self.requests;
        let mut to_origin = requests.origin_request(&request, &route, body, Scheme::Http);
        say_what_was_heard(&mut to_origin.headers, &before.heard, &route);
        count_request(exchange, &to_origin);
        let outcome = requests.pool().request(&route, to_origin).await;
        let response = match outcome {
            Ok(response) => response,
            Err(_) if exchange.body_is_malformed() => return malformed_body(exchange),
            Err(error) => return requests.fail(exchange, &request, Some(&route), &error),
        };
        count_response(exchange, response.status, &response.headers);
        let is_grip =
            !route.no_grip && !request.is_trusted && grip::is_grip(response.status, &response.headers);
        if is_grip {
            // Boxed, so the future of a request that waits for its application is small.
            Box::pin(self.follow_instruct(exchange, request, &route, response, kept, before)).await;
        } else {
            // The answer may be long and its client slow, so the permit is given back first.
            drop(before.permit);
            let status = response.status;
            let sent = answer::relay(exchange, response).await;
            requests.log(exchange, &request, &route, status, sent.ok());
        }
    }

    /// Reads the answer as a GRIP instruct and follows it.
    async fn follow_instruct(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        request: Request,
        route: &Arc<Route>,
        response: Response,
        kept: &RefCell<Kept>,
        before: Before,
    ) {
        let requests = &self.requests;
        let refuse = |error: &OriginError| requests.fail(exchange, &request, Some(route), error);
        let read = match read_instruct(exchange, route, response, kept).await {
            Ok(read) => read,
            Err(error) => return refuse(&error),
        };
        let ReadInstruct { mut instruct, start, mut body, target, is_untold } = read;
        let too_large = start.len() > KEPT_BYTES;
        let origin = requests.origin_of(&request, route);
        let links = resolve(origin.asked_for(), next_link(&instruct), gone_link(&instruct));
        let Some(links) = links else {
            return refuse(&invalid(route, &InstructError::Link));
        };
        let goes_on = instruct.hold.is_none() && links.next.is_some();
        let streams = goes_on || instruct.hold.as_ref().is_some_and(|hold| hold.mode == Mode::Stream);
        if too_large && !streams {
            return refuse(&OriginError::InstructTooLarge { target: route.target_names() });
        }
        if is_untold || streams && answer::has_no_content(exchange.asked, &instruct.response) {
            requests.log(exchange, &request, route, instruct.response.status, Some(0));
            return answer::send_head(exchange, &instruct.response);
        }
        let hold = instruct.hold.take().or_else(|| goes_on.then(Hold::of_nothing));
        let (Some(mut hold), false) = (hold, exchange.asked.head) else {
            requests.log(
                exchange,
                &request,
                route,
                instruct.response.status,
                Some(instruct.response.body.len() as u64),
            );
            return answer::send_whole(exchange, &instruct.response);
        };
        // An origin may answer before it has read the whole request, so the rest of the request is read here.
        if let Ok(rest) = exchange.collect_body(KEPT_BYTES).await {
            kept.borrow_mut().add(&rest);
        }
        if !exchange.body_is_done() || kept.borrow().overflowed {
            return requests.fail(exchange, &request, Some(route), &OriginError::RequestTooLarge);
        }
        let mut rest_of_opening = None;
        if too_large {
            match send_opening(exchange, &instruct, start, &mut body).await {
                Ok(last) => rest_of_opening = Some(last),
                Err(Broken) => return exchange.reset(),
            }
        }
        add_channels_of_route(&mut hold, route, if goes_on { None } else { route.targets.get(target) });
        requests.log(exchange, &request, route, instruct.response.status, None);
        let body = mem::take(&mut kept.borrow_mut().bytes).freeze();
        let cross_origin = exchange.cross_origin();
        let (heard, behind, gone) = (Vec::new(), before.behind, before.gone);
        let again = KeptRequest { request, body, heard, behind, gone, cross_origin };
        let held_for = HeldFor { origin: Rc::new(origin), links, goes_on };
        self.hold(exchange, hold, instruct.response, again, rest_of_opening, held_for);
    }
}

/// An application's answer that was read as a GRIP instruct.
struct ReadInstruct {
    /// The instruct. Its answer has no content if `start` is longer than [`KEPT_BYTES`].
    instruct: Instruct,
    /// The content, or its beginning if it is longer than [`KEPT_BYTES`].
    start: Bytes,
    /// The rest of the content.
    body: origin::ResponseBody,
    /// The index of the route's target that answered.
    target: usize,
    /// The instruct is in the content of an answer to HEAD, so its answer is not known.
    is_untold: bool,
}

/// Reads `response` as a GRIP instruct. Counts its content, and books it together with the kept request (`kept`).
async fn read_instruct(
    exchange: &Exchange,
    route: &Route,
    response: Response,
    kept: &RefCell<Kept>,
) -> Result<ReadInstruct, OriginError> {
    let response = response.decoded(|| route.target_names()).await?;
    let Response { status, reason, mut headers, mut body, target, .. } = response;
    // The answer to HEAD has no content (RFC 9110 section 9.3.2).
    let is_untold = exchange.asked.head && grip::has_instruct_body(&headers);
    if is_untold {
        headers.remove(header::CONTENT_TYPE);
    }
    let reason = reason.as_deref().and_then(|reason| std::str::from_utf8(reason).ok());
    let start = collect(&mut body).await?;
    exchange.count_answered(start.len());
    exchange.keep_body(kept.borrow().bytes.capacity() + start.len());
    let given = if start.len() > KEPT_BYTES { Bytes::new() } else { start.clone() };
    let instruct =
        Instruct::parse(status, reason, &headers, given).map_err(|error| invalid(route, &error))?;
    Ok(ReadInstruct { instruct, start, body, target, is_untold })
}

fn invalid(route: &Route, error: &InstructError) -> OriginError {
    OriginError::Instruct { target: route.target_names(), reason: error.to_string() }
}

/// Gives the channels of `hold` the names that publishers use, and adds the channels that `target` implies.
fn add_channels_of_route(hold: &mut Hold, route: &Route, target: Option<&Target>) {
    if let Some(prefix) = &route.prefix {
        hold.channels.iter_mut().for_each(|channel| channel.name.insert_str(0, prefix));
    }
    let implied = target.map(|target| target.subscriptions.as_slice()).unwrap_or_default();
    hold.channels.extend(implied.iter().map(|name| Channel::named(name)));
}

/// The next link of the answer, whether the answer holds its client or not.
fn next_link(instruct: &Instruct) -> Option<&Link> {
    let of_hold = instruct.hold.as_ref().and_then(|hold| hold.next_link.as_ref());
    of_hold.or(instruct.next_link.as_ref())
}

fn gone_link(instruct: &Instruct) -> Option<&String> {
    instruct.hold.as_ref()?.gone_link.as_ref()
}

/// Streams an opening that is too large to keep, except its last part. The last part is sent when the client is
/// subscribed.
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
    exchange.send_paced(answer::stream_opening(exchange, &instruct.response)).await?;
    while let Some(part) = body.next().await {
        let part = part?;
        exchange.count_answered(part.len());
        answer::send_part(exchange, mem::replace(&mut last, render(part)?)).await?;
    }
    rendering.as_ref().map_or(Ok(()), IdRendering::finish)?;
    Ok(last)
}

/// The client is gone, or the origin ended its answer too early.
struct Broken;

impl From<Gone> for Broken {
    fn from(_: Gone) -> Broken {
        Broken
    }
}

impl From<FilterError> for Broken {
    fn from(error: FilterError) -> Broken {
        tracing::warn!(%error, "a stream was reset: its opening could not be rendered");
        Broken
    }
}

impl From<OriginError> for Broken {
    fn from(_: OriginError) -> Broken {
        Broken
    }
}

/// The whole body, or its beginning up to a little more than may be kept.
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

fn malformed_body(exchange: &Rc<Exchange>) {
    exchange.context().metrics.bad_requests_total.add(1);
    answer::send_whole(exchange, &answer::text(400, "The request body is malformed.\n"));
}

/// The answer to `OPTIONS *`, which is a request to the server and not to an application (RFC 9110 section 9.3.7).
fn server_options() -> grip::Answer {
    let mut answer = answer::text(200, Bytes::new());
    answer.headers.remove(header::CONTENT_TYPE);
    answer.headers.insert(header::ALLOW, answer::ALLOWED);
    answer
}
