//! Filters of WebSockets, of both kinds: those that pass through to their application, and those over HTTP.

use serde_json::{Value, json};

use crate::harness::proxy::{Proxy, debugging, standard};
use crate::harness::websocket::{Application, AwaitSubscription, control_event, text_event};
use crate::harness::websocket_origin::{Peer, Sockets};
use crate::harness::{pushpin_differs, unique};

/// A client whose application has sent `controls`, which are in force.
struct Subscriber {
    client: Peer,
    /// What it is without: the application's end.
    _application: Box<dyn std::any::Any>,
}

/// One of each kind, with the same `controls`, the last of which subscribes it to `channel`.
fn subscribed(channel: &str, controls: &[Value]) -> [Subscriber; 2] {
    subscribed_by(standard(), channel, controls)
}

fn subscribed_by(proxy: &Proxy, channel: &str, controls: &[Value]) -> [Subscriber; 2] {
    let (mut client, mut server) = Sockets::speaking_grip().open(proxy, "pass.test");
    controls.iter().for_each(|control| server.control(control.clone()));
    server.text("m:welcome");
    client.expect_text("welcome");
    client.await_subscription(proxy, channel);
    let through = Subscriber { client, _application: Box::new(server) };

    let events: String = controls.iter().map(|control| control_event(control.clone())).collect();
    let begun = format!("{events}{}", text_event("m:welcome"));
    let application = Application::answering(move |events| match events {
        "OPEN\r\n" => "OPEN\r\n".into(),
        "TEXT 5\r\nbegin\r\n" => begun.clone(),
        _ => String::new(),
    });
    let socket = proxy.open("sockets.test", &application.page.path);
    let mut client = Peer::client(&socket);
    client.text("begin");
    client.expect_text("welcome");
    client.await_subscription(proxy, channel);
    [through, Subscriber { client, _application: Box::new((application, socket)) }]
}

fn subscribe(channel: &str, filters: &[&str]) -> Value {
    json!({"type": "subscribe", "channel": channel, "filters": filters})
}

fn set_meta(name: &str, value: &str) -> Value {
    json!({"type": "set-meta", "name": name, "value": value})
}

fn item(channel: &str, content: &str, meta: Value) -> Value {
    json!({"channel": channel, "meta": meta, "formats": {"ws-message": {"content": content}}})
}

/// Publishes `items` and sees that both get `texts`, and nothing between them.
fn expect(subscribers: &mut [Subscriber; 2], items: Value, texts: &[&str]) {
    standard().publish(items);
    for subscriber in subscribers {
        texts.iter().for_each(|text| subscriber.client.expect_text(text));
    }
}

#[test]
fn what_a_user_sent_does_not_come_back() {
    let channel = unique("ch");
    let controls = [set_meta("user", "alice"), subscribe(&channel, &["skip-self"])];
    let items = json!([
        item(&channel, "own", json!({"sender": "alice"})),
        item(&channel, "of bob", json!({"sender": "bob"})),
    ]);
    expect(&mut subscribed(&channel, &controls), items, &["of bob"]);
}

#[test]
fn users_can_be_left_out() {
    let channel = unique("ch");
    let controls = [set_meta("user", "alice"), subscribe(&channel, &["skip-users"])];
    let items = json!([
        item(&channel, "for others", json!({"skip_users": "bob, alice"})),
        item(&channel, "for alice", json!({"skip_users": "bob"})),
    ]);
    expect(&mut subscribed(&channel, &controls), items, &["for alice"]);
}

#[test]
fn another_subscription_can_be_required() {
    pushpin_differs!("1.36 knows of no other subscriptions of a WebSocket");
    let (channel, other) = (unique("ch"), unique("ch"));
    let controls = [subscribe(&other, &[]), subscribe(&channel, &["require-sub"])];
    let items = json!([
        item(&channel, "for some", json!({"require_sub": "elsewhere"})),
        item(&channel, "for both", json!({"require_sub": other})),
        item(&channel, "for all", json!({})),
    ]);
    expect(&mut subscribed(&channel, &controls), items, &["for both", "for all"]);
}

#[test]
fn variables_are_put_into_the_content() {
    let channel = unique("ch");
    let controls = [set_meta("user", "alice"), subscribe(&channel, &["var-subst"])];
    let items = json!([
        item(&channel, "%(nobody)s", json!({})),
        item(&channel, "for %(user)s 100%%", json!({})),
        {"channel": channel, "formats": {"ws-message": {"action": "close", "code": 4001, "reason": "%"}}},
    ]);
    let mut subscribers = subscribed(&channel, &controls);
    expect(&mut subscribers, items, &["for alice 100%"]);
    subscribers.iter_mut().for_each(|subscriber| subscriber.client.expect_close(4001, "%"));
}

#[test]
fn ids_that_are_named_are_put_into_the_content() {
    let channel = unique("ch");
    let controls =
        [set_meta("id_format", "x"), set_meta("id_encoding", "hex"), subscribe(&channel, &["build-id"])];
    let items = json!([item(&channel, "id %(01)I", json!({}))]);
    expect(&mut subscribed(&channel, &controls), items, &["id 3031"]);
}

#[test]
fn an_id_of_no_channel_can_be_built() {
    pushpin_differs!("1.36 knows of no channels of a WebSocket");
    let channel = unique("ch");
    let controls = [set_meta("id_format", "fixed"), subscribe(&channel, &["build-id"])];
    let items = json!([item(&channel, "id %I", json!({}))]);
    expect(&mut subscribed(&channel, &controls), items, &["id fixed"]);
}

#[test]
fn variables_change_while_the_websocket_is_open() {
    let channel = unique("ch");
    let (mut client, mut server) = Sockets::speaking_grip().open(standard(), "pass.test");
    let mut change = |control: Value, content: &str, expected: &str| {
        server.control(control);
        server.text("m:done");
        client.expect_text("done");
        client.await_subscription(standard(), &channel);
        standard().publish(item(&channel, content, json!({})));
        client.expect_text(expected);
    };
    change(subscribe(&channel, &["var-subst"]), "100%%", "100%");
    change(set_meta("user", "alice"), "for %(user)s", "for alice");
    change(set_meta("user", "bob"), "for %(user)s", "for bob");
    change(json!({"type": "set-meta", "name": "user"}), "100%%", "100%");
    standard().publish(json!([item(&channel, "%(user)s", json!({})), item(&channel, "last", json!({}))]));
    client.expect_text("last");
}

#[test]
fn subscribing_again_changes_the_filters() {
    let channel = unique("ch");
    let controls = [set_meta("user", "alice"), subscribe(&channel, &[]), subscribe(&channel, &["var-subst"])];
    let items = json!([item(&channel, "%(user)s", json!({}))]);
    expect(&mut subscribed(&channel, &controls), items.clone(), &["alice"]);
    let controls = [subscribe(&channel, &["var-subst"]), subscribe(&channel, &[])];
    expect(&mut subscribed(&channel, &controls), items, &["%(user)s"]);
}

#[test]
fn a_channel_that_was_left_has_no_filters_when_it_is_joined_again() {
    let channel = unique("ch");
    let leave = json!({"type": "unsubscribe", "channel": channel});
    let controls = [subscribe(&channel, &["var-subst"]), leave, subscribe(&channel, &[])];
    let items = json!([item(&channel, "%(user)s", json!({}))]);
    expect(&mut subscribed(&channel, &controls), items, &["%(user)s"]);
}

#[test]
fn content_may_expect_filters() {
    let channel = unique("ch");
    let expecting = |content: &str, filters: Value| {
        let format = json!({"content": content, "content-filters": filters});
        json!({"channel": channel, "formats": {"ws-message": format}})
    };
    let items = json!([
        expecting("one %%", json!(["var-subst"])),
        expecting("two %%", json!([])),
        expecting("three %%", json!(["build-id"])),
        item(&channel, "four %%", json!({})),
    ]);
    let mut with = subscribed(&channel, &[subscribe(&channel, &["var-subst"])]);
    expect(&mut with, items.clone(), &["one %", "four %"]);
    let mut without = subscribed(&channel, &[subscribe(&channel, &[])]);
    expect(&mut without, items, &["two %%", "four %%"]);
}

#[test]
fn too_many_variables_close_the_websocket() {
    pushpin_differs!("1.36 takes any number");
    let (mut client, mut server) = Sockets::speaking_grip().open(standard(), "pass.test");
    (0..100).for_each(|number| server.control(set_meta(&number.to_string(), "x")));
    // One that it has may be set again.
    server.control(set_meta("7", "y"));
    server.text("m:fine");
    client.expect_text("fine");
    server.control(set_meta("one more", "x"));
    client.expect_close(1011, "");
}

#[test]
fn six_filters_close_the_websocket() {
    pushpin_differs!("1.36 takes any number");
    let (mut client, mut server) = Sockets::speaking_grip().open(standard(), "pass.test");
    server.control(subscribe(&unique("ch"), &["x"; 6]));
    client.expect_close(1011, "");
}

#[test]
fn content_that_no_message_can_hold_is_not_delivered() {
    let channel = unique("ch");
    let long = "x".repeat(120);
    let controls = [set_meta("long", &long), subscribe(&channel, &["var-subst"])];
    let ping = |content: &str| json!({"channel": channel, "formats": {"ws-message": {"type": "ping", "content": content}}});
    pushpin_differs!("it sends a ping that no client may accept");
    let items = json!([ping("%(long)s%(long)s"), item(&channel, "after", json!({}))]);
    expect(&mut subscribed(&channel, &controls), items, &["after"]);
}

#[test]
fn with_debug_the_websocket_is_closed_with_the_reason() {
    pushpin_differs!("1.36 drops the message");
    let channel = unique("ch");
    let mut subscribers = subscribed_by(debugging(), &channel, &[subscribe(&channel, &["var-subst"])]);
    debugging().publish(item(&channel, "%(nobody)s", json!({})));
    let reason = "filter error: var-subst: No such variable 'nobody' at position 9";
    subscribers.iter_mut().for_each(|subscriber| subscriber.client.expect_close(1011, reason));
}

#[test]
fn with_debug_a_websocket_without_the_expected_filters_is_closed_with_the_reason() {
    pushpin_differs!("1.36 drops the message");
    let channel = unique("ch");
    let mut subscribers = subscribed_by(debugging(), &channel, &[subscribe(&channel, &[])]);
    let format = json!({"content": "%(user)s", "content-filters": ["var-subst"]});
    debugging().publish(json!([{"channel": channel, "formats": {"ws-message": format}}]));
    let reason = "content filter mismatch: subscription= message=var-subst";
    subscribers.iter_mut().for_each(|subscriber| subscriber.client.expect_close(1011, reason));
}

#[test]
fn nothing_follows_a_close_that_was_published() {
    let (channel, other) = (unique("ch"), unique("ch"));
    for filters in [&[][..], &["var-subst"]] {
        let mut subscribers = subscribed(&channel, &[subscribe(&other, &[]), subscribe(&channel, filters)]);
        let close = json!({"action": "close", "code": 4001});
        standard().publish(json!({"channel": channel, "formats": {"ws-message": close}}));
        subscribers.iter_mut().for_each(|subscriber| subscriber.client.expect_close(4001, ""));
        standard().publish(json!([item(&channel, "late", json!({})), item(&other, "late", json!({}))]));
        for subscriber in &mut subscribers {
            subscriber.client.close(4001, "");
            subscriber.client.expect_end();
        }
    }
}
