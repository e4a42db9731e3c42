//! The built-in applications: answers made without a socket. The pool calls [`answer`] when a route's target is
//! `test` or `demo`. The answers go through the same GRIP handling as any origin's, so the built-in applications can
//! try out a server. They keep no state.

use super::message::Response;
use super::page::Page;
use super::route::Destination;
use super::upload::RequestBody;
use super::{demo, test_target};
use crate::proto::grip::Publication;
use bytes::{Bytes, BytesMut};
use futures_lite::StreamExt;
use futures_lite::future::BoxedLocal;
use http::{Method, StatusCode};

/// The largest request body that the test handler reads, bytes; as in Pushpin.
const TEST_BODY_BYTES: usize = 100_000;
/// The largest request body that the demo reads, bytes: its echo accepts messages of the largest default size.
const DEMO_BODY_BYTES: usize = 17 * 1024 * 1024;

/// How built-in applications publish. The error says why the items could not be published.
pub(super) type Publish = dyn Fn(Vec<Publication>) -> BoxedLocal<Result<(), String>>;

/// The answer of the application at `destination`. `path` is the request's path without the route's `path_beg`, with
/// its query. The application's items are published by `publish` before this returns.
pub(super) async fn answer(
    destination: &Destination,
    method: &Method,
    path: &str,
    body: RequestBody,
    publish: Option<&Publish>,
) -> Response {
    let body_bytes = if *destination == Destination::Demo { DEMO_BODY_BYTES } else { TEST_BODY_BYTES };
    let Some(body) = collect(body, body_bytes).await else {
        return Page::text(StatusCode::BAD_REQUEST, "request too large\n").into_response(method);
    };
    match destination {
        Destination::Demo => {
            let (page, publications) = demo::answer(method, path, &body);
            let published = match publish {
                Some(publish) if !publications.is_empty() => publish(publications).await,
                _ => Ok(()),
            };
            let page = match published {
                Ok(()) => page,
                Err(why) => Page::text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            };
            page.into_response(method)
        }
        _ => test_target::answer(path, &body).into_response(method),
    }
}

/// The whole body; `None` if it ends early or has more than `limit` bytes.
async fn collect(body: RequestBody, limit: usize) -> Option<Bytes> {
    let whole = match body {
        RequestBody::Empty => Bytes::new(),
        RequestBody::Whole(bytes) => bytes,
        RequestBody::Stream { mut body, .. } => {
            let mut whole = BytesMut::new();
            while let Some(piece) = body.next().await {
                whole.extend_from_slice(&piece.ok()?);
                if whole.len() > limit {
                    return None;
                }
            }
            whole.freeze()
        }
    };
    (whole.len() <= limit).then_some(whole)
}
