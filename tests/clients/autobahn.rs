//! Autobahn|Testsuite's fuzzing client against echoes: of the demo, which sees each WebSocket as HTTP requests, and of
//! the suite's own server, to which WebSockets pass through. `GRIPWIRE_AUTOBAHN=all` adds the cases that take minutes:
//! large messages (9) and compression (12, 13), `some` a sample of the latter for each of their settings.

use crate::{folder, run};
use gripwire_harness::deadline::await_some;
use gripwire_harness::directory::Directory;
use gripwire_harness::port::Port;
use gripwire_harness::program::{Program, find};
use gripwire_harness::server::Server;
use serde_json::{Value, json};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Framing, pings, reserved bits, opcodes, fragmentation, UTF-8, closing, and large payloads in many pieces.
const CASES: [&str; 8] = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"];
/// Messages of up to 16 MiB.
const LARGE: [&str; 1] = ["9.*"];

#[test]
fn the_fuzzing_client_finds_nothing_wrong_with_websockets_over_http() {
    let Some(wstest) = wstest() else { return };
    let cases = if extent() == Extent::Quick { CASES.to_vec() } else { [&CASES[..], &LARGE].concat() };
    let server = Server::start("* demo,over_http", "");
    expect_nothing_wrong(&wstest, &server, &cases);
}

#[test]
fn the_fuzzing_client_finds_nothing_wrong_with_messages_that_are_compressed() {
    compressed_over_http("12");
}

#[test]
fn the_fuzzing_client_finds_nothing_wrong_with_fragments_that_are_compressed() {
    compressed_over_http("13");
}

fn compressed_over_http(group: &str) {
    let Some(wstest) = wstest().filter(|_| extent() != Extent::Quick) else { return };
    let server = Server::start("* demo,over_http", "[websocket]\ncompression = true\n");
    // Within a setting they differ in how long messages are, and from the eleventh on in how they are cut.
    let cases = match extent() {
        Extent::Some => ["3", "6", "9"].map(|case| format!("{group}.*.{case}")).to_vec(),
        _ => vec![format!("{group}.*")],
    };
    expect_nothing_wrong(&wstest, &server, &cases.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_fuzzing_client_finds_nothing_wrong_with_websockets_that_pass_through() {
    let Some(wstest) = wstest() else { return };
    let echo = Echo::start(&wstest);
    let cases = if extent() == Extent::Quick { CASES.to_vec() } else { [&CASES[..], &LARGE].concat() };
    let server = Server::start(&format!("* {}", echo.target()), "");
    expect_nothing_wrong(&wstest, &server, &cases);
}

#[test]
fn the_fuzzing_client_finds_nothing_wrong_with_compression_that_passes_through() {
    let Some(wstest) = wstest().filter(|_| extent() == Extent::All) else { return };
    let echo = Echo::start(&wstest);
    let server = Server::start(&format!("*,no_grip {}", echo.target()), "");
    // Frames pass as they come, whatever is in them: the other cases of compression differ in that alone.
    expect_nothing_wrong(&wstest, &server, &["12.1.*", "13.1.*"]);
}

#[derive(PartialEq)]
enum Extent {
    Quick,
    Some,
    All,
}

fn extent() -> Extent {
    match std::env::var("GRIPWIRE_AUTOBAHN").as_deref() {
        Ok("all") => Extent::All,
        Ok("some") => Extent::Some,
        _ => Extent::Quick,
    }
}

/// The suite's program.
fn wstest() -> Option<PathBuf> {
    let remedy = "run tests/clients/install where Python 2.7 is to be had";
    if !folder().join(".autobahn").exists() {
        eprintln!("skipped: Autobahn|Testsuite is missing: {remedy}");
        return None;
    }
    find(folder().join(".autobahn/bin/wstest"), remedy)
}

/// The suite's own echo server.
struct Echo {
    port: u16,
    // The port is its own until it has ended.
    _program: Program,
    _claim: Port,
}

impl Echo {
    fn start(wstest: &Path) -> Echo {
        let claim = Port::claim();
        let port = claim.number();
        let uri = format!("ws://127.0.0.1:{port}");
        let mut command = Command::new(wstest);
        let program = run(command.args(["--mode", "testeeserver", "--webport", "0", "--wsuri", &uri]));
        await_some("the suite's echo server listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Echo { port, _program: program, _claim: claim }
    }

    /// It as a route's target. It wants its own port in Host.
    fn target(&self) -> String {
        format!("127.0.0.1:{0},host=127.0.0.1:{0}", self.port)
    }
}

fn expect_nothing_wrong(wstest: &Path, server: &Server, cases: &[&str]) {
    let reports = Directory::new("autobahn");
    let spec = json!({
        "outdir": reports.path(),
        "servers": [{"agent": "gripwire", "url": format!("ws://{}/echo", server.clients)}],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    reports.write("spec.json", &spec.to_string());
    let run = Command::new(wstest)
        .args(["--mode", "fuzzingclient", "--spec"])
        .arg(reports.file("spec.json"))
        .current_dir(reports.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let index = std::fs::read(reports.file("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let results = index["gripwire"].as_object().unwrap();
    assert!(results.len() >= 15, "only {} cases ran", results.len());
    for (case, result) in results {
        for aspect in ["behavior", "behaviorClose"] {
            let verdict = result[aspect].as_str().unwrap();
            assert!(["OK", "NON-STRICT", "INFORMATIONAL"].contains(&verdict), "case {case}: {result}");
        }
    }
}
