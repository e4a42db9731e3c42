//! What a publisher can say and learn beyond what Pushpin's control port knows: one item for several channels, and
//! receipts, which tell whom it reached.

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::request::get;
use crate::harness::{pushpin_differs, unique};

/// A client of a stream on `channels`, which has begun.
fn streaming(channels: &[&str]) -> Client {
    let answer = Answer::text("[opened]\n").header("Grip-Hold", "stream");
    let page = Page::answering(answer.header("Grip-Channel", &channels.join(", ")));
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("[opened]\n");
    client
}

#[test]
fn an_item_with_several_channels_goes_to_each_of_them() {
    pushpin_differs!("an item has one channel");
    let (one, two) = (unique("ch"), unique("ch"));
    let mut clients = [streaming(&[&one]), streaming(&[&two]), streaming(&[&one, &two])];
    standard().publish(json!({"channels": [one, two], "formats": {"http-stream": {"content": "x\n"}}}));
    standard().publish(json!({"channels": [two, one, two], "formats": {"http-stream": {"content": "y\n"}}}));
    for (client, expected) in clients.iter_mut().zip(["x\ny\n", "x\ny\n", "x\nx\ny\ny\n"]) {
        client.expect_body(expected);
    }
}
