//! A routes file that changes while clients are held.

use std::time::Instant;

use crate::harness::origin::{self, Answer, Page};
use crate::harness::patience;
use crate::harness::proxy::reloading;
use crate::harness::publisher::response_item;
use crate::harness::request::get;
use crate::harness::routing;
use crate::harness::unique;
use gripwire_harness::directory::write;

#[test]
fn new_routes_are_in_force_soon_without_their_bad_lines_and_nobody_is_dropped() {
    let (proxy, channel) = (reloading(), unique("ch"));
    let holding =
        |hold| Answer::text("[opened]\n").header("Grip-Hold", hold).header("Grip-Channel", &channel);
    let (stream, poll) = (Page::answering(holding("stream")), Page::answering(holding("response")));
    let mut streaming = proxy.ask(&get(&stream.path));
    streaming.head();
    streaming.expect_body("[opened]\n");
    let mut polling = proxy.ask(&get(&poll.path));
    poll.await_hold();
    let more = format!("nonsense\nadded.test,header=X-Route:added {}\n", origin::address());
    write(&proxy.routes, &(routing::text(proxy.control) + &more));
    let page = Page::answering(Answer::text("ok"));
    let deadline = Instant::now() + patience();
    loop {
        assert_eq!(proxy.fetch(&get(&page.path).host("added.test")).code, 200);
        if page.request().headers.get("X-Route") == Some("added") {
            break;
        }
        assert!(Instant::now() < deadline, "the new route is not in force");
    }
    proxy.publish_stream(&channel, "still here\n");
    streaming.expect_body("still here\n");
    proxy.publish_until_answered(&mut polling, response_item(&channel, "still here too"));
    assert_eq!(polling.response().text(), "still here too");
}
