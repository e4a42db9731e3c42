//! Items that a subscriber's variables make much larger than they were published.

use crate::DEADLINE;
use gripwire_harness::innocent::Innocent;
use gripwire_harness::origin::{Answer, Origin};
use gripwire_harness::request::get;
use gripwire_harness::server::Launch;

/// Bytes of the variable.
const VALUE_BYTES: usize = 20_000;
/// How often an item names it: 200 MB of it, in 60 kB.
const TIMES: usize = 10_000;

#[test]
fn an_item_that_variables_make_huge_is_not_made() {
    let hold = Answer::text("held\n").header("Grip-Hold", "stream");
    let hold = hold.header("Grip-Channel", "vast; filter=var-subst");
    let application =
        Origin::answering(hold.header("Grip-Set-Meta", &format!("v={}", "x".repeat(VALUE_BYTES))));
    let server = Launch::route(&application.route()).and_route(Innocent::ROUTE).start();
    let innocent = Innocent::beside(&server);
    let mut client = server.client();
    client.send(get("/").bytes()).head();
    client.expect_body("held\n");
    let before = server.memory_bytes("VmHWM");
    server.publish("vast", &"%(v)s".repeat(TIMES));
    server.publish("vast", "small\n");
    client.expect_body("small\n");
    assert_eq!(server.stats()["filter_failures_total"], 1);
    let grown = server.memory_bytes("VmHWM") - before;
    assert!(grown < 50_000_000, "{grown} bytes for an item of {} bytes", 5 * TIMES);
    innocent.expect_unharmed(DEADLINE);
    drop(client);
    server.await_empty();
}
