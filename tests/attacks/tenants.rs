//! Applications of one tenant that have the server ask where they cannot ask themselves: they read and publish for
//! nobody else, however they write an address.

use crate::DEADLINE;
use gripwire_harness::client::Client;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::origin::{Answer, Origin};
use gripwire_harness::port::Port;
use gripwire_harness::request::get;
use gripwire_harness::server::{Launch, Server};
use serde_json::json;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// An application that does as it is told by the query of a request: a stream that goes on with a link, or one whose
/// filter asks at a URL.
fn obedient() -> Origin {
    Origin::http(|request| {
        let (_, told) = request.target.split_once('?').unwrap_or_default();
        match told.split_once('=') {
            Some(("link", url)) => {
                Answer::text("[opened]\n").header("Grip-Link", &format!("<{url}>; rel=next"))
            }
            Some(("filter", url)) => Answer::stream("own; filter=http-modify", "[opened]\n")
                .header("Grip-Set-Meta", &format!("url=\"{url}\"")),
            _ => Answer::stream("foreign", "[opened]\n"),
        }
    })
}

fn serving(application: &Origin, metrics: &Port) -> Server {
    let address = application.address();
    let port = metrics.address().port();
    Launch::route(&format!("tenant.test,prefix=t- {address}"))
        .and_route(&format!("other.test {address}"))
        .and_route(Innocent::ROUTE)
        .settings(&format!("[stats]\nprometheus = \"0.0.0.0:{port}\"\nprometheus_prefix = \"some_\"\n[channels]\nlinger_ms = 500"))
        .start()
}

fn opened(server: &Server, host: &str, target: &str) -> Client {
    let mut client = server.client();
    client.send(get(target).host(host).bytes()).head();
    client.expect_body("[opened]\n");
    client
}

/// An address of this machine by which others would reach it, if it has one.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// Ways to write an address that leads to a port which is bound to `address`, or to all addresses of this machine.
fn spellings(address: SocketAddr, is_wide: bool) -> Vec<String> {
    let IpAddr::V4(bound) = address.ip() else { panic!("ports of tests have addresses of IPv4") };
    let own = own_address().filter(|_| is_wide).map(|own| own.to_string());
    let mut hosts = vec![
        bound.to_string(),
        bound.to_bits().to_string(),
        format!("0x{:x}", bound.to_bits()),
        format!("127.{}", bound.to_bits() & 0xff_ffff),
        format!("[::ffff:{bound}]"),
        format!("[::{bound}]"),
        format!("[64:ff9b::{bound}]"),
        "0.0.0.0".to_owned(),
        "[::]".to_owned(),
        "localhost".to_owned(),
    ];
    hosts.extend(own);
    hosts.iter().map(|host| format!("{host}:{}", address.port())).collect()
}

#[test]
fn no_link_reads_what_is_for_operators() {
    let (application, metrics) = (obedient(), Port::claim());
    let server = serving(&application, &metrics);
    let innocent = Innocent::beside(&server);
    let control = spellings(server.control, false).into_iter().map(|at| format!("http://{at}/stats"));
    let metrics = spellings(metrics.address(), true).into_iter().map(|at| format!("http://{at}/metrics"));
    for url in control.chain(metrics) {
        let mut client = opened(&server, "tenant.test", &format!("/?link={url}"));
        let read = client.expect_body_cut();
        assert_eq!(String::from_utf8_lossy(&read), "", "{url} was read");
    }
    innocent.expect_unharmed(DEADLINE);
    server.await_empty();
}

#[test]
fn no_filter_publishes_for_another_tenant() {
    let (application, metrics) = (obedient(), Port::claim());
    let server = serving(&application, &metrics);
    let innocent = Innocent::beside(&server);
    let mut victim = opened(&server, "other.test", "/");
    let forged =
        json!({"items": [{"channel": "foreign", "formats": {"http-stream": {"content": "forged\n"}}}]});
    for (number, at) in spellings(server.control, false).iter().enumerate() {
        let held = opened(&server, "tenant.test", &format!("/?filter=http://{at}/publish/"));
        server.publish("t-own", &forged.to_string());
        server.await_stats(|stats| stats["filter_failures_total"] > number as u64);
        drop(held);
        server.await_stats(|stats| stats["subscriptions"] <= 3);
    }
    server.publish("foreign", "true\n");
    victim.expect_body("true\n");
    drop(victim);
    innocent.expect_unharmed(DEADLINE);
    server.await_empty();
}
