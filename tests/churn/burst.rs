//! Publishers that all come at once, with more than the lanes between cores take: afterwards nobody is left waiting,
//! and whoever comes then is served.

use gripwire_harness::client::Client;
use gripwire_harness::deadline::number;
use gripwire_harness::request::get;
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::socket;
use serde_json::{Value, json};

#[test]
fn after_a_burst_of_publishers_every_new_stream_is_held_on_eight_cores() {
    let server = Launch::demo().cores(8).start();
    for round in 0..number("GRIPWIRE_CHURN_BURSTS").unwrap_or(3) {
        burst(&server, round);
        let mut streams: Vec<Client> = (0..STREAMS).map(|_| server.client()).collect();
        for (place, stream) in streams.iter_mut().enumerate() {
            stream.send(get(format!("/hold?channel=stream-{round}-{place}")).bytes());
        }
        for stream in &mut streams {
            assert_eq!(stream.head().code, 200, "a stream after the burst");
            stream.expect_body("held\n");
        }
    }
    server.await_empty();
}

/// Calls by all publishers at once, each of which must be answered.
fn burst(server: &Server, round: u64) {
    let item = |publisher: usize, place: usize| -> Value {
        json!({"channel": format!("burst-{round}-{publisher}-{place}"), "http-stream": {"content": "x"}})
    };
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            scope.spawn(move || {
                let items: Vec<Value> = (0..ITEMS).map(|place| item(publisher, place)).collect();
                let call = server.publish_request(&json!({ "items": items }).to_string());
                let answer = Client::over(socket::connect(server.control)).send(call).response();
                assert_eq!((answer.code, answer.text()), (200, "Published\n"));
            });
        }
    });
}

const PUBLISHERS: usize = 48;
const ITEMS: usize = 2_000;
const STREAMS: usize = 200;
