//! Reads the section `[limits]`.

use super::values::*;
use crate::config::Limits;
use crate::config::section::Document;

pub(super) fn read(document: &mut Document<'_>, limits: &mut Limits) {
    let mut section = document.section("limits");
    section.read("connections_per_core", &mut limits.connections_per_core, count);
    section.read("connections_per_address", &mut limits.connections_per_address, |value| {
        count_or_none(value).map(Some)
    });
    section.read(
        "new_connections_per_address_per_s",
        &mut limits.new_connections_per_address_per_s,
        rate_or_none,
    );
    section.read("handshakes_per_address_per_s", &mut limits.handshakes_per_address_per_s, rate_or_none);
    section.read("exempt", &mut limits.exempt, exempt);
    section.read("backlog_bytes", &mut limits.backlog_bytes, count);
    section.read("backlog_bytes_per_core", &mut limits.backlog_bytes_per_core, count);
    section.read("slow_consumer", &mut limits.slow_consumer, slow_consumer);
    section.read("subscriptions_per_connection", &mut limits.subscriptions_per_connection, count);
    section.read("mesh_messages", &mut limits.mesh_messages, count);
    section.read("held_bytes_per_core", &mut limits.held_bytes_per_core, count);
    section.read("memory_bytes", &mut limits.memory_bytes, |value| bytes_or_none(value).map(Some));
    section.read("sockjs_conversations", &mut limits.sockjs_conversations, count);
}
