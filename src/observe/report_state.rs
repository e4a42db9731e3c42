//! Log lines about things that a core refused, lost, or gave up. Each counter that has grown gets one line, at most
//! once a second, with the number and the setting to look at.

use super::metrics::{Growth, Metrics};
use crate::ids::CoreId;

macro_rules! sentences {
    ($($counter:ident, $what:ident: $sentence:literal;)+) => {
        /// For each counter, its value at its last log line.
        #[derive(Default)]
        pub struct ReportState {
            $($counter: Growth,)+
        }

        impl ReportState {
            /// Logs each counter of `core` that has grown since the last call. Called once a second.
            pub fn report(&self, core: CoreId, metrics: &Metrics) {
                let core = core.0;
                $(
                    let $what = self.$counter.of(&metrics.$counter);
                    if $what > 0 {
                        tracing::warn!(core, $what, $sentence);
                    }
                )+
            }
        }
    };
}

// Each sentence is a log callsite of its own, because the log thins repeated lines by callsite.
sentences! {
    overflows_total, connections: "clients read too slowly and their backlogs filled up (limits.backlog_bytes)";
    memory_closed_total, clients: "the clients that kept the most memory were reset: memory is short (limits.memory_bytes)";
    memory_refused_total, refused: "clients and requests were refused: memory is short (limits.memory_bytes)";
    refused_connections_total, connections:
        "connections were reset: their addresses have too many open connections (limits.connections_per_address)";
    refused_new_connections_total, connections:
        "connections were reset: their addresses opened too many in a second (limits.new_connections_per_address_per_s)";
    refused_handshakes_total, connections:
        "connections were reset: their addresses began too many TLS handshakes in a second \
         (limits.handshakes_per_address_per_s)";
    slow_bodies_total, requests:
        "requests were refused: their bodies came too slowly (http.min_request_bytes_per_s)";
    slow_readers_total, clients:
        "clients were reset: they read too slowly (http.min_answer_bytes_per_s)";
    refused_messages_total, sockets:
        "WebSockets were closed: a message was too large or late, or there was no room for it \
         (websocket.message_bytes, websocket.message_timeout_ms, websocket.incoming_bytes_per_core)";
    refused_holds_total, requests: "long polls were not held: the kept requests have no more room (limits.held_bytes_per_core)";
    refused_conversations_total, requests:
        "SockJS conversations were refused: there are too many (limits.sockjs_conversations)";
    filter_failures_total, messages: "messages were not delivered: filters failed (the debug log has the reasons)";
    publish_waits_total, publications: "publishers wait: the mesh between the cores is full";
    dropped_datagrams_total, datagrams: "datagrams were dropped: the cores' queues are full";
    kernel_dropped_datagrams_total, datagrams:
        "datagrams were dropped by the kernel: they came faster than they were received (net.core.rmem_max)";
    wrong_secrets_total, requests: "requests with wrong secrets came to the control port";
    refused_pages_total, requests:
        "requests to the control port were refused: a page in a browser made them, or they named another host \
         (control.hosts)";
}
