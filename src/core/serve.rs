//! Hands each request to the room that serves the listener by which it came, in a task that is dropped if the client's
//! connection ends.

use super::Core;
use crate::clients::{Exchange, Request, Service, Services, answer};
use crate::control;
use crate::origin::RETRY_AFTER_S;
use crate::proto::http1::HeadError;
use crate::proto::websocket;
use crate::runtime;
use futures_lite::FutureExt;
use http::{HeaderMap, Method};
use std::rc::Rc;

impl Services for Core {
    fn answer(&self, exchange: Rc<Exchange>, request: Request) {
        let (context, holds, control) = (self.context.clone(), self.holds.clone(), self.control.clone());
        runtime::spawn(async move {
            let answered = async {
                match request.service {
                    _ if request.method == Method::TRACE => {
                        answer::send_whole(&exchange, &answer::no_trace());
                    }
                    Service::Clients(_) if context.accounts.is_full() => {
                        context.metrics.memory_refused_total.add(1);
                        refuse_for_memory(&exchange);
                    }
                    Service::Clients(_) if websocket::is_upgrade(&request.headers) => {
                        holds.answer_upgrade(&exchange, request).await;
                    }
                    Service::Clients(_) => holds.answer(&exchange, request).await,
                    Service::Control | Service::LocalControl => control.answer(&exchange, request).await,
                    Service::Metrics => control::prometheus::answer(&control, &exchange, &request),
                }
            };
            exchange.ended().or(answered).await;
        })
        .detach();
    }

    fn are_trusted(&self, headers: &HeaderMap) -> bool {
        self.requests.are_trusted(headers)
    }

    fn refusal(&self, service: Service, error: &HeadError) -> (u16, String) {
        match service {
            Service::Control | Service::LocalControl => control::head_refusal(error),
            Service::Clients(_) | Service::Metrics => (error.status(), format!("{error}\n")),
        }
    }
}

/// Refuses a request because memory is short and resetting the largest clients was not enough.
fn refuse_for_memory(exchange: &Rc<Exchange>) {
    let refusal = answer::unavailable("The server has no memory left. Try again later.\n", RETRY_AFTER_S);
    answer::send_last(exchange, &refusal);
}
