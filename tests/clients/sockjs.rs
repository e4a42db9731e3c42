//! SockJS's own client: what it says comes back, what is published reaches it, and it sees a close.

use crate::{folder, run};
use gripwire_harness::program::find;
use gripwire_harness::server::Server;
use serde_json::json;
use std::process::Command;

/// The service is that of the built-in test application.
const ROUTE: &str = "*,sockjs=/sockjs,sockjs_as_path=/ws test";

#[test]
fn the_library_speaks_by_each_transport_and_gets_what_is_published() {
    let Some(node) = find("node", "install it from the system's packages") else { return };
    let Some(_) = find(folder().join("node_modules/sockjs-client"), "run tests/clients/install") else {
        return;
    };
    let server = Server::start(ROUTE, "");
    let url = format!("http://{}/sockjs", server.clients);
    let mut client = run(Command::new(node).arg("sockjs.mjs").arg(url));
    for transport in ["websocket", "xhr-polling"] {
        assert_eq!(client.line(), format!("{transport}: {transport} says it all back"));
        let published = json!({"content": format!("published to {transport}")});
        server.publish_format("test", "ws-message", published);
        client.tell("go on");
        assert_eq!(client.line(), format!("{transport}: published"));
        let close = json!({"action": "close", "code": 3001, "reason": "enough"});
        server.publish_format("test", "ws-message", close);
        client.tell("go on");
        assert_eq!(client.line(), format!("{transport}: closed with 3001"));
    }
}

#[test]
fn a_page_speaks_by_each_transport_that_a_browser_has() {
    let Some(browser) = find("chromium", "install it from the system's packages") else { return };
    let Some(node) = find("node", "install it from the system's packages") else { return };
    let library = folder().join("node_modules/sockjs-client/dist/sockjs.min.js");
    let Some(library) = find(library, "run tests/clients/install") else { return };
    let server = Server::start(ROUTE, "");
    let origin = format!("http://{}", server.clients);
    let mut page = run(Command::new(node).arg("sockjs-browser.mjs").arg(origin).arg(browser).arg(library));
    for transport in ["websocket", "xhr-polling", "jsonp-polling"] {
        assert_eq!(page.line(), format!("{transport}: {transport}"));
    }
    assert_eq!(page.line(), "any: websocket");
}
