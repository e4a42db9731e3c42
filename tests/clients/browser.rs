//! What a new user sees: the demo page in two tabs, which also read a stream with fetch.

use crate::{folder, run};
use gripwire_harness::program::find;
use gripwire_harness::server::Server;
use std::process::Command;

#[test]
fn a_message_reaches_two_tabs_by_all_ways_and_streams_come_back_after_their_end() {
    let Some(browser) = find("chromium", "install it from the system's packages") else { return };
    let Some(node) = find("node", "install it from the system's packages") else { return };
    let Some(_) = find(folder().join("node_modules/playwright-core"), "run tests/clients/install") else {
        return;
    };
    let server = Server::start("* demo,over_http", "");
    let url = format!("http://{}/", server.clients);
    let mut tabs = run(Command::new(node).arg("browser.mjs").arg(url).arg(browser));
    assert_eq!(tabs.line(), "both tabs have the message by all ways");
    server.publish("demo", "data: from outside\n\n");
    tabs.tell("go on");
    assert_eq!(tabs.line(), "both tabs have what was published outside");
    server.close_streams("demo");
    tabs.tell("go on");
    assert_eq!(tabs.line(), "both tabs have connected again");
    server.publish("demo", "data: after the end\n\n");
    tabs.tell("go on");
    assert_eq!(tabs.line(), "both tabs go on");
}
