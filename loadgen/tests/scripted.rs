//! Tests that reports are exact: a server that follows a script loses, repeats, reorders and delays messages, and the report
//! must have exactly these counts. Workers are threads in these tests; they run the code of worker processes.

mod script;

use gripwire_loadgen::{Fleet, FleetError, FleetPlan, Layout, Message, Target, Transport, now_ns};
use script::{Script, event, line, message, socket_frame};
use std::collections::HashMap;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn open(script: &Script, transport: Transport, subscribers: u32) -> Fleet {
    let plan = FleetPlan::new(Target::Gripwire, transport, subscribers, script.address());
    let (fleet, opening) = Fleet::open(&plan).unwrap();
    assert_eq!((opening.open, opening.failed, opening.failure), (subscribers, 0, None));
    fleet
}

fn published(count: u32) -> HashMap<u32, u32> {
    HashMap::from([(0, count)])
}

#[test]
fn what_was_lost_repeated_and_swapped_is_counted_exactly_on_every_transport() {
    type Form = fn(&str) -> Vec<u8>;
    let line: Form = line;
    for (transport, form) in
        [(Transport::Stream, line), (Transport::Sse, event), (Transport::Websocket, socket_frame)]
    {
        // Of 10 messages: 3 and 7 are lost, 2 comes twice, 5 comes before 4, and 9 comes twice at the end.
        let sequence = [0, 1, 2, 2, 5, 4, 6, 8, 9, 9];
        let mut script = Script::start(transport);
        let mut fleet = open(&script, transport, 3);
        for number in sequence {
            script.send_to_all(&form(&message(0, number)));
        }
        fleet.wait_messages(3 * 8, PATIENCE).unwrap();
        // Duplicates are not awaited; the message after them shows that they were counted.
        script.send_to_all(&form(&message(0, 10)));
        fleet.wait_messages(3 * 9, PATIENCE).unwrap();
        let deliveries = fleet.collect(&published(11)).unwrap();
        let found = (
            deliveries.received,
            deliveries.lost,
            deliveries.duplicates,
            deliveries.out_of_order,
            deliveries.foreign,
        );
        assert_eq!(found, (27, 6, 6, 3, 0), "{}", transport.name());
        assert_eq!(deliveries.expected, 33);
        assert_eq!(deliveries.latencies.count(), 27);
        let again = fleet.collect(&published(11)).unwrap();
        assert_eq!((again.received, again.lost), (0, 0), "accounts are settled once");
    }
}

#[test]
fn a_clean_server_has_a_clean_account_and_a_silent_one_lost_everything() {
    for (sent, lost) in [(4, 0), (0, 8)] {
        let mut script = Script::start(Transport::Stream);
        let mut fleet = open(&script, Transport::Stream, 2);
        (0..sent).for_each(|number| script.send_to_all(&line(&message(0, number))));
        fleet.wait_messages(2 * u64::from(sent), PATIENCE).unwrap();
        let deliveries = fleet.collect(&published(4)).unwrap();
        assert_eq!((deliveries.received, deliveries.lost), (2 * u64::from(sent), lost));
        assert_eq!((deliveries.duplicates, deliveries.out_of_order, deliveries.foreign), (0, 0, 0));
    }
}

#[test]
fn messages_of_other_channels_and_damaged_ones_are_foreign() {
    let mut script = Script::start(Transport::Stream);
    let mut fleet = open(&script, Transport::Stream, 1);
    script.send_to_all(&line(&message(7, 0)));
    let mut damaged = message(0, 0);
    damaged.pop();
    script.send_to_all(&line(&damaged));
    script.send_to_all(&line("a keep-alive"));
    script.send_to_all(&line(&message(0, 0)));
    fleet.wait_messages(1, PATIENCE).unwrap();
    let deliveries = fleet.collect(&published(1)).unwrap();
    assert_eq!((deliveries.received, deliveries.lost, deliveries.foreign), (1, 0, 2));
}

#[test]
fn latency_counts_from_when_a_message_was_due_not_from_when_it_was_sent() {
    let mut script = Script::start(Transport::Stream);
    let mut fleet = open(&script, Transport::Stream, 1);
    // A server that took nothing for ten seconds and then the five messages of these seconds at once.
    let now_ns = now_ns();
    for number in 0..5u32 {
        let due_ns = now_ns - 10_000_000_000 + u64::from(number) * 2_000_000_000;
        let mut text = Vec::new();
        Message { channel: 0, sequence: number, due_ns }.write(60, &mut text);
        script.send_to_all(&line(std::str::from_utf8(&text).unwrap()));
    }
    fleet.wait_messages(5, PATIENCE).unwrap();
    let latencies = fleet.collect(&published(5)).unwrap().latencies;
    assert!(latencies.max_ns() >= 10_000_000_000, "{}", latencies.max_ns());
    // The histogram keeps three digits of each value.
    assert!(latencies.percentile_ns(50.0) >= 5_990_000_000, "{}", latencies.percentile_ns(50.0));
    assert!(latencies.percentile_ns(0.0) >= 1_990_000_000, "{}", latencies.percentile_ns(0.0));
}

#[test]
fn a_long_poll_asks_again_and_what_it_missed_meanwhile_is_no_loss() {
    let mut script = Script::start(Transport::Poll);
    let mut fleet = open(&script, Transport::Poll, 1);
    for number in [0, 3] {
        script.await_request(0);
        script.answer_poll(&message(0, number));
    }
    // The third request shows that the second answer was understood.
    script.await_request(0);
    fleet.wait_messages(2, PATIENCE).unwrap();
    let deliveries = fleet.collect(&published(5)).unwrap();
    assert_eq!((deliveries.received, deliveries.lost, deliveries.missed_between_polls), (2, 0, 3));
}

#[test]
fn a_long_poll_whose_connection_was_closed_connects_again() {
    let mut script = Script::start(Transport::Poll);
    let mut fleet = open(&script, Transport::Poll, 1);
    script.await_request(0);
    script.close_all();
    script.accept();
    script.await_request(0);
    script.answer_poll(&message(0, 0));
    fleet.wait_messages(1, PATIENCE).unwrap();
    assert_eq!(fleet.standing().closed, 0);
}

#[test]
fn subscribers_that_the_server_ends_are_counted() {
    let mut script = Script::start(Transport::Stream);
    let mut fleet = open(&script, Transport::Stream, 4);
    script.close_all();
    while fleet.standing().closed < 4 {
        fleet.listen(PATIENCE).unwrap();
    }
    assert_eq!(fleet.failure(), Some("the server closed the connection"));
    assert_eq!(fleet.collect(&published(2)).unwrap().lost, 8);
}

#[test]
fn subscribers_that_return_go_on_with_their_accounts() {
    let mut script = Script::start(Transport::Stream);
    let plan = FleetPlan {
        returns: true,
        ..FleetPlan::new(Target::Gripwire, Transport::Stream, 3, script.address())
    };
    let (mut fleet, _) = Fleet::open(&plan).unwrap();
    script.send_to_all(&line(&message(0, 0)));
    fleet.wait_messages(3, PATIENCE).unwrap();
    script.close_all();
    (0..3).for_each(|_| script.accept());
    while fleet.standing().returned < 3 {
        fleet.listen(PATIENCE).unwrap();
    }
    std::thread::sleep(Duration::from_millis(50)); // The silence that is to be found.
    script.send_to_all(&line(&message(0, 2)));
    fleet.wait_messages(6, PATIENCE).unwrap();
    let (standing, deliveries) = (fleet.standing(), fleet.collect(&published(3)).unwrap());
    assert_eq!((standing.open, standing.closed, standing.failed), (3, 3, 0));
    assert_eq!((deliveries.received, deliveries.lost, deliveries.duplicates), (6, 3, 0));
    // Each time is rounded to 2 ms.
    assert!(deliveries.longest_silence_ms >= 48, "{}", deliveries.longest_silence_ms);
}

#[test]
fn a_draining_fleet_counts_bytes_behind_the_opening_and_nothing_else() {
    for transport in [Transport::Stream, Transport::Websocket] {
        let mut script = Script::start(transport);
        let plan = FleetPlan {
            drain: true,
            worker_count: 2,
            ..FleetPlan::new(Target::Gripwire, transport, 4, script.address())
        };
        let (mut fleet, _) = Fleet::open(&plan).unwrap();
        let bytes = if transport == Transport::Stream { line("x") } else { socket_frame("x") };
        script.send_to_all(&bytes);
        fleet.wait_bytes(4 * bytes.len() as u64, PATIENCE).unwrap();
        let Err(FleetError::Late { came, .. }) = fleet.wait_bytes(1000, Duration::ZERO) else {
            panic!("no more has come");
        };
        assert_eq!(came, 4 * bytes.len() as u64);
    }
}

#[test]
fn a_subscriber_that_stalls_is_neither_read_nor_accounted_for() {
    let mut script = Script::start(Transport::Stream);
    let plan = FleetPlan {
        stall_percent: 50,
        layout: Layout::One,
        ..FleetPlan::new(Target::Gripwire, Transport::Stream, 4, script.address())
    };
    let (mut fleet, opening) = Fleet::open(&plan).unwrap();
    assert_eq!(opening.open, 4);
    script.send_to_all(&line(&message(0, 0)));
    fleet.wait_messages(2, PATIENCE).unwrap();
    let deliveries = fleet.collect(&published(1)).unwrap();
    assert_eq!((deliveries.expected, deliveries.received, deliveries.lost), (2, 2, 0));
}

#[test]
fn a_refused_connection_is_a_failure_that_says_why() {
    // The port is free again when the listener is dropped.
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let std::net::SocketAddr::V4(address) = listener.local_addr().unwrap() else { unreachable!() };
    drop(listener);
    let plan = FleetPlan::new(Target::Gripwire, Transport::Stream, 2, address);
    let (_, opening) = Fleet::open(&plan).unwrap();
    assert_eq!((opening.open, opening.failed), (0, 2));
    assert!(opening.failure.unwrap().contains("refused"));
}
