//! Ids of published items: those that come too early wait for their predecessors, and those that come twice are
//! delivered once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::publisher::response_item;
use crate::harness::request::get;
use crate::harness::unique;

/// A stream on a new channel, whose beginning has come, and the channel.
fn stream() -> (Client, String) {
    let channel = unique("ch");
    (standard().stream(&channel), channel)
}

/// An item for streams that says its id, and names its predecessor unless that is empty.
fn item(channel: &str, id: &str, prev_id: &str) -> Value {
    let mut item = json!({"channel": channel, "formats": {"http-stream": {"content": format!("{id}\n")}}});
    for (key, value) in [("id", id), ("prev-id", prev_id)] {
        if !value.is_empty() {
            item[key] = json!(value);
        }
    }
    item
}

#[test]
fn an_item_waits_for_the_one_it_names() {
    let (mut client, channel) = stream();
    for (id, prev_id) in [("1", ""), ("4", "3"), ("3", "2"), ("2", "1"), ("5", "4")] {
        standard().publish(item(&channel, id, prev_id));
    }
    client.expect_body("1\n2\n3\n4\n5\n");
}

#[test]
fn items_of_one_call_wait_for_each_other_too() {
    let (mut client, channel) = stream();
    let items = [("1", "0"), ("3", "2"), ("2", "1")].map(|(id, prev_id)| item(&channel, id, prev_id));
    standard().publish(json!(items));
    client.expect_body("1\n2\n3\n");
}

#[test]
fn an_item_whose_predecessor_does_not_come_is_delivered_after_a_while() {
    let (mut client, channel) = stream();
    standard().publish(json!([item(&channel, "1", ""), item(&channel, "4", "3")]));
    client.expect_body("1\n");
    let begun = Instant::now();
    client.expect_body("4\n");
    assert!(begun.elapsed() > Duration::from_millis(3_500), "delivered after {:?}", begun.elapsed());
    standard().publish(item(&channel, "5", "4"));
    client.expect_body("5\n");
}

#[test]
fn what_waits_behind_it_comes_after_it() {
    let (mut client, channel) = stream();
    for (id, prev_id) in [("1", ""), ("4", "3"), ("5", "4"), ("6", "5")] {
        standard().publish(item(&channel, id, prev_id));
        // Pushpin goes by the millisecond each came in.
        std::thread::sleep(Duration::from_millis(5));
    }
    client.expect_body("1\n4\n5\n6\n");
}

#[test]
fn an_item_that_names_nobody_does_not_wait_and_neither_does_one_outside_the_sequence() {
    let (mut client, channel) = stream();
    let mut beside = item(&channel, "beside", "nothing");
    beside["no-seq"] = json!(true);
    let items = [item(&channel, "1", ""), beside, item(&channel, "2", "1"), item(&channel, "7", "")];
    standard().publish(json!(items));
    client.expect_body("1\nbeside\n2\n7\n");
    standard().publish(item(&channel, "8", "7"));
    client.expect_body("8\n");
}

#[test]
fn after_an_item_without_an_id_nothing_waits() {
    let (mut client, channel) = stream();
    let mut without = item(&channel, "", "");
    without["formats"]["http-stream"]["content"] = json!("nameless\n");
    standard().publish(json!([item(&channel, "1", ""), without, item(&channel, "9", "8")]));
    client.expect_body("1\nnameless\n9\n");
}

#[test]
fn an_item_published_twice_is_delivered_once() {
    let (mut client, channel) = stream();
    standard().publish(json!([item(&channel, "1", ""), item(&channel, "1", ""), item(&channel, "2", "1")]));
    standard().publish(json!([item(&channel, "2", "1"), item(&channel, "1", ""), item(&channel, "3", "2")]));
    client.expect_body("1\n2\n3\n");
}

#[test]
fn an_item_published_twice_while_it_waits_is_delivered_once() {
    let (mut client, channel) = stream();
    for (id, prev_id) in [("1", ""), ("3", "2"), ("3", "2"), ("2", "1"), ("4", "3")] {
        standard().publish(item(&channel, id, prev_id));
    }
    client.expect_body("1\n2\n3\n4\n");
}

#[test]
fn the_same_id_on_another_channel_is_another_item() {
    let (mut one, one_channel) = stream();
    let (mut two, two_channel) = stream();
    standard().publish(json!([item(&one_channel, "1", ""), item(&two_channel, "1", "")]));
    one.expect_body("1\n");
    two.expect_body("1\n");
}

#[test]
fn an_item_beside_the_sequence_is_delivered_once_as_well() {
    let (mut client, channel) = stream();
    let mut beside = item(&channel, "beside", "");
    beside["no-seq"] = json!(true);
    standard().publish(json!([beside.clone(), beside, item(&channel, "end", "")]));
    client.expect_body("beside\nend\n");
}

#[test]
fn items_for_long_polls_and_streams_are_one_sequence() {
    let (mut client, channel) = stream();
    let mut for_polls = response_item(&channel, "for polls\n");
    for_polls["id"] = json!("2");
    for_polls["prev-id"] = json!("1");
    standard().publish(json!([item(&channel, "1", ""), item(&channel, "3", "2"), for_polls]));
    client.expect_body("1\n3\n");
}

#[test]
fn an_order_holds_for_subscribers_on_every_core() {
    let channel = unique("ch");
    let answer = Answer::text("[opened]\n").header("Grip-Hold", "stream").header("Grip-Channel", &channel);
    let page = Page::answering(answer);
    let mut clients: Vec<Client> = (0..8).map(|_| standard().ask(&get(&page.path))).collect();
    for client in &mut clients {
        client.head();
        client.expect_body("[opened]\n");
    }
    // Each call has a connection, and so perhaps a core, of its own.
    for pair in 0..10 {
        let (first, second) = (2 * pair + 1, 2 * pair + 2);
        let prev = |number: i32| if number == 1 { String::new() } else { (number - 1).to_string() };
        for number in if pair == 0 { [first, second] } else { [second, first] } {
            standard().publish(item(&channel, &number.to_string(), &prev(number)));
        }
    }
    let all: String = (1..=20).map(|number| format!("{number}\n")).collect();
    clients.iter_mut().for_each(|client| client.expect_body(&all));
}
