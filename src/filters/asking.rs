//! Asks an application to decide on an item (http-check, http-modify): a POST to the `url` that the subscriber's
//! variables name. The request's headers have the subscriber's variables, the publisher's variables of the item, and
//! the ids of the items that the subscriber has. Such requests need permits like refetches, so an application gets a
//! bounded number of them at a time. A URL gets a bounded number of them a second (`pace`).

use super::Filters;
use crate::ids::Slot;
use crate::origin::{self, OriginError, RequestBody, Response};
use crate::patience::within;
use crate::proto::grip::{Filter, Publication};
use crate::requests::say_what_was_heard;
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method};
use std::rc::Rc;
use std::time::Duration;

/// How long an application may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of the largest answer that is accepted.
const ANSWER_BYTES: usize = 100_000;

/// The decision of an application.
pub(super) enum Answered {
    /// The item is not delivered.
    Drop,
    /// The item is delivered. If there is content here, it replaces the item's.
    Pass(Option<Bytes>),
}

/// Why an application did not decide.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("missing url value")]
    NoUrl,
    #[error("invalid url value")]
    Url,
    #[error("a variable has characters that a header cannot hold")]
    Meta,
    #[error("network request failed: {0}")]
    Origin(#[from] OriginError),
    #[error("network request failed: request timed out")]
    Timeout,
    #[error("unexpected network request status: code={0}")]
    Status(u16),
    #[error("network response exceeded {ANSWER_BYTES} bytes")]
    TooLarge,
}

impl Filters {
    /// Asks on behalf of `filter` about `item`, for the subscriber in `slot` with this number. `None` if that
    /// subscriber is gone.
    pub(super) async fn ask_about(
        self: &Rc<Self>,
        filter: Filter,
        slot: Slot,
        number: u64,
        item: &Publication,
        content: Bytes,
    ) -> Result<Option<Answered>, AskError> {
        let (target, origin, meta, delay_ms) = {
            let mut filtering = self.filtering.borrow_mut();
            let Some(subscriber) = filtering.get(slot, number) else { return Ok(None) };
            let (origin, meta) = (subscriber.origin.clone(), subscriber.variables().clone());
            let url = meta.iter().find(|(name, url)| name == "url" && !url.is_empty());
            let (_, url) = url.ok_or(AskError::NoUrl)?;
            let target = subscriber.at.resolve(url).ok_or(AskError::Url)?;
            let delay_ms = filtering.pace.delay_ms(&target, self.context.now_ms());
            (target, origin, meta, delay_ms)
        };
        let route = self.requests.way_to(&target, &origin);
        let _permit = self.requests.permit(route.target_names().into(), delay_ms).await;
        let pass = self.context.gate.pass().await;
        if self.filtering.borrow_mut().get(slot, number).is_none() {
            return Ok(None);
        }
        let mut request = self.requests.request_to(&target, Method::POST, &route, &origin);
        request.headers.insert(SUB_META, as_header(meta.iter().map(|(name, value)| (&**name, &**value)))?);
        request
            .headers
            .insert(PUB_META, as_header(item.meta.iter().map(|(name, value)| (&**name, &**value)))?);
        say_what_was_heard(&mut request.headers, &self.delivery.heard_by(slot), origin.route());
        if filter == Filter::HttpModify && !content.is_empty() {
            request.body = RequestBody::Whole(content);
        }
        self.context.metrics.filter_requests_total.add(1);
        let asked = async {
            let response =
                self.requests.pool().request(&route, request).await?.decoded(|| route.target_names()).await?;
            read(filter, response).await
        };
        let answered = within(PATIENCE, asked).await.unwrap_or(Err(AskError::Timeout)).map(Some);
        drop(pass);
        // If the subscriber is handed over meanwhile, the item waits for it there, and is asked about again.
        self.context.gate.settled().await;
        answered
    }
}

async fn read(filter: Filter, response: Response) -> Result<Answered, AskError> {
    let Response { status, headers, mut body, .. } = response;
    if status != 200 && status != 204 {
        return Err(AskError::Status(status));
    }
    let content = whole(&mut body).await?;
    if headers.get(ACTION).is_some_and(|action| action == "drop") {
        return Ok(Answered::Drop);
    }
    Ok(Answered::Pass((filter == Filter::HttpModify && status == 200).then_some(content)))
}

async fn whole(body: &mut origin::ResponseBody) -> Result<Bytes, AskError> {
    let mut whole = BytesMut::new();
    while let Some(part) = body.next().await {
        whole.extend_from_slice(&part?);
        if whole.len() > ANSWER_BYTES {
            return Err(AskError::TooLarge);
        }
    }
    Ok(whole.freeze())
}

/// Variables as a JSON object.
fn as_header<'m>(meta: impl Iterator<Item = (&'m str, &'m str)>) -> Result<HeaderValue, AskError> {
    let object: serde_json::Map<String, serde_json::Value> =
        meta.map(|(name, value)| (name.to_owned(), value.into())).collect();
    let text = serde_json::Value::Object(object).to_string();
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| AskError::Meta)
}

const SUB_META: HeaderName = HeaderName::from_static("sub-meta");
const PUB_META: HeaderName = HeaderName::from_static("pub-meta");
const ACTION: HeaderName = HeaderName::from_static("action");
