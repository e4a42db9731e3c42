//! Replays inputs that fuzzing has found, with every test run. The inputs are in `tests/fuzz/corpus`, one folder for each
//! target. The checks on them are in `tests/fuzz/checks`, which the fuzz targets use too.

#[path = "fuzz/checks/browser.rs"]
mod browser;
#[path = "fuzz/checks/grip.rs"]
mod grip;
#[path = "fuzz/checks/http1.rs"]
mod http1;
#[path = "fuzz/checks/proxy.rs"]
mod proxy;
#[path = "fuzz/checks/websocket.rs"]
mod websocket;

use std::path::Path;

#[test]
fn kept_request_heads_hold_what_is_promised() {
    replay("http1_head", http1::check_head);
}

#[test]
fn kept_request_bodies_hold_what_is_promised() {
    replay("http1_body", http1::check_body);
}

#[test]
fn kept_headers_of_proxies_hold_what_is_promised() {
    replay("proxy_protocol", proxy::check_proxy_header);
    replay("forwarded_for", proxy::check_forwarded_for);
}

#[test]
fn kept_answers_of_applications_hold_what_is_promised() {
    replay("http1_answer", http1::check_answer);
}

#[test]
fn kept_publish_calls_hold_what_is_promised() {
    replay("grip_publish", grip::check_publish);
}

#[test]
fn kept_datagrams_hold_what_is_promised() {
    replay("grip_compact", grip::check_compact);
}

#[test]
fn kept_messages_of_zeromq_hold_what_is_promised() {
    replay("grip_message", grip::check_message);
}

#[test]
fn kept_instructions_hold_what_is_promised() {
    replay("grip_instruct", grip::check_instruct);
}

#[test]
fn kept_routes_files_hold_what_is_promised() {
    replay("routes", grip::check_routes);
}

#[test]
fn kept_frames_hold_what_is_promised() {
    replay("websocket_frames", websocket::check_frames);
}

#[test]
fn kept_lists_of_events_hold_what_is_promised() {
    replay("websocket_events", websocket::check_events);
}

#[test]
fn kept_content_for_filters_holds_what_is_promised() {
    replay("filters", grip::check_filters);
}

#[test]
fn kept_requests_for_scripts_hold_what_is_promised() {
    replay("jsonp", browser::check_jsonp);
}

#[test]
fn kept_words_of_sockjs_clients_hold_what_is_promised() {
    replay("sockjs", browser::check_sockjs);
}

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is part of the project") {
        let path = entry.expect("a readable folder").path();
        println!("{}", path.display());
        check(&std::fs::read(&path).expect("a readable input"));
        replayed += 1;
    }
    assert!(replayed > 0, "{} holds nothing to replay", folder.display());
}
