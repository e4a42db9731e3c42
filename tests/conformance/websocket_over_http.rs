//! WebSockets that the application sees as HTTP requests.

use serde_json::{Value, json};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::request::{get, request};
use crate::harness::websocket::{
    Application, AwaitSubscription, Socket, control_event, events_answer, text_event,
};
use crate::harness::{pushpin_differs, unique};

const HOST: &str = "sockets.test";

/// Accepts, and answers every message with itself.
fn echo() -> Application {
    Application::answering(|events| match events {
        "OPEN\r\n" => "OPEN\r\n".into(),
        _ => events.replacen("\r\n", "\r\nm:", 1).replace("TEXT 5", "TEXT 7"),
    })
}

fn open(application: &Application) -> Socket {
    standard().open(HOST, &application.page.path)
}

fn subscribing(channel: &str) -> Application {
    let subscribe = control_event(json!({"type": "subscribe", "channel": channel}));
    let welcome = text_event("m:welcome");
    Application::answering(move |events| match events {
        "OPEN\r\n" => format!("OPEN\r\n{subscribe}{welcome}"),
        _ => String::new(),
    })
}

fn publish(channel: &str, message: Value) {
    standard().publish(json!({"channel": channel, "formats": {"ws-message": message}}));
}

#[test]
fn the_application_is_asked_with_open_and_answers_with_it() {
    let application = echo();
    let socket = standard().open_with(HOST, &application.page.path, &[("X-Mine", "1")]);
    let (headers, events) = application.request();
    assert_eq!(events, "OPEN\r\n");
    assert_eq!(headers.get("Content-Type"), Some("application/websocket-events"));
    assert_eq!(headers.get("Accept"), Some("application/websocket-events"));
    assert_eq!(headers.get("Sec-WebSocket-Extensions"), Some("grip"));
    assert_eq!(headers.get("X-Mine"), Some("1"));
    assert!(headers.has("Connection-Id") && headers.has("Grip-Sig"), "{headers:?}");
    assert_eq!(socket.head.status(), 101);
}

#[test]
fn a_client_may_not_send_events_itself() {
    let page = Page::answering(Answer::text("x"));
    let events =
        request("POST", &page.path).header("Content-Type", "application/websocket-events").body("OPEN\r\n");
    let response = standard().fetch(&events.clone().host(HOST));
    assert_eq!(
        (response.code, response.text()),
        (403, "Client not allowed to send WebSocket events directly.\n")
    );
    assert!(page.request_so_far().is_none(), "the application was asked");
    let passed = standard().fetch(&events.host("unsigned.test"));
    assert_eq!(passed.code, 200, "a route without GRIP");
}

#[test]
fn events_cannot_be_sent_under_another_spelling_of_their_type() {
    pushpin_differs!(
        "it reads one Content-Type, as ASCII and with case, and looks at it for targets with over_http"
    );
    let types: [&[u8]; 5] = [
        b"Content-Type: application/websocket-events; a=\xe9",
        b"Content-Type: text/plain\r\nContent-Type: application/websocket-events",
        b"Content-Type: application/websocket-events\r\nContent-Type: text/plain",
        b"Content-Type: text/plain, application/websocket-events",
        b"content-type: APPLICATION/WebSocket-Events",
    ];
    let page = Page::answering(Answer::text("x"));
    for host in [HOST, "any.test"] {
        for content_type in types {
            let head = format!("POST {} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 6\r\n", page.path);
            let mut client = standard().connect();
            client.send([head.as_bytes(), content_type, b"\r\n\r\nOPEN\r\n"].concat());
            assert_eq!(client.response().code, 403, "{}", String::from_utf8_lossy(content_type));
        }
    }
    assert!(page.request_so_far().is_none(), "the application was asked");
}

#[test]
fn a_websocket_is_not_asked_for_in_the_name_of_events() {
    pushpin_differs!("it does not look at the Content-Type of an upgrade");
    let page = Page::answering(Answer::text("x"));
    for host in [HOST, "pass.test"] {
        let upgrade = get(&page.path)
            .host(host)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Content-Type", "application/websocket-events");
        assert_eq!(standard().fetch(&upgrade).code, 403, "{host}");
    }
    assert!(page.request_so_far().is_none(), "the application was asked");
}

#[test]
fn headers_of_the_acceptance_are_those_of_the_upgrade() {
    let application = Application::with(|_, _| events_answer("OPEN\r\n").header("X-Theirs", "2"));
    let socket = open(&application);
    assert_eq!(socket.head.headers()["x-theirs"], "2");
    assert!(!socket.head.headers().contains_key("content-type"));
}

#[test]
fn a_message_goes_to_the_application_and_its_answer_to_the_client() {
    let application = echo();
    let mut socket = open(&application);
    socket.text("hello");
    socket.expect_text("hello");
    assert_eq!(application.request().1, "OPEN\r\n");
    assert_eq!(application.request().1, "TEXT 5\r\nhello\r\n");
}

#[test]
fn a_connection_has_one_id_in_all_its_requests() {
    let application = echo();
    let mut socket = open(&application);
    socket.text("hello");
    socket.expect_text("hello");
    let ids =
        [application.request().0, application.request().0].map(|h| h.get("Connection-Id").map(str::to_owned));
    assert!(ids[0].is_some() && ids[0] == ids[1], "{ids:?}");
}

#[test]
fn a_binary_message_arrives_as_one() {
    let application = Application::answering(|events| match events {
        "OPEN\r\n" => "OPEN\r\n".into(),
        _ => "BINARY 4\r\nm:\u{1}\u{2}\r\n".into(),
    });
    let mut socket = open(&application);
    socket.send(Message::binary(vec![b'a', b'b']));
    assert_eq!(socket.next_message(), Message::binary(vec![1, 2]));
    application.request();
    assert_eq!(application.request().1, "BINARY 2\r\nab\r\n");
}

#[test]
fn pings_and_pongs_go_both_ways() {
    let application = Application::answering(|events| match events {
        "OPEN\r\n" => "OPEN\r\n".into(),
        _ => "PONG 2\r\nhi\r\n".into(),
    });
    let mut socket = open(&application);
    socket.send(Message::Ping("hi".into()));
    assert_eq!(socket.next_message(), Message::Pong("hi".into()));
    application.request();
    assert_eq!(application.request().1, "PING 2\r\nhi\r\n");
}

#[test]
fn a_message_in_several_frames_is_one_event() {
    use tungstenite::protocol::frame::Frame;
    use tungstenite::protocol::frame::coding::{Data, OpCode};
    let application = echo();
    let mut socket = open(&application);
    let part = |text: &str, opcode, last| {
        Message::Frame(Frame::message(text.to_owned(), OpCode::Data(opcode), last))
    };
    socket.send(part("he", Data::Text, false));
    socket.send(part("llo", Data::Continue, true));
    socket.expect_text("hello");
    application.request();
    assert_eq!(application.request().1, "TEXT 5\r\nhello\r\n");
}

#[test]
fn what_is_published_reaches_subscribers() {
    let channel = unique("ch");
    let application = subscribing(&channel);
    let mut socket = open(&application);
    socket.expect_text("welcome");
    socket.await_subscription(standard(), &channel);
    publish(&channel, json!({"content": "news"}));
    socket.expect_text("news");
}

#[test]
fn binary_content_is_published_as_a_binary_message() {
    let channel = unique("ch");
    let application = subscribing(&channel);
    let mut socket = open(&application);
    socket.expect_text("welcome");
    socket.await_subscription(standard(), &channel);
    publish(&channel, json!({"content-bin": "AQI="}));
    assert_eq!(socket.next_message(), Message::binary(vec![1, 2]));
}

#[test]
fn a_ping_can_be_published() {
    let channel = unique("ch");
    let application = subscribing(&channel);
    let mut socket = open(&application);
    socket.expect_text("welcome");
    socket.await_subscription(standard(), &channel);
    publish(&channel, json!({"type": "ping", "content": "p"}));
    assert_eq!(socket.next_message(), Message::Ping("p".into()));
}

#[test]
fn messages_arrive_in_the_order_of_publishing() {
    let channel = unique("ch");
    let application = subscribing(&channel);
    let mut socket = open(&application);
    socket.expect_text("welcome");
    socket.await_subscription(standard(), &channel);
    for number in 0..50 {
        publish(&channel, json!({"content": number.to_string()}));
    }
    for number in 0..50 {
        socket.expect_text(&number.to_string());
    }
}

#[test]
fn after_unsubscribing_nothing_more_arrives() {
    let (left, kept) = (unique("ch"), unique("ch"));
    let control = |kind, channel: &str| control_event(json!({"type": kind, "channel": channel}));
    let opening = format!("OPEN\r\n{}{}", control("subscribe", &left), control("subscribe", &kept));
    let leaving = format!("{}{}", control("unsubscribe", &left), text_event("m:left"));
    let application = Application::answering(move |events| match events {
        "OPEN\r\n" => opening.clone(),
        _ => leaving.clone(),
    });
    let mut socket = open(&application);
    socket.text("leave");
    socket.expect_text("left");
    socket.await_subscription(standard(), &kept);
    publish(&left, json!({"content": "unwanted"}));
    publish(&kept, json!({"content": "wanted"}));
    socket.expect_text("wanted");
}

#[test]
fn a_published_close_closes_with_its_code() {
    let channel = unique("ch");
    let application = subscribing(&channel);
    let mut socket = open(&application);
    socket.expect_text("welcome");
    socket.await_subscription(standard(), &channel);
    publish(&channel, json!({"action": "close", "code": 4001, "reason": "enough"}));
    let expected = CloseFrame { code: CloseCode::from(4001), reason: "enough".into() };
    assert_eq!(socket.next_message(), Message::Close(Some(expected)));
}

#[test]
fn a_close_of_the_client_is_told_and_answered() {
    let application = Application::answering(|events| match events {
        "OPEN\r\n" => "OPEN\r\n".into(),
        events => events.to_owned(),
    });
    let mut socket = open(&application);
    let close = CloseFrame { code: CloseCode::from(3105), reason: "bye".into() };
    socket.socket.close(Some(close.clone())).expect("a close is sent");
    assert_eq!(socket.next_message(), Message::Close(Some(close)));
    application.request();
    assert_eq!(application.request().1, "CLOSE 5\r\n\u{c}!bye\r\n");
}

#[test]
fn a_close_of_the_application_reaches_the_client_with_its_code() {
    let application = Application::answering(|events| match events {
        "OPEN\r\n" => "OPEN\r\n".into(),
        // 0x0c21 is 3105.
        "TEXT 3\r\nend\r\n" => "CLOSE 5\r\n\u{c}!bye\r\n".into(),
        events => events.to_owned(),
    });
    let mut socket = open(&application);
    socket.text("end");
    let expected = CloseFrame { code: CloseCode::from(3105), reason: "bye".into() };
    assert_eq!(socket.next_message(), Message::Close(Some(expected)));
    // The client's library answers the close when it is asked again.
    assert!(socket.socket.read().is_err());
    assert_eq!(application.events_until("bye\r\n"), "OPEN\r\nTEXT 3\r\nend\r\nCLOSE 5\r\n\u{c}!bye\r\n");
}

#[test]
fn a_client_that_vanishes_is_told_as_disconnect() {
    let application = echo();
    let socket = open(&application);
    drop(socket);
    assert_eq!(application.events_until("DISCONNECT\r\n"), "OPEN\r\nDISCONNECT\r\n");
}

#[test]
fn meta_that_is_set_comes_back() {
    let application = Application::with(|_, events| match events {
        "OPEN\r\n" => events_answer("OPEN\r\n").header("Set-Meta-User", "alice"),
        "TEXT 6\r\nforget\r\n" => events_answer(text_event("m:done")).header("Set-Meta-User", ""),
        _ => events_answer(text_event("m:done")),
    });
    let mut socket = open(&application);
    for text in ["forget", "again"] {
        socket.text(text);
        socket.expect_text("done");
    }
    assert_eq!(application.request().0.get("Meta-User"), None);
    assert_eq!(application.request().0.get("Meta-User"), Some("alice"));
    assert_eq!(application.request().0.get("Meta-User"), None);
}

#[test]
fn without_grip_every_message_is_for_the_client() {
    let application = Application::with(|_, events| {
        let events = if events == "OPEN\r\n" { "OPEN\r\n".into() } else { text_event("c:plain") };
        Answer::new(200, "OK").header("Content-Type", "application/websocket-events").body(events)
    });
    let mut socket = open(&application);
    socket.text("x");
    socket.expect_text("c:plain");
}

#[test]
fn the_application_chooses_the_prefix_of_messages() {
    let application = Application::with(|_, events| {
        let events =
            if events == "OPEN\r\n" { "OPEN\r\n".into() } else { text_event("m:x") + &text_event(">y") };
        Answer::new(200, "OK")
            .header("Content-Type", "application/websocket-events")
            .header("Sec-WebSocket-Extensions", "grip; message-prefix=\">\"")
            .body(events)
    });
    let mut socket = open(&application);
    socket.text("go");
    socket.expect_text("y");
}

#[test]
fn a_rejection_reaches_the_client_as_it_is() {
    let page = Page::answering(Answer::new(403, "Forbidden").header("X-Why", "no").body("not you\n"));
    let response = standard().fetch(&upgrade(&page.path));
    assert_eq!((response.code, response.text()), (403, "not you\n"));
    assert_eq!(response.headers.get("X-Why"), Some("no"));
}

#[test]
fn the_type_of_an_acceptance_may_have_parameters() {
    pushpin_differs!("1.36 takes it for a rejection");
    for kind in ["application/websocket-events; charset=utf-8", "Application/WebSocket-Events;a=b"] {
        let application = Application::with(move |_, events| {
            let answer = Answer::new(200, "OK").header("Content-Type", kind);
            answer.body(if events == "OPEN\r\n" { "OPEN\r\n".into() } else { text_event("welcome") })
        });
        let mut socket = open(&application);
        socket.text("hello");
        socket.expect_text("welcome");
    }
}

#[test]
fn an_answer_that_is_no_list_of_events_is_no_acceptance() {
    let page = Page::answering(Answer::text("hello\n"));
    let response = standard().fetch(&upgrade(&page.path));
    assert_eq!((response.code, response.text()), (200, "hello\n"));
}

#[test]
fn an_application_that_fails_later_cuts_the_connection() {
    let application = Application::with(|_, events| match events {
        "OPEN\r\n" => events_answer("OPEN\r\n"),
        _ => Answer::new(500, "Broken"),
    });
    let mut socket = open(&application);
    socket.text("x");
    socket.expect_cut();
}

#[test]
fn messages_sent_while_a_request_is_under_way_go_together_in_the_next() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let application = Application::answering(move |events| match events {
        "OPEN\r\n" => "OPEN\r\n".into(),
        "TEXT 1\r\n0\r\n" => {
            let _ = released.lock().expect("the signal").recv();
            String::new()
        }
        _ => text_event("m:done"),
    });
    let mut socket = open(&application);
    socket.text("0");
    // The server has all of these when it has answered the ping behind them, which the application sees last.
    ["1", "2", "3"].iter().for_each(|text| socket.text(text));
    release.send(()).expect("the application waits");
    socket.expect_text("done");
    let events = application.events_until("3\r\n");
    assert!(events.starts_with("OPEN\r\nTEXT 1\r\n0\r\nTEXT 1\r\n1\r\n"), "{events:?}");
}

#[test]
fn a_keep_alive_is_sent_to_a_quiet_client_again_and_again() {
    let keep_alive = json!({"type": "keep-alive", "content": "alive", "timeout": 1});
    let opening = "OPEN\r\n".to_owned() + &control_event(keep_alive);
    let application = Application::answering(move |_| opening.clone());
    let mut socket = open(&application);
    socket.expect_text("alive");
    socket.expect_text("alive");
}

#[test]
fn a_keep_alive_may_be_a_ping() {
    let keep_alive = json!({"type": "keep-alive", "content": "p", "message-type": "ping", "timeout": 1});
    let opening = "OPEN\r\n".to_owned() + &control_event(keep_alive);
    let application = Application::answering(move |_| opening.clone());
    assert_eq!(open(&application).next_message(), Message::Ping("p".into()));
}

#[test]
fn a_delayed_message_comes_after_what_follows_it() {
    let delayed = control_event(json!({"type": "send-delayed", "content": "later", "timeout": 1}));
    let opening = format!("OPEN\r\n{delayed}{}", text_event("m:now"));
    let application = Application::answering(move |_| opening.clone());
    let mut socket = open(&application);
    socket.expect_text("now");
    socket.expect_text("later");
}

#[test]
fn a_delayed_message_that_is_flushed_comes_at_once() {
    let delayed = control_event(json!({"type": "send-delayed", "content": "later", "timeout": 3600}));
    let flush = control_event(json!({"type": "flush-delayed"}));
    let opening = format!("OPEN\r\n{delayed}{flush}");
    let application = Application::answering(move |_| opening.clone());
    open(&application).expect_text("later");
}

#[test]
fn after_detaching_the_application_hears_nothing_and_the_client_what_is_published() {
    let channel = unique("ch");
    let subscribe = control_event(json!({"type": "subscribe", "channel": channel}));
    let detach = control_event(json!({"type": "detach"}));
    let opening = format!("OPEN\r\n{subscribe}{}{detach}", text_event("m:welcome"));
    let application = Application::answering(move |_| opening.clone());
    let mut socket = open(&application);
    socket.expect_text("welcome");
    socket.await_subscription(standard(), &channel);
    assert_eq!(application.events_until("CLOSE\r\n"), "OPEN\r\nCLOSE\r\n");
    socket.text("unheard");
    publish(&channel, json!({"content": "news"}));
    socket.expect_text("news");
    while let Some(request) = application.page.request_so_far() {
        assert!(!request.body.starts_with(b"TEXT"), "{request:?}");
    }
}

#[test]
fn a_control_message_that_cannot_be_read_does_no_harm() {
    let odd = text_event("c:{") + &text_event("c:[]") + &control_event(json!({"type": "set-hold"}));
    let opening = format!("OPEN\r\n{odd}{}", text_event("m:fine"));
    let application = Application::answering(move |_| opening.clone());
    open(&application).expect_text("fine");
}

#[test]
fn a_variable_set_by_control_message_is_not_said_to_the_application() {
    let set = control_event(json!({"type": "set-meta", "name": "room", "value": "7"}));
    let opening = format!("OPEN\r\n{set}{}", text_event("m:set"));
    let application = Application::answering(move |events| match events {
        "OPEN\r\n" => opening.clone(),
        _ => text_event("m:done"),
    });
    let mut socket = open(&application);
    socket.expect_text("set");
    socket.text("x");
    socket.expect_text("done");
    application.request();
    assert_eq!(application.request().0.get("Meta-Room"), None);
}

#[test]
fn too_many_variables_close_the_websocket() {
    pushpin_differs!("1.36 takes any number");
    let application = Application::with(|_, events| match events {
        "OPEN\r\n" => events_answer("OPEN\r\n"),
        _ => (0..60).fold(events_answer(text_event("m:set")), |answer, number| {
            answer.header(&format!("Set-Meta-{number}-{}", events.len()), "x")
        }),
    });
    let mut socket = open(&application);
    socket.text("some");
    socket.expect_text("set");
    socket.text("many");
    socket.expect_text("set");
    socket.text("too many");
    let Message::Close(Some(close)) = socket.next_message() else { panic!("no close") };
    assert_eq!(u16::from(close.code), 1011);
}

#[test]
fn a_refresh_asks_the_application_for_events() {
    pushpin_differs!("1.36 does not know the action");
    let channel = unique("ch");
    let subscribe = control_event(json!({"type": "subscribe", "channel": channel}));
    let opening = format!("OPEN\r\n{subscribe}{}", text_event("m:welcome"));
    let application = Application::answering(move |events| match events {
        "OPEN\r\n" => opening.clone(),
        "" => text_event("m:refreshed"),
        _ => String::new(),
    });
    let mut socket = open(&application);
    socket.expect_text("welcome");
    socket.await_subscription(standard(), &channel);
    publish(&channel, json!({"action": "refresh"}));
    socket.expect_text("refreshed");
}

fn upgrade(path: &str) -> crate::harness::request::Request {
    get(path)
        .host(HOST)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}
