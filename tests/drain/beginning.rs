//! Which signals and calls begin a drain, which end the server at once, and how long a drain takes.

use crate::stage::{Stage, Way};
use gripwire_harness::client::{Client, Response};
use gripwire_harness::directory::Directory;
use gripwire_harness::request::{get, request};
use gripwire_harness::server::{Launch, Server, gripwire};
use gripwire_harness::socket;
use serde_json::{Value, json};

/// A drain that would take longer than any test.
const ENDLESS: &str = "[server]\ndrain_ms = 3600000\n";

/// A client for which the server waits, because its application does not answer.
fn waiting(stage: &Stage) -> Client {
    let client = stage.asking(Way::Plain, &get("/slow"));
    stage.await_told("/slow");
    client
}

/// The server has ended without an answer to this client.
fn expect_cut(mut client: Client) {
    assert!(client.try_head().is_err(), "an answer");
}

/// The answer to `/drain/` for a caller with this token, who declares no body.
fn call(server: &Server, method: &str, token: &str) -> Response {
    let call =
        request(method, "/drain/").host("localhost").header("Authorization", &format!("Bearer {token}"));
    Client::over(socket::connect(server.control)).send(call.bytes()).response()
}

fn endless(launch: Launch) -> Launch {
    launch.settings(ENDLESS)
}

#[test]
fn a_second_signal_of_either_kind_ends_the_server_at_once() {
    for (first, second) in [(libc::SIGTERM, libc::SIGINT), (libc::SIGINT, libc::SIGTERM)] {
        let mut stage = Stage::launched(endless);
        let client = waiting(&stage);
        stage.begin_by(|server| server.signal(first));
        assert!(stage.server.is_running());
        stage.server.signal(second);
        stage.expect_end();
        expect_cut(client);
    }
}

#[test]
fn what_hangs_is_cut_when_the_time_is_over() {
    let mut stage = Stage::with("[server]\ndrain_ms = 1500\n");
    let client = waiting(&stage);
    stage.begin();
    stage.expect_end();
    expect_cut(client);
}

#[test]
fn a_drain_of_no_time_ends_the_server_at_once() {
    let mut stage = Stage::with("[server]\ndrain_ms = 0\n");
    let client = waiting(&stage);
    stage.server.signal(libc::SIGTERM);
    stage.expect_end();
    expect_cut(client);
}

#[test]
fn with_demo_and_by_pushpins_name_the_first_signal_ends_the_server_at_once() {
    let directory = Directory::new("name");
    let name = directory.file("pushpin");
    std::os::unix::fs::symlink(gripwire().get_program(), &name).expect("a link to the program");
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let demo = Stage::launched(|launch| endless(launch).options(&["--demo"]));
        let pushpin = Stage::launched(|launch| endless(launch).program(&[&name.display().to_string()]));
        for mut stage in [demo, pushpin] {
            let client = waiting(&stage);
            stage.server.signal(signal);
            stage.expect_end();
            expect_cut(client);
        }
    }
}

#[test]
fn at_a_terminal_the_first_interrupt_ends_the_server_at_once_and_a_termination_drains_it() {
    let mut stage = Stage::launched(|launch| endless(launch).at_terminal());
    let client = waiting(&stage);
    stage.server.signal(libc::SIGINT);
    stage.expect_end();
    expect_cut(client);
    let mut stage = Stage::launched(|launch| endless(launch).at_terminal());
    let mut client = waiting(&stage);
    stage.begin();
    stage.let_answer();
    assert_eq!(client.response().text(), "slow\n");
    stage.expect_end();
}

#[test]
fn an_operator_may_begin_a_drain_and_is_told_what_begins() {
    let secrets = "[control]\ntokens = [\"publish,inspect other\", \"admin secret\"]\n";
    let mut stage = Stage::with(&format!("{ENDLESS}{secrets}"));
    let mut client = waiting(&stage);
    assert_eq!(call(&stage.server, "POST", "other").code, 403);
    assert_eq!(call(&stage.server, "GET", "secret").code, 405);
    let expect = |server: &Server, message| {
        let answer: Value = serde_json::from_slice(&call(server, "POST", "secret").body).expect("JSON");
        assert_eq!(answer, json!({"drain_ms": 3_600_000, "drain_notice_ms": 0, "message": message}));
    };
    stage.begin_by(|server| expect(server, "Draining"));
    expect(&stage.server, "Already draining");
    for (probe, code) in [("/readyz", 503), ("/healthz", 200)] {
        assert_eq!(Client::connect(stage.server.control).send(get(probe).bytes()).response().code, code);
    }
    // An orchestrator sends its first signal to a server that is being drained already.
    stage.server.signal(libc::SIGTERM);
    stage.let_answer();
    assert_eq!(client.response().text(), "slow\n");
    stage.expect_end();
}

#[test]
fn for_the_time_of_the_notice_clients_are_served_as_before() {
    let mut stage = Stage::with("[server]\ndrain_ms = 3600000\ndrain_notice_ms = 3000\n");
    let mut stream = stage.held(Way::Plain, &get("/stream"), "begun\n");
    let answer = call(&stage.server, "POST", "secret");
    assert!(answer.text().contains("\"drain_notice_ms\":3000"), "{}", answer.text());
    assert_eq!(Client::connect(stage.server.control).send(get("/readyz").bytes()).response().code, 503);
    // Even new ones.
    let answer = stage.server.fetch(&get("/quick"));
    assert_eq!((answer.text(), answer.headers.get("Connection")), ("quick\n", None));
    stream.expect_body_end();
    stage.expect_end();
}
