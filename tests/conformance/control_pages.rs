//! Pages in browsers do not use the control port of the machine that the browser runs on; programs and people do.

use serde_json::json;

use crate::harness::client::Response;
use crate::harness::proxy::standard;
use crate::harness::publisher::stream_item;
use crate::harness::request::{Request, get, request};
use crate::harness::{pushpin_differs, unique};

const WHY: &str = "its control port answers every page of every browser on its machine";

/// What a browser sends for a page that posts a form, which needs no leave of the server.
fn form(channel: &str) -> Request {
    let item = stream_item(channel, "forged\n");
    let body = json!({"items": [item]}).to_string();
    request("POST", "/publish/").header("Content-Type", "text/plain").body(body)
}

/// A stream that shows whether any of `attempts`, to which it is given its channel, published something.
fn expect_nothing_published(attempts: impl FnOnce(&str)) {
    let channel = unique("ch");
    let mut stream = standard().stream(&channel);
    attempts(&channel);
    standard().publish(stream_item(&channel, "ours\n"));
    stream.expect_body("ours\n");
}

#[test]
fn a_page_of_another_site_neither_publishes_nor_reads() {
    pushpin_differs!(WHY);
    expect_nothing_published(|channel| {
        for (name, value) in [
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-site"),
            ("Origin", "http://evil.test"),
            ("Origin", "null"),
        ] {
            for request in
                [form(channel), get("/channels/"), get("/stats"), request("OPTIONS", "/publish/"), get("/")]
            {
                let refused = standard().control(&request.header(name, value));
                assert_eq!(refused.code, 403, "{name}: {value}");
                assert!(refused.text().contains(name), "{}", refused.text());
                assert!(!refused.headers.has("Access-Control-Allow-Origin"));
            }
        }
    });
}

#[test]
fn a_page_whose_host_was_bound_to_this_machine_is_told_apart_by_it() {
    pushpin_differs!(WHY);
    expect_nothing_published(|channel| {
        for host in ["evil.test", "evil.test:5561", "localhost.evil.test", "10.0.0.1"] {
            let own = form(channel).header("Origin", &format!("http://{host}"));
            let refused = standard().control_for(host, &own.header("Sec-Fetch-Site", "same-origin"));
            assert_eq!(refused.code, 403, "{host}");
            assert!(refused.text().contains("control.hosts"), "{}", refused.text());
        }
    });
}

#[test]
fn programs_and_people_use_it_as_ever() {
    let channel = unique("ch");
    let published = |response: Response| assert_eq!((response.code, response.text()), (200, "Published\n"));
    for host in ["localhost", "localhost:5561", "127.0.0.1", "127.0.0.2:5561", "[::1]:5561"] {
        published(standard().control_for(host, &form(&channel)));
    }
    published(standard().control(&form(&channel).header("Origin", "http://localhost")));
    published(standard().control(&form(&channel).header("Sec-Fetch-Site", "none")));
    let visit = get("/")
        .header("Sec-Fetch-Site", "cross-site")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "document");
    assert_eq!(standard().control(&visit).code, 200, "a link leads there");
}
