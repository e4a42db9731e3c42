//! The load generator's messages reach its subscribers through the real server, on every transport: no message is lost,
//! repeated or out of order. The load generator's workers run as threads of the test, so no other program is needed.

use gripwire_harness::port::Port;
use gripwire_harness::server::{Launch, Server};
use gripwire_loadgen::{
    FleetPlan, Layout, Mix, Origin, Outcome, PublishPlan, RunPlan, Target, Transport, Via, html_report, run,
};
use std::net::SocketAddr;
use std::time::Duration;

fn load(server: &Server, mix: &str, layout: Layout) -> Outcome {
    let SocketAddr::V4(clients) = server.clients else { panic!("an address of IPv6") };
    let mix: Mix = mix.parse().unwrap();
    let fleet =
        FleetPlan { layout, worker_count: 2, ..FleetPlan::new(Target::Gripwire, mix.clone(), 60, clients) };
    let publish = PublishPlan {
        target: Target::Gripwire,
        address: server.control,
        via: Via::Http,
        connections: 2,
        calls_in_flight: None,
        prefix: fleet.prefix.clone(),
        channels: layout.channels(60),
        mix,
        size_bytes: 120,
        batch: 3,
        rate_hz: 2000.0,
        messages: Some(600),
        outlives_server: false,
        duration: None,
    };
    let plan = RunPlan {
        fleet,
        publish: Some(publish),
        hold: Duration::ZERO,
        late: Duration::from_secs(60),
        processes: vec![server.id()],
    };
    run(&plan, &mut |_, _| {}).unwrap()
}

fn assert_clean(outcome: &Outcome, deliveries: u64) {
    assert!(outcome.is_clean(), "{:?}, {:?}, {} ended", outcome.deliveries, outcome.failure, outcome.closed);
    assert_eq!((outcome.opening.open, outcome.published_messages), (60, 600));
    assert_eq!((outcome.deliveries.received, outcome.deliveries.expected), (deliveries, deliveries));
    assert_eq!(outcome.deliveries.latencies.count(), deliveries);
}

#[test]
fn every_message_reaches_every_subscriber_of_the_demo() {
    let server = Launch::demo().start();
    assert_clean(&load(&server, "stream,sse,websocket", Layout::One), 60 * 600);
    assert_clean(&load(&server, "websocket", Layout::Each), 600);
    let outcome = load(&server, "sse", Layout::Zipf { channels: 10, exponent: 1.0 });
    assert_clean(&outcome, outcome.deliveries.expected);
    assert!(outcome.cpu_ns_a_delivery().unwrap() > 0.0);
    let page = html_report(&outcome, "a run", &[], "gripwire-loadgen");
    assert!(page.contains("nothing lost") && !page.contains("{{") && !page.contains("src="));
}

#[test]
fn the_bundled_origin_serves_all_transports() {
    let port = Port::claim();
    let origin = Origin::start(port.address(), 1).unwrap();
    let route = format!("* {},over_http", origin.address());
    let server = Launch::route(&route).start();
    assert_clean(&load(&server, "stream,sse,websocket", Layout::One), 60 * 600);
}

#[test]
fn long_polls_account_for_every_message() {
    let server = Launch::demo().start();
    let outcome = load(&server, Transport::Poll.name(), Layout::One);
    assert!(outcome.is_clean(), "{:?}", outcome.deliveries);
    assert_eq!(outcome.deliveries.received + outcome.deliveries.missed_between_polls, 60 * 600);
    assert!(outcome.deliveries.received > 0);
}
