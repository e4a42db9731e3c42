//! Autobahn|Testsuite's fuzzing client against the demo's echo, which sees each WebSocket as HTTP requests.

use crate::program::{find, folder};
use crate::server::Server;
use serde_json::{Value, json};
use std::process::Command;

/// Framing, pings, reserved bits, opcodes, fragmentation, UTF-8, closing, and large payloads in many pieces.
const CASES: [&str; 8] = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"];

#[test]
fn the_fuzzing_client_finds_nothing_wrong_with_websockets_over_http() {
    let remedy = "run tests/clients/install where Python 2.7 is to be had";
    if !folder().join(".autobahn").exists() {
        eprintln!("skipped: Autobahn|Testsuite is missing: {remedy}");
        return;
    }
    let Some(wstest) = find(folder().join(".autobahn/bin/wstest"), remedy) else { return };
    let server = Server::start("* demo,over_http", "");
    let reports = std::env::temp_dir().join(format!("gripwire-autobahn-{}", server.clients.port()));
    let spec = json!({
        "outdir": reports,
        "servers": [{"agent": "gripwire", "url": format!("ws://{}/echo", server.clients)}],
        "cases": CASES,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    std::fs::create_dir_all(&reports).unwrap();
    std::fs::write(reports.join("spec.json"), spec.to_string()).unwrap();
    let run = Command::new(wstest)
        .args(["--mode", "fuzzingclient", "--spec"])
        .arg(reports.join("spec.json"))
        .current_dir(&reports)
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let index = std::fs::read(reports.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let cases = index["gripwire"].as_object().unwrap();
    assert!(cases.len() > 200, "only {} cases ran", cases.len());
    for (case, result) in cases {
        for aspect in ["behavior", "behaviorClose"] {
            let verdict = result[aspect].as_str().unwrap();
            assert!(["OK", "NON-STRICT", "INFORMATIONAL"].contains(&verdict), "case {case}: {result}");
        }
    }
    std::fs::remove_dir_all(reports).unwrap();
}
