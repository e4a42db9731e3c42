//! Filters of HTTP subscribers: what each is not sent, and what is put into what it is sent.
//!
//! Whether something was not delivered shows in what comes after it: items of one call arrive in their order.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::origin::{Answer, Page, Then};
use crate::harness::proxy::{debugging, standard};
use crate::harness::publisher::{response_item, stream_item};
use crate::harness::request::get;
use crate::harness::{patience, pushpin_differs, unique};

/// An answer that opens a stream on `channels`, with these variables.
fn streaming(channels: &str, meta: &str) -> Answer {
    Answer::text("[opened]\n")
        .header("Grip-Hold", "stream")
        .header("Grip-Channel", channels)
        .header("Grip-Set-Meta", meta)
}

/// A client that has got the beginning of such a stream.
fn opened(channels: &str, meta: &str) -> Client {
    let mut client = standard().ask(&get(&Page::answering(streaming(channels, meta)).path));
    assert!(client.head().headers.starting_with("Grip-").is_empty());
    client.expect_body("[opened]\n");
    client
}

/// A client whose long poll is held on `channels`.
fn polling(channels: &str, meta: &str) -> Client {
    let answer = Answer::text("timed out\n")
        .header("Grip-Hold", "response")
        .header("Grip-Channel", channels)
        .header("Grip-Set-Meta", meta);
    let page = Page::answering(answer);
    let client = standard().ask(&get(&page.path));
    page.await_hold();
    client
}

/// A stream's item about which the publisher says this.
fn item(channel: &str, content: &str, meta: Value) -> Value {
    let mut item = stream_item(channel, content);
    item["meta"] = meta;
    item
}

fn close(channel: &str, meta: Value) -> Value {
    json!({"channel": channel, "meta": meta, "formats": {"http-stream": {"action": "close"}}})
}

#[test]
fn an_application_is_told_of_the_filters() {
    let page = Page::answering(Answer::text(""));
    standard().fetch(&get(&page.path));
    let headers = page.request().headers;
    for name in ["skip-self", "skip-users", "require-sub", "build-id", "var-subst"] {
        assert!(headers.lists("Grip-Feature", &format!("filter:{name}")), "{name}");
    }
}

#[test]
fn what_a_user_sent_does_not_come_back() {
    let channel = unique("ch");
    let mut alice = opened(&format!("{channel}; filter=skip-self"), "user=alice");
    let mut nobody = opened(&format!("{channel}; filter=skip-self"), "other=alice");
    let mut plain = opened(&channel, "user=alice");
    standard().publish(json!([
        item(&channel, "of alice\n", json!({"sender": "alice"})),
        item(&channel, "of bob\n", json!({"sender": "bob"})),
        item(&channel, "of nobody\n", json!({})),
    ]));
    alice.expect_body("of bob\nof nobody\n");
    nobody.expect_body("of alice\nof bob\nof nobody\n");
    plain.expect_body("of alice\nof bob\nof nobody\n");
}

#[test]
fn users_can_be_left_out() {
    let channel = unique("ch");
    let mut alice = opened(&format!("{channel}; filter=skip-users"), "user=alice");
    standard().publish(json!([
        item(&channel, "for others\n", json!({"skip_users": "bob, alice ,carol"})),
        item(&channel, "for alice\n", json!({"skip_users": "bob,al,ali ce"})),
        item(&channel, "for all\n", json!({})),
    ]));
    alice.expect_body("for alice\nfor all\n");
}

#[test]
fn another_subscription_can_be_required() {
    let (channel, other) = (unique("ch"), unique("ch"));
    let filtered = format!("{channel}; filter=require-sub");
    let mut both = opened(&format!("{filtered}, {other}"), "x=y");
    let mut one = opened(&filtered, "x=y");
    standard().publish(json!([
        item(&channel, "for some\n", json!({"require_sub": other})),
        item(&channel, "for all\n", json!({"require_sub": channel})),
        item(&channel, "too\n", json!({"require_sub": ""})),
    ]));
    both.expect_body("for some\nfor all\ntoo\n");
    one.expect_body("for all\ntoo\n");
}

#[test]
fn a_required_channel_has_the_name_its_application_gave_it() {
    let (channel, other) = (unique("ch"), unique("ch"));
    let answer = streaming(&format!("{channel}; filter=require-sub, {other}"), "x=y");
    let mut client = standard().ask(&get(&Page::answering(answer).path).host("prefixed.test"));
    client.head();
    client.expect_body("[opened]\n");
    let channel = format!("pre-{channel}");
    standard().publish(json!([
        item(&channel, "with the prefix\n", json!({"require_sub": format!("pre-{other}")})),
        item(&channel, "without\n", json!({"require_sub": other})),
    ]));
    client.expect_body("without\n");
}

#[test]
fn variables_are_put_into_the_content() {
    let channel = unique("ch");
    let filtered = format!("{channel}; filter=var-subst");
    let mut alice = opened(&filtered, "user=alice, greeting=\"good day, %(user)s\"");
    let mut bob = opened(&filtered, "user=bob, greeting=hi");
    let mut plain = opened(&channel, "user=carol");
    standard().publish_stream(&channel, "%(greeting)s %(user)s 100%%\n");
    alice.expect_body("good day, %(user)s alice 100%\n");
    bob.expect_body("hi bob 100%\n");
    plain.expect_body("%(greeting)s %(user)s 100%%\n");
}

#[test]
fn content_that_cannot_be_made_is_not_delivered() {
    pushpin_differs!("1.36 ends the stream");
    let channel = unique("ch");
    let mut client = opened(&format!("{channel}; filter=var-subst"), "user=alice");
    let contents = ["%(nobody)s\n", "%s\n", "100%", "%(user)d\n", "for %(user)s\n"];
    let items: Vec<_> = contents.map(|content| stream_item(&channel, content)).into();
    standard().publish(json!(items));
    client.expect_body("for alice\n");
}

#[test]
fn with_debug_the_stream_ends_with_the_reason() {
    let channel = unique("ch");
    let page = Page::answering(streaming(&format!("{channel}; filter=var-subst"), "user=alice"));
    let mut client = debugging().ask(&get(&page.path));
    client.head();
    client.expect_body("[opened]\n");
    debugging().publish_stream(&channel, "%(nobody)s\n");
    client.expect_body("\n\nfilter error: var-subst: No such variable 'nobody' at position 9\n");
    client.expect_body_end();
}

#[test]
fn with_debug_a_stream_without_the_expected_filters_ends_with_the_reason() {
    let channel = unique("ch");
    let mut client = debugging().ask(&get(&Page::answering(streaming(&channel, "x=y")).path));
    client.head();
    client.expect_body("[opened]\n");
    let format = json!({"content": "%(user)s\n", "content-filters": ["skip-self", "var-subst"]});
    let expecting = json!({"channel": channel, "formats": {"http-stream": format}});
    debugging().publish(json!([
        stream_item(&channel, "before\n"),
        expecting,
        stream_item(&channel, "after\n")
    ]));
    client.expect_body("before\n\n\ncontent filter mismatch: subscription= message=skip-self,var-subst\n");
    client.expect_body_end();
}

#[test]
fn with_debug_a_poll_without_the_expected_filters_ends_with_the_reason() {
    pushpin_differs!("1.36 keeps it until its time is up");
    let channel = unique("ch");
    let answer = Answer::text("").header("Grip-Hold", "response").header("Grip-Channel", &channel);
    let page = Page::answering(answer);
    let mut client = debugging().ask(&get(&page.path));
    page.await_hold();
    let format = json!({"body": "%(user)s\n", "content-filters": ["var-subst"]});
    let item = json!([{"channel": channel, "formats": {"http-response": format}}]);
    debugging().publish_until_answered(&mut client, item);
    let response = client.response();
    assert_eq!(response.code, 502);
    assert_eq!(response.text(), "content filter mismatch: subscription= message=var-subst\n");
}

#[test]
fn an_item_with_nothing_left_sends_nothing() {
    let channel = unique("ch");
    let mut client = opened(&format!("{channel}; filter=var-subst"), "none=");
    standard().publish(json!([stream_item(&channel, "%(none)s"), stream_item(&channel, "more\n")]));
    client.expect_body("more\n");
}

#[test]
fn filters_run_in_their_order_and_unknown_ones_do_nothing() {
    let channel = unique("ch");
    let filters = "filter=skip-self; filter=no-such; filter=var-subst; filter=skip-users";
    let mut client = opened(&format!("{channel}; {filters}"), "user=alice");
    standard().publish(json!([
        item(&channel, "%(nobody)s\n", json!({"sender": "alice"})),
        item(&channel, "skipped\n", json!({"skip_users": "alice"})),
        item(&channel, "for %(user)s\n", json!({"sender": "bob", "skip_users": "bob"})),
    ]));
    client.expect_body("for alice\n");
}

#[test]
fn five_filters_are_allowed() {
    let channel = unique("ch");
    let filters = "filter=skip-self; filter=skip-users; filter=require-sub; filter=var-subst; filter=x";
    let mut client = opened(&format!("{channel}; {filters}"), "user=alice");
    standard().publish_stream(&channel, "for %(user)s\n");
    client.expect_body("for alice\n");
}

#[test]
fn six_filters_are_too_many() {
    pushpin_differs!("1.36 takes any number");
    let channels = format!("{}; {}", unique("ch"), ["filter=x"; 6].join("; "));
    let response = standard().fetch(&get(&Page::answering(streaming(&channels, "x=y")).path));
    assert_eq!((response.code, response.text()), (502, "Error while proxying to origin.\n"));
}

#[test]
fn filters_may_stand_in_a_json_instruct() {
    let channel = unique("ch");
    let instruct = json!({
        "hold": {
            "mode": "stream",
            "channels": [{"name": channel, "filters": ["skip-self", "var-subst"]}],
            "meta": {"user": "alice"},
        },
        "response": {"body": "[opened]\n"},
    });
    let answer =
        Answer::new(200, "OK").header("Content-Type", "application/grip-instruct").body(instruct.to_string());
    let mut client = standard().ask(&get(&Page::answering(answer).path));
    client.head();
    client.expect_body("[opened]\n");
    standard().publish(json!([
        item(&channel, "of %(user)s\n", json!({"sender": "alice"})),
        item(&channel, "for %(user)s\n", json!({"sender": "bob"})),
    ]));
    client.expect_body("for alice\n");
}

#[test]
fn a_close_is_filtered_too() {
    let channel = unique("ch");
    let mut alice = opened(&format!("{channel}; filter=skip-self"), "user=alice");
    let mut bob = opened(&format!("{channel}; filter=skip-self; filter=var-subst"), "user=bob");
    standard()
        .publish(json!([close(&channel, json!({"sender": "alice"})), stream_item(&channel, "still\n")]));
    bob.expect_body_end();
    alice.expect_body("still\n");
    standard().publish(close(&channel, json!({})));
    alice.expect_body_end();
    let next = Page::answering(Answer::text("next\n"));
    assert_eq!(alice.send(get(&next.path).bytes()).response().text(), "next\n", "the connection is usable");
}

#[test]
fn streams_without_chunks_are_filtered_as_well() {
    let channel = unique("ch");
    let page = Page::answering(streaming(&format!("{channel}; filter=var-subst"), "user=alice"));
    let mut client = standard().ask(&get(&page.path).http_1_0());
    client.head();
    client.expect_body("[opened]\n");
    standard().publish(json!([stream_item(&channel, "for %(user)s\n"), close(&channel, json!({}))]));
    client.expect_body("for alice\n");
    client.expect_body_end();
}

#[test]
fn each_channel_has_its_own_filters() {
    let (one, two) = (unique("ch"), unique("ch"));
    let mut client = opened(&format!("{one}; filter=var-subst, {two}"), "user=alice");
    standard().publish_stream(&one, "one for %(user)s\n");
    client.expect_body("one for alice\n");
    standard().publish_stream(&two, "two for %(user)s\n");
    client.expect_body("two for %(user)s\n");
}

#[test]
fn content_may_expect_filters() {
    pushpin_differs!("1.36 ends streams without the filters");
    let channel = unique("ch");
    let mut plain = opened(&format!("{channel}; filter=skip-self"), "user=alice");
    let mut without = opened(&channel, "x=y");
    let mut with = opened(&format!("{channel}; filter=skip-self; filter=var-subst"), "user=alice");
    let expecting = |content: &str, filters: Value| {
        let format = json!({"content": content, "content-filters": filters});
        json!({"channel": channel, "formats": {"http-stream": format}})
    };
    standard().publish(json!([
        expecting("one for %(user)s\n", json!(["var-subst"])),
        expecting("two for %%\n", json!([])),
        expecting("three for %(user)s\n", json!(["skip-self", "var-subst"])),
        expecting("four for %(user)s\n", json!(["var-subst", "var-subst"])),
        stream_item(&channel, "five\n"),
    ]));
    plain.expect_body("two for %%\nfive\n");
    without.expect_body("two for %%\nfive\n");
    with.expect_body("one for alice\nfive\n");
}

/// A page whose streams are on a channel that is followed, beginning with the id 1, and whose link is never asked for.
fn following(channels: &str, meta: &str) -> Client {
    let answer = streaming(channels, meta).header("Grip-Link", "<?next>; rel=next");
    let mut client = standard().ask(&get(&Page::answering(answer).path));
    client.head();
    client.expect_body("[opened]\n");
    client
}

fn with_id(channel: &str, id: usize, content: &str) -> Value {
    let mut item = stream_item(channel, content);
    item["id"] = json!(id.to_string());
    item["prev-id"] = json!((id - 1).to_string());
    item
}

#[test]
fn ids_of_all_channels_are_put_into_the_content() {
    let (one, two) = (unique("ch"), unique("ch"));
    let channels = format!("{one}; prev-id=1; filter=build-id, {two}; prev-id=5; filter=build-id");
    let mut client = following(&channels, &format!("id_format=\"%({one})s,%({two})s,100%%\""));
    let content = |text: &str| format!("id: %I\ndata: {text} 50%%\n\n");
    standard().publish(with_id(&one, 2, &content("a")));
    client.expect_body("id: 2,5,100%\ndata: a 50%\n\n");
    standard().publish(json!([with_id(&two, 6, &content("b")), with_id(&two, 7, &content("c"))]));
    client.expect_body("id: 2,6,100%\ndata: b 50%\n\nid: 2,7,100%\ndata: c 50%\n\n");
    standard().publish(with_id(&one, 3, "%(other)I %I\n"));
    client.expect_body("other 3,7,100%\n");
}

#[test]
fn ids_can_be_hexadecimal() {
    let channel = unique("ch");
    let channels = format!("{channel}; prev-id=1; filter=build-id");
    let mut client = following(&channels, &format!("id_format=%({channel})s;, id_encoding=hex"));
    standard().publish(with_id(&channel, 2, "%I %(0k)I\n"));
    client.expect_body("32 306b\n");
}

#[test]
fn what_is_not_delivered_counts_for_the_ids_all_the_same() {
    let channel = unique("ch");
    let channels = format!("{channel}; prev-id=1; filter=skip-self; filter=build-id");
    let mut client = following(&channels, &format!("id_format=%({channel})s, user=alice"));
    let mut own = with_id(&channel, 2, "own %I\n");
    own["meta"] = json!({"sender": "alice"});
    standard().publish(json!([own, with_id(&channel, 3, "other %I\n")]));
    client.expect_body("other 3\n");
}

#[test]
fn the_beginning_of_a_stream_has_ids_that_are_named() {
    let channel = unique("ch");
    let answer = streaming(&format!("{channel}; filter=build-id"), "id_format=x, id_encoding=hex");
    let page = Page::answering(answer.body("id: %(01)I 100%%\n"));
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("id: 3031 100%\n");
}

#[test]
fn an_answer_that_holds_nothing_has_them_too() {
    let answer = Answer::text("id: %(01)I 100%%\n")
        .header("Grip-Channel", "any; filter=build-id")
        .header("Grip-Set-Meta", "id_format=x");
    let response = standard().fetch(&get(&Page::answering(answer).path));
    assert_eq!((response.code, response.text()), (200, "id: 01 100%\n"));
    assert_eq!(response.headers.get("Content-Length"), Some("12"));
}

#[test]
fn a_beginning_that_cannot_be_made_is_an_error() {
    pushpin_differs!("a stream is 200 without a body");
    for body in ["id: %I\n", "100%", "%(user)s"] {
        let answer = streaming(&format!("{}; filter=build-id", unique("ch")), "id_format=x").body(body);
        let response = standard().fetch(&get(&Page::answering(answer).path));
        assert_eq!((response.code, response.text()), (502, "Error while proxying to origin.\n"), "{body}");
    }
}

#[test]
fn a_large_beginning_has_ids_as_a_small_one() {
    pushpin_differs!("it refuses beginnings beyond 100,000 bytes where ids are built");
    let channel = unique("ch");
    let answer = streaming(&format!("{channel}; filter=build-id"), "id_format=x");
    let page = Page::answering(answer.body("line %(0k)I 100%%\n".repeat(10_000)));
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("line 0k 100%\n".repeat(10_000));
    standard().publish_until_streamed(&mut client, &channel, "more\n");
}

#[test]
fn what_a_link_has_is_rendered() {
    pushpin_differs!("1.36 knows the filters of a link only when it has relayed what it has");
    let channel = unique("ch");
    let of_link = format!("{channel}; filter=build-id");
    let page = Page::handling(move |request, socket| {
        let answer = match request.target.contains("next") {
            false => Answer::text("[%(1)I]\n").header("Grip-Link", "<?next>; rel=next"),
            true => streaming(&of_link, "id_format=0").body("[%(1)I]\n"),
        };
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("[%(1)I]\n[1]\n");
}

#[test]
fn the_filters_of_a_link_hold_from_then_on() {
    let channel = unique("ch");
    let (of_page, of_link) = (channel.clone(), format!("{channel}; filter=build-id; filter=var-subst"));
    let page = Page::handling(move |request, socket| {
        let answer = match request.target.contains("next") {
            false => streaming(&of_page, "x=y").header("Grip-Link", "<?next>; rel=next"),
            true => streaming(&of_link, "id_format=0, user=alice").body("[again]\n"),
        };
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let mut client = standard().ask(&get(&page.path));
    client.head();
    client.expect_body("[opened]\n");
    standard().publish(json!([
        stream_item(&channel, "%(user)s\n"),
        {"channel": channel, "formats": {"http-stream": {"action": "hint"}}},
    ]));
    client.expect_body("%(user)s\n[again]\n");
    standard().publish_stream(&channel, "%(0)I for %%(user)s\n");
    client.expect_body("0 for alice\n");
}

#[test]
fn a_long_poll_waits_for_what_its_filters_let_pass() {
    let channel = unique("ch");
    let mut client = polling(&format!("{channel}; filter=skip-self; filter=var-subst"), "user=alice");
    let mut own = response_item(&channel, "own\n");
    own["meta"] = json!({"sender": "alice"});
    let mut other = response_item(&channel, "for %(user)s\n");
    other["formats"]["http-response"]["headers"] = json!({"X-B": "2"});
    standard().publish_until_answered(&mut client, json!([own, other, response_item(&channel, "late\n")]));
    let response = client.response();
    assert_eq!((response.code, response.text()), (200, "for alice\n"));
    assert_eq!(
        (response.headers.get("X-B"), response.headers.get("Content-Length")),
        (Some("2"), Some("10"))
    );
}

#[test]
fn a_long_poll_is_not_answered_with_what_cannot_be_made() {
    pushpin_differs!("1.36 answers 502");
    let channel = unique("ch");
    let mut client = polling(&format!("{channel}; filter=var-subst"), "user=alice");
    let items = ["%(nobody)s\n", "for %(user)s\n"].map(|body| response_item(&channel, body));
    standard().publish_until_answered(&mut client, json!(items));
    assert_eq!(client.response().text(), "for alice\n");
}

#[test]
fn a_patched_body_is_filtered_after_the_patch() {
    let channel = unique("ch");
    let answer = Answer::new(200, "OK")
        .header("Content-Type", "application/json")
        .header("Grip-Hold", "response")
        .header("Grip-Channel", &format!("{channel}; filter=var-subst"))
        .header("Grip-Set-Meta", "user=alice")
        .body("{\"for\":\"%(user)s\",\"n\":1}\n");
    let mut client = standard().ask(&get(&Page::answering(answer).path));
    let patch = json!([{"op": "replace", "path": "/n", "value": 2}]);
    let item = json!({"channel": channel, "formats": {"http-response": {"body-patch": patch}}});
    standard().publish_until_answered(&mut client, item);
    let response = client.response();
    assert_eq!(response.text(), "{\"for\":\"alice\",\"n\":2}\n");
    assert_eq!(response.headers.get("Content-Type"), Some("application/json"));
}

#[test]
fn a_hint_is_filtered_too() {
    let channel = unique("ch");
    let answer = Answer::text("timed out\n")
        .header("Grip-Hold", "response")
        .header("Grip-Channel", &format!("{channel}; filter=skip-self"))
        .header("Grip-Set-Meta", "user=alice");
    let page = Page::answering(answer);
    let hint = |sender: &str| {
        let formats = json!({"http-response": {"action": "hint"}});
        json!({"channel": channel, "meta": {"sender": sender}, "formats": formats})
    };
    let mut client = standard().ask(&get(&page.path));
    page.await_hold();
    let done = response_item(&channel, "done\n");
    standard().publish_until_answered(&mut client, json!([hint("alice"), done]));
    assert_eq!(client.response().text(), "done\n");
    assert!(page.request_so_far().is_none(), "the hint is from alice herself");
    let _held = client.send(get(&page.path).bytes());
    page.request();
    let deadline = Instant::now() + patience();
    while page.request_so_far().is_none() {
        assert!(Instant::now() < deadline, "the hint from bob makes no request");
        standard().publish(hint("bob"));
    }
}

#[test]
fn a_stream_that_gets_nothing_of_what_is_published_is_kept_alive() {
    let channel = unique("ch");
    let answer = streaming(&format!("{channel}; filter=skip-self"), "user=alice")
        .header("Grip-Keep-Alive", "beat; timeout=2");
    let mut client = standard().ask(&get(&Page::answering(answer).path));
    client.head();
    client.expect_body("[opened]\n");
    let own = item(&channel, "own\n", json!({"sender": "alice"}));
    let deadline = Instant::now() + patience();
    while !client.answered_within(Duration::from_millis(200)) {
        assert!(Instant::now() < deadline, "no beat");
        standard().publish(own.clone());
    }
    client.expect_body("beat");
}
