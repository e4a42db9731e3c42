//! Tokens of the control port: what each is good for, and what whoever has none is told.

use serde_json::json;

use crate::harness::client::Response;
use crate::harness::proxy::{guarded, guessed};
use crate::harness::publisher::stream_item;
use crate::harness::pushpin_differs;
use crate::harness::request::{Request, get, request};

const WHY: &str = "its control port asks nobody who they are";

fn with(token: &str, request: Request) -> Response {
    guarded().control(&request.header("Authorization", &format!("Bearer {token}")))
}

fn publication(channel: &str) -> Request {
    let items = json!({"items": [stream_item("news-1", "x"), stream_item(channel, "y")]});
    request("POST", "/publish/").body(items.to_string())
}

/// The codes of the answers to one request of each kind: publish to news, publish elsewhere, look, close, refresh.
fn codes(token: &str) -> [u16; 5] {
    let refresh = request("POST", "/refresh/").body(json!({"channel": "nobody"}).to_string());
    let close = request("DELETE", "/connections/0-999999-1");
    [publication("news-2"), publication("other"), get("/channels/"), close, refresh]
        .map(|request| with(token, request).code)
}

#[test]
fn a_token_is_good_for_its_scopes_only() {
    pushpin_differs!(WHY);
    assert_eq!(codes("all"), [200, 200, 200, 404, 404]);
    assert_eq!(codes("see"), [403, 403, 200, 403, 403]);
    assert_eq!(codes("news"), [200, 403, 403, 403, 403]);
    std::thread::scope(|scope| {
        // Each answer to a wrong token takes its time.
        for unknown in ["", "al", "alll", "ALL"] {
            scope.spawn(move || assert_eq!(codes(unknown), [401; 5], "{unknown:?}"));
        }
    });
}

#[test]
fn a_refusal_names_the_permission_that_a_token_lacks() {
    pushpin_differs!(WHY);
    let refused = with("news", publication("other"));
    assert_eq!(refused.text(), "This token lacks the permission to publish to `other`.\n");
    let refused = with("news", get("/stats"));
    assert_eq!((refused.code, refused.text()), (403, "This token lacks the permission to show counters.\n"));
    let recover = with("news", request("POST", "/recover/").body(""));
    assert_eq!(recover.code, 403);
}

#[test]
fn who_guesses_is_slowed_down_and_counted_and_who_knows_is_not() {
    pushpin_differs!(WHY);
    const GUESSES: usize = 200;
    let known = get("/stats").header("Authorization", "Bearer see");
    let guess = get("/stats").host("localhost").header("Authorization", "Bearer guess").bytes();
    let mut guessers: Vec<_> = (0..GUESSES).map(|_| guessed().connect_control()).collect();
    for guesser in &mut guessers {
        guesser.send(guess.clone());
    }
    assert_eq!(guessed().control(&known).code, 200, "while others wait");
    let codes: Vec<u16> = guessers.iter_mut().map(|guesser| guesser.response().code).collect();
    let at_once = codes.iter().filter(|code| **code == 429).count();
    assert!(codes.iter().all(|code| [401, 429].contains(code)) && at_once < GUESSES, "{codes:?}");
    let stats: serde_json::Value = serde_json::from_str(guessed().control(&known).text()).expect("JSON");
    assert_eq!(stats["wrong_secrets_total"], GUESSES);
    assert_eq!(stats["undelayed_wrong_secrets_total"], at_once);
}

#[test]
fn whoever_has_no_token_is_asked_for_one() {
    pushpin_differs!(WHY);
    let refused = guarded().control(&publication("news-1"));
    assert_eq!((refused.code, refused.headers.get("WWW-Authenticate")), (401, Some("Bearer")));
}
