//! Messages of the load generator reach its subscribers through the real server, on every transport: nothing is lost,
//! repeated or out of order. Workers run as threads of the test, so no other program is needed.

use gripwire_loadgen::{
    FleetPlan, Layout, Mix, Origin, Outcome, PublishPlan, RunPlan, Target, Transport, Via, html_report, run,
};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The server, ended with the test.
struct Server {
    child: Child,
    clients: SocketAddrV4,
    control: SocketAddr,
}

impl Server {
    fn start(application: &[&str]) -> Server {
        let (clients, control) = (free_address(), free_address());
        let mut command = Command::new(env!("CARGO_BIN_EXE_gripwire"));
        command.arg("serve").args(application).args(["--cores", "2", "--log", "info", "--udp", "false"]);
        command.args(["--listen", &clients.to_string(), "--control", &control.to_string()]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let listening = lines.by_ref().filter(|line| line.contains("listening")).take(2).count();
        assert_eq!(listening, 2, "the server did not start");
        // Whatever else it says is read, so that it is never held up.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, clients, control: control.into() }
    }

    fn run(&self, mix: &str, layout: Layout) -> Outcome {
        let mix: Mix = mix.parse().unwrap();
        let fleet = FleetPlan {
            layout,
            worker_count: 2,
            ..FleetPlan::new(Target::Gripwire, mix.clone(), 60, self.clients)
        };
        let publish = PublishPlan {
            target: Target::Gripwire,
            address: self.control,
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
            duration: None,
        };
        let plan = RunPlan {
            fleet,
            publish: Some(publish),
            hold: Duration::ZERO,
            late: Duration::from_secs(60),
            processes: vec![self.child.id()],
        };
        run(&plan, &mut |_, _| {}).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddrV4 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    match listener.local_addr().unwrap() {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => unreachable!("an IPv4 address was bound"),
    }
}

fn assert_clean(outcome: &Outcome, deliveries: u64) {
    assert!(outcome.is_clean(), "{:?}, {:?}, {} ended", outcome.tally, outcome.failure, outcome.closed);
    assert_eq!((outcome.opening.open, outcome.published_messages), (60, 600));
    assert_eq!((outcome.tally.received, outcome.tally.expected), (deliveries, deliveries));
    assert_eq!(outcome.tally.latencies.count(), deliveries);
}

#[test]
fn every_message_reaches_every_subscriber_of_the_demo() {
    let server = Server::start(&["--demo"]);
    assert_clean(&server.run("stream,sse,websocket", Layout::One), 60 * 600);
    assert_clean(&server.run("websocket", Layout::Each), 600);
    let outcome = server.run("sse", Layout::Zipf { channels: 10, exponent: 1.0 });
    assert_clean(&outcome, outcome.tally.expected);
    assert!(outcome.cpu_ns_a_delivery().unwrap() > 0.0);
    let page = html_report(&outcome, "a run", &[], "gripwire-loadgen");
    assert!(page.contains("nothing lost") && !page.contains("{{") && !page.contains("src="));
}

#[test]
fn the_bundled_origin_serves_all_transports() {
    let origin = Origin::start(free_address().into(), 1).unwrap();
    let route = format!("* {},over_http", origin.address());
    let server = Server::start(&["--route", &route]);
    assert_clean(&server.run("stream,sse,websocket", Layout::One), 60 * 600);
}

#[test]
fn long_polls_account_for_every_message() {
    let server = Server::start(&["--demo"]);
    let outcome = server.run(Transport::Poll.name(), Layout::One);
    assert!(outcome.is_clean(), "{:?}", outcome.tally);
    assert_eq!(outcome.tally.received + outcome.tally.missed_between_polls, 60 * 600);
    assert!(outcome.tally.received > 0);
}
