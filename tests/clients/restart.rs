//! A page that follows Server-Sent Events while its server is drained and another takes its place.

use crate::{folder, run};
use gripwire_harness::deadline::patience;
use gripwire_harness::origin::{Answer, Origin};
use gripwire_harness::port::Port;
use gripwire_harness::program::{Program, find};
use gripwire_harness::server::{Launch, Server};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

#[test]
fn an_event_source_connects_again_once_and_misses_nothing() {
    let Some(node) = find("node", "install it from the system's packages") else { return };
    let flag = "--experimental-eventsource";
    follow_over_restart(|url| run(Command::new(&node).args(["--no-warnings", flag, "restart.mjs"]).arg(url)));
}

#[test]
fn a_browser_connects_again_once_and_misses_nothing() {
    let Some(browser) = find("chromium", "install it from the system's packages") else { return };
    let Some(node) = find("node", "install it from the system's packages") else { return };
    let Some(_) = find(folder().join("node_modules/playwright-core"), "run tests/clients/install") else {
        return;
    };
    let start = |node: &Path, url: &str| run(Command::new(node).arg("restart.mjs").arg(url).arg(&browser));
    follow_over_restart(|url| start(&node, url));
}

fn follow_over_restart(start: impl FnOnce(&str) -> Program) {
    let (port, items) = (Port::claim(), Arc::new(Mutex::new(Vec::<String>::new())));
    let (ask, asked) = channel();
    let (stored, ask) = (items.clone(), Mutex::new(ask));
    let origin = Origin::http(move |request| {
        if request.target == "/page" {
            return Answer::text("").header("Content-Type", "text/html");
        }
        if request.target == "/favicon.ico" {
            return Answer::new(404, "Not Found");
        }
        let last = request.headers.get("Last-Event-ID").map(str::to_owned);
        let had: usize = last.as_deref().map_or(0, |id| id.parse().expect("an id that was given"));
        ask.lock().unwrap().send(last).expect("the test runs");
        let missed = stored.lock().unwrap()[had..].concat();
        let answer = Answer::new(200, "OK").header("Content-Type", "text/event-stream").body(missed);
        answer.header("Grip-Hold", "stream").header("Grip-Channel", "news")
    });
    let launch =
        || Launch::route(&origin.route()).options(&["--listen", &port.address().to_string()]).start();
    // Every item is stored, and published if there is a server.
    let publish = |server: Option<&Server>, number: usize| {
        let item = format!("id: {number}\ndata: {number}\n\n");
        items.lock().unwrap().push(item.clone());
        server.into_iter().for_each(|server| server.publish("news", &item));
    };
    let mut server = launch();
    let mut page = start(&format!("http://{}", port.address()));
    assert_eq!((page.line(), asked.recv_timeout(patience())), ("open".into(), Ok(None)));
    (1..=3).for_each(|number| publish(Some(&server), number));
    (1..=3).for_each(|number| assert_eq!(page.line(), number.to_string()));
    assert!(server.end_by(libc::SIGTERM).success());
    (4..=6).for_each(|number| publish(None, number));
    let server = launch();
    assert_eq!((page.line(), asked.recv_timeout(patience())), ("open".into(), Ok(Some("3".into()))));
    server.await_stats(|stats| stats["subscriptions"] == 1);
    (7..=9).for_each(|number| publish(Some(&server), number));
    (4..=9).for_each(|number| assert_eq!(page.line(), number.to_string()));
    assert!(asked.try_recv().is_err(), "it connects again once");
}
