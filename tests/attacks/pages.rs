//! Pages in a browser that runs on the server's machine.

use crate::DEADLINE;
use gripwire_harness::client::Client;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::request::{Request, get, request};
use gripwire_harness::server::{Launch, Server};
use serde_json::json;

/// A page that posts a form to the control port, and reads what it can.
fn attempts() -> Vec<Request> {
    let item = json!({"items": [{"channel": "c", "formats": {"http-stream": {"content": "forged\n"}}}]});
    let form = request("POST", "/publish/").header("Content-Type", "text/plain").body(item.to_string());
    let close = request("DELETE", "/connections/0-0-1");
    let all = [form, get("/channels/"), get("/stats"), close, request("POST", "/recover/").body("")];
    all.into()
}

fn code(server: &Server, request: &Request) -> u16 {
    Client::connect(server.control).send(request.bytes()).response().code
}

#[test]
fn no_page_uses_the_control_port() {
    let server = Launch::demo().and_route(Innocent::ROUTE).start();
    let innocent = Innocent::beside(&server);
    let mut stream = server.client();
    stream.send(get("/hold?channel=c").bytes()).head();
    stream.expect_body("held\n");
    for attempt in attempts() {
        let of_site = attempt.clone().host("localhost").header("Sec-Fetch-Site", "cross-site");
        let of_origin = attempt.clone().host("localhost").header("Origin", "http://evil.test");
        // The page's host leads to this machine now, so the browser takes it for the same origin.
        let rebound = attempt.host("evil.test").header("Origin", "http://evil.test");
        for attack in [of_site, of_origin, rebound.header("Sec-Fetch-Site", "same-origin")] {
            assert_eq!(code(&server, &attack), 403);
        }
    }
    server.publish("c", "ours\n");
    stream.expect_body("ours\n");
    innocent.expect_unharmed(DEADLINE);
}
