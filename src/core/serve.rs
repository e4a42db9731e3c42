//! Hands each request to the service of the port it came by, in a task that is dropped when the client leaves.

use super::Core;
use super::connection::Request;
use super::exchange::Exchange;
use super::hold::Again;
use super::row::Service;
use super::{control, prometheus, proxy, respond, socket};
use crate::origin::RETRY_AFTER_S;
use crate::proto::websocket;
use crate::runtime;
use futures_lite::FutureExt;
use http::Method;
use std::rc::Rc;

impl Core {
    /// Starts answering `request`.
    pub(super) fn answer_in_task(self: &Rc<Self>, exchange: Rc<Exchange>, request: Request) {
        runtime::spawn(async move {
            let answered = async {
                match request.service {
                    _ if request.method == Method::TRACE => {
                        respond::send_whole(&exchange, &respond::no_trace());
                    }
                    Service::Clients(_) if exchange.core().is_full() => refuse_for_memory(&exchange),
                    Service::Clients(_) if websocket::is_upgrade(&request.headers) => {
                        socket::answer(&exchange, request).await;
                    }
                    Service::Clients(_) => proxy::answer(&exchange, request).await,
                    Service::Control | Service::LocalControl => control::answer(&exchange, request).await,
                    Service::Metrics => prometheus::answer(&exchange),
                }
            };
            exchange.ended().or(answered).await;
        })
        .detach();
    }

    /// Starts answering the request of a long poll again, after `delay_ms`.
    pub(super) fn proxy_again_in_task(self: &Rc<Self>, exchange: Rc<Exchange>, again: Again, delay_ms: u64) {
        runtime::spawn(async move {
            exchange.ended().or(proxy::answer_again(&exchange, again, delay_ms)).await;
        })
        .detach();
    }
}

/// Memory is short, and closing the largest consumers was not enough.
fn refuse_for_memory(exchange: &Rc<Exchange>) {
    exchange.core().gauges.memory_refused_total.add(1);
    let answer = respond::unavailable("The server has no memory left. Try again later.\n", RETRY_AFTER_S);
    respond::send_last(exchange, &answer);
}
