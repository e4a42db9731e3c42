//! Reads the text of `gripwire.toml`; `load` reads the file and calls [`read`]. Each key has the name, the unit and the
//! meaning of the field of [`Config`] that it sets; an absent key leaves the default. All mistakes are reported
//! together, each with its line, and a configuration with a mistake is not used. `values` reads single values.

mod limits;
mod values;

use std::path::Path;

use super::files::{directory, resolve_key};
use super::section::Document;
use super::{Channels, Config, Control, Http, Ingest, Log, Problem, Proxy, Server, Stats, WebSocket, ZeroMq};
use values::*;

/// Reads the text of the file at `path`.
///
/// # Errors
/// All mistakes, in the order of their lines.
pub fn read(text: &str, path: &Path) -> Result<Config, Vec<Problem>> {
    let mut document = Document::parse(text, path.display().to_string()).map_err(|problem| vec![problem])?;
    let mut config = Config::default();
    document.section("").read("cores", &mut config.cores, |value| count(value).map(Some));
    read_server(&mut document, &mut config.server);
    read_http(&mut document, &mut config.http, directory(path));
    read_control(&mut document, &mut config.control, directory(path));
    read_ingest(&mut document, &mut config.ingest, directory(path));
    read_zeromq(&mut document, &mut config.zeromq, directory(path));
    read_proxy(&mut document, &mut config.proxy, directory(path));
    read_channels(&mut document, &mut config.channels);
    read_websocket(&mut document, &mut config.websocket);
    limits::read(&mut document, &mut config.limits);
    read_stats(&mut document, &mut config, directory(path));
    read_log(&mut document, &mut config.log);
    let problems = document.finish();
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn read_server(document: &mut Document<'_>, server: &mut Server) {
    let mut section = document.section("server");
    let drain_at = section.read("drain_ms", &mut server.drain_ms, milliseconds_or_never);
    let notice_at = section.read("drain_notice_ms", &mut server.drain_notice_ms, milliseconds_or_never);
    if server.drain_notice_ms > server.drain_ms {
        document.report(
            notice_at.or(drain_at).unwrap_or(0),
            "`server.drain_notice_ms` is a part of `server.drain_ms`, so it must not be longer: raise `drain_ms`",
        );
    }
}

fn read_http(document: &mut Document<'_>, http: &mut Http, directory: &Path) {
    let mut section = document.section("http");
    let listen_at = section.read("listen", &mut http.listen, listeners);
    section.read("tls_listen", &mut http.tls_listen, listeners);
    // `load` resolves this path, because the default path is resolved too.
    section.read("certificates", &mut http.certificates, |value| string(value).map(Into::into));
    section.read("unix_listen", &mut http.unix_listen, |value| unix_ports(value, directory));
    section.read("trusted_proxies", &mut http.trusted_proxies, |value| trusted_proxies(value).map(Some));
    section.read("proxy_protocol", &mut http.proxy_protocol, proxy_protocol);
    section.read("head_bytes", &mut http.head_bytes, count);
    section.read("head_timeout_ms", &mut http.head_timeout_ms, milliseconds);
    section.read("idle_timeout_ms", &mut http.idle_timeout_ms, milliseconds);
    section.read("min_request_bytes_per_s", &mut http.min_request_bytes_per_s, bytes_or_none);
    section.read("min_answer_bytes_per_s", &mut http.min_answer_bytes_per_s, bytes_or_none);
    section.read("rate_grace_ms", &mut http.rate_grace_ms, milliseconds);
    if http.is_unreachable() {
        document.report(
            listen_at.unwrap_or(0),
            "no port for clients: set `http.listen`, `http.tls_listen` or `http.unix_listen`",
        );
    }
}

fn read_control(document: &mut Document<'_>, control: &mut Control, directory: &Path) {
    let mut section = document.section("control");
    let listen_at = section.read("listen", &mut control.listen, control_listener);
    section.read("bearer_token", &mut control.bearer_token, |value| secret(value).map(Some));
    section.read("basic_password", &mut control.basic_password, |value| basic(value).map(Some));
    section.read("tokens", &mut control.tokens, tokens);
    section.read("tokens_file", &mut control.tokens_file, |value| path(value, directory).map(Some));
    section.read("hosts", &mut control.hosts, host_names);
    section.read("body_bytes", &mut control.body_bytes, count);
    if let Some(exposure) = control.exposure() {
        document.report(listen_at.unwrap_or(0), exposure);
    }
}

fn read_ingest(document: &mut Document<'_>, ingest: &mut Ingest, directory: &Path) {
    let mut section = document.section("ingest");
    let udp_at = section.read("udp", &mut ingest.udp, udp_socket);
    section.read("udp_allow_remote", &mut ingest.udp_allow_remote, boolean);
    section.read("udp_scopes", &mut ingest.udp_scopes, publish_scopes);
    section.read("unix_stream", &mut ingest.unix_stream, |value| path(value, directory).map(Some));
    section.read("unix_datagram", &mut ingest.unix_datagram, |value| path(value, directory).map(Some));
    section.read("unix_mode", &mut ingest.unix_mode, file_mode);
    section.read("unix_users", &mut ingest.unix_users, users);
    section.read("unix_groups", &mut ingest.unix_groups, groups);
    if let Some(exposure) = ingest.exposure() {
        document.report(udp_at.unwrap_or(0), exposure);
    }
}

fn read_zeromq(document: &mut Document<'_>, zeromq: &mut ZeroMq, directory: &Path) {
    let mut section = document.section("zeromq");
    let pull_at = section.read("pull", &mut zeromq.pull, |value| endpoint(value, directory).map(Some));
    let sub_at = section.read("sub", &mut zeromq.sub, |value| endpoints(value, directory));
    section.read("sub_connect", &mut zeromq.sub_connect, boolean);
    let command_at =
        section.read("command", &mut zeromq.command, |value| endpoint(value, directory).map(Some));
    section.read("ipc_mode", &mut zeromq.ipc_mode, |value| file_mode(value).map(Some));
    section.read("allow_remote", &mut zeromq.allow_remote, boolean);
    if let Some(exposure) = zeromq.exposure() {
        document.report(pull_at.or(sub_at).or(command_at).unwrap_or(0), exposure);
    }
}

fn read_proxy(document: &mut Document<'_>, proxy: &mut Proxy, directory: &Path) {
    let mut section = document.section("proxy");
    section.read("routes_file", &mut proxy.routes_file, |value| path(value, directory).map(Some));
    section.read("routes", &mut proxy.routes, strings);
    section.read("debug", &mut proxy.debug, boolean);
    section.read("sig_iss", &mut proxy.sig_iss, string);
    section.read("sig_key", &mut proxy.sig_key, |value| Ok(resolve_key(&string(value)?, directory)));
    section
        .read("upstream_key", &mut proxy.upstream_key, |value| Ok(resolve_key(&string(value)?, directory)));
    section.read("auto_cross_origin", &mut proxy.auto_cross_origin, boolean);
    section.read("sockjs_url", &mut proxy.sockjs_url, string);
    section.read("accept_pushpin_route", &mut proxy.accept_pushpin_route, boolean);
    section.read("cdn_loop", &mut proxy.cdn_loop, |value| header_value(value).map(Some));
    section.read("orig_headers_need_mark", &mut proxy.orig_headers_need_mark, header_names);
    section.read("accept_x_forwarded_protocol", &mut proxy.accept_x_forwarded_protocol, |value| {
        boolean(value).map(Some)
    });
    section.read("set_x_forwarded_protocol", &mut proxy.set_x_forwarded_protocol, forwarded_protocol);
    section.read("x_forwarded_for", &mut proxy.x_forwarded_for, |value| forwarded_for_words(value).map(Some));
    section.read("x_forwarded_for_trusted", &mut proxy.x_forwarded_for_trusted, |value| {
        forwarded_for_words(value).map(Some)
    });
    section.read("connect_timeout_ms", &mut proxy.connect_timeout_ms, milliseconds);
    section.read("origin_idle_timeout_ms", &mut proxy.origin_idle_timeout_ms, milliseconds);
    section.read("origin_keep_alive_ms", &mut proxy.origin_keep_alive_ms, milliseconds);
    section.read("origin_connection_age_ms", &mut proxy.origin_connection_age_ms, milliseconds);
    section.read("open_requests_per_core", &mut proxy.open_requests_per_core, count);
    section.read("queue_timeout_ms", &mut proxy.queue_timeout_ms, milliseconds_or_never);
}

fn read_channels(document: &mut Document<'_>, channels: &mut Channels) {
    let mut section = document.section("channels");
    section.read("message_wait_ms", &mut channels.message_wait_ms, milliseconds_or_never);
    section.read("duplicate_ids_ms", &mut channels.duplicate_ids_ms, milliseconds_or_never);
    section.read("refetches_per_core", &mut channels.refetches_per_core, count);
    section.read("refetch_spread_ms", &mut channels.refetch_spread_ms, milliseconds_or_never);
    section.read("linger_ms", &mut channels.linger_ms, milliseconds);
    section.read("update_on_first_subscription", &mut channels.update_on_first_subscription, boolean);
}

fn read_websocket(document: &mut Document<'_>, websocket: &mut WebSocket) {
    let mut section = document.section("websocket");
    section.read("message_bytes", &mut websocket.message_bytes, count);
    section.read("message_timeout_ms", &mut websocket.message_timeout_ms, milliseconds);
    section.read("incoming_bytes_per_core", &mut websocket.incoming_bytes_per_core, count);
    section.read("compression", &mut websocket.compression, boolean);
    section.read("answer_pings", &mut websocket.answer_pings, boolean);
    section.read("ping_interval_ms", &mut websocket.ping_interval_ms, milliseconds_or_never);
    section.read("pong_timeout_ms", &mut websocket.pong_timeout_ms, milliseconds);
}

fn read_stats(document: &mut Document<'_>, config: &mut Config, directory: &Path) {
    let Stats { socket, format, prometheus, prometheus_prefix, .. } = &mut config.stats;
    let mut section = document.section("stats");
    let socket_at = section.read("socket", socket, |value| endpoint(value, directory).map(Some));
    section.read("format", format, stats_format);
    section.read("prometheus", prometheus, |value| metrics_port(value, directory));
    section.read("prometheus_prefix", prometheus_prefix, string);
    section.read("connections", &mut config.stats.connections, boolean);
    section.read("connection_ttl_s", &mut config.stats.connection_ttl_s, positive);
    section.read("subscription_ttl_s", &mut config.stats.subscription_ttl_s, positive);
    section.read("report_interval_s", &mut config.stats.report_interval_s, seconds_or_never);
    section.read("message_block_bytes", &mut config.stats.message_block_bytes, positive);
    if let Some(exposure) = config.stats.exposure(config.zeromq.allow_remote) {
        document.report(socket_at.unwrap_or(0), exposure);
    }
}

fn read_log(document: &mut Document<'_>, log: &mut Log) {
    let mut section = document.section("log");
    section.read("level", &mut log.level, filter);
    section.read("requests", &mut log.requests, boolean);
    section.read("forwarded_for", &mut log.forwarded_for, boolean);
    section.read("user_agent", &mut log.user_agent, boolean);
    section.read("queries", &mut log.queries, boolean);
}

#[cfg(test)]
mod tests;
