//! What an operator hears of what a core refused, lost, or gave up: for each counter that has grown one line of the log, at
//! most once a second, with the number and the setting to look at.

use super::metrics::{Growth, Metrics};
use crate::ids::CoreId;

macro_rules! sentences {
    ($($counter:ident, $what:ident: $sentence:literal;)+) => {
        /// What the operator has heard of, by counter.
        #[derive(Default)]
        pub struct ReportState {
            $($counter: Growth,)+
        }

        impl ReportState {
            /// Tells of all counters of `core` that nobody has more to say of. Called once a second.
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

// Each is a place of its own in the log, where lines of one place are thinned.
sentences! {
    overflows_total, connections: "clients did not take what was sent to them (limits.backlog_bytes)";
    memory_closed_total, clients: "clients that kept most were reset: memory is short (limits.memory_bytes)";
    memory_refused_total, refused: "clients and requests were refused: memory is short (limits.memory_bytes)";
    refused_connections_total, connections:
        "connections were reset: their addresses have as many as they may (limits.connections_per_address)";
    refused_new_connections_total, connections:
        "connections were reset: their addresses began too many in a second (limits.new_connections_per_address_per_s)";
    refused_handshakes_total, connections:
        "connections were reset: their addresses began too many handshakes in a second \
         (limits.handshakes_per_address_per_s)";
    slow_bodies_total, requests:
        "requests were refused: their bodies came too slowly (http.min_request_bytes_per_s)";
    slow_readers_total, clients:
        "clients were reset: they took what they were sent too slowly (http.min_answer_bytes_per_s)";
    refused_messages_total, sockets:
        "WebSockets were closed: their messages were too large or late, or there was no room for them \
         (websocket.message_bytes, message_timeout_ms, incoming_bytes_per_core)";
    refused_holds_total, requests: "long polls were not held (limits.held_bytes_per_core)";
    refused_conversations_total, requests:
        "conversations of SockJS were refused (limits.sockjs_conversations)";
    filter_failures_total, messages: "messages were not delivered: filters failed (debug logs say why)";
    publish_waits_total, publications: "publishers wait: the mesh between the cores is full";
    dropped_datagrams_total, datagrams: "datagrams were dropped: cores have no room for more";
    kernel_dropped_datagrams_total, datagrams:
        "datagrams were dropped by the kernel: they came faster than they were received (net.core.rmem_max)";
    wrong_secrets_total, requests: "requests with wrong secrets came to the control port";
    refused_pages_total, requests:
        "requests to the control port were refused: a page in a browser made them, or they were for another host \
         (control.hosts)";
}
