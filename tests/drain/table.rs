//! What each client and each application sees when the server is drained: the rows of the table in README, by plain TCP
//! and by TLS.

use crate::stage::{Stage, WAYS, WITNESSES};
use gripwire_harness::client::Client;
use gripwire_harness::frames::CLOSE;
use gripwire_harness::request::{get, request};
use gripwire_harness::websocket::Socket;
use tungstenite::Message;

#[test]
fn a_request_in_flight_is_answered_and_its_connection_closes() {
    let mut stage = Stage::start();
    let mut clients = WAYS.map(|way| stage.asking(way, &get("/slow")));
    WAYS.iter().for_each(|_| drop(stage.await_told("/slow")));
    stage.begin();
    for client in &mut clients {
        stage.let_answer();
        let answer = client.response();
        assert_eq!((answer.code, answer.text()), (200, "slow\n"));
        assert_eq!(answer.headers.get("Connection"), Some("close"));
        client.expect_closed();
    }
    stage.expect_end();
}

#[test]
fn an_idle_connection_is_closed_and_a_request_that_has_begun_is_answered() {
    let mut stage = Stage::start();
    let mut idle = WAYS.map(|way| stage.asking(way, &get("/quick")));
    idle.iter_mut().for_each(|client| assert_eq!(client.response().text(), "quick\n"));
    let mut begun = WAYS.map(|way| Client::over(stage.connect(way)));
    begun.iter_mut().for_each(|client| {
        client.send(get("/quick").bytes());
        client.response();
        client.send("GET /quick HTTP/1.1\r\nHo");
    });
    // The beginnings have arrived when a later answer has.
    stage.server.fetch(&get("/quick"));
    stage.begin();
    idle.iter_mut().for_each(Client::expect_closed);
    for client in &mut begun {
        client.send("st: x\r\n\r\n");
        let answer = client.response();
        assert_eq!((answer.text(), answer.headers.get("Connection")), ("quick\n", Some("close")));
        client.expect_closed();
    }
    stage.expect_end();
}

#[test]
fn a_new_connection_has_time_for_its_first_request() {
    let mut stage = Stage::start();
    let mut clients = WAYS.map(|way| Client::over(stage.connect(way)));
    stage.begin();
    for client in &mut clients {
        client.send(get("/quick").bytes());
        let answer = client.response();
        assert_eq!((answer.text(), answer.headers.get("Connection")), ("quick\n", Some("close")));
    }
    stage.expect_end();
}

#[test]
fn a_long_poll_is_answered_as_if_its_time_were_up() {
    let mut stage = Stage::start();
    let mut clients = WAYS.map(|way| stage.asking(way, &get("/poll")));
    stage.server.await_stats(|stats| stats["subscriptions"] == 2);
    stage.begin();
    for client in &mut clients {
        let answer = client.response();
        assert_eq!((answer.code, answer.text()), (200, "nothing\n"));
        assert_eq!(answer.headers.get("Connection"), Some("close"));
        client.expect_closed();
    }
    stage.expect_end();
}

#[test]
fn a_request_whose_answer_would_hold_is_ended_in_the_same_way() {
    let mut stage = Stage::start();
    let mut clients = WAYS.map(|way| stage.asking(way, &get("/poll?slow")));
    stage.begin();
    for client in &mut clients {
        assert_eq!(client.response().text(), "nothing\n");
    }
    stage.expect_end();
}

#[test]
fn a_stream_ends_properly_and_its_gone_link_is_requested() {
    let mut stage = Stage::start();
    let mut clients = WAYS.map(|way| stage.held(way, &get("/stream"), "begun\n"));
    stage.begin();
    clients.iter_mut().for_each(Client::expect_body_end);
    stage.expect_end();
    let gone = stage.told_so_far().iter().filter(|request| request.starts_with("POST /gone")).count();
    assert_eq!(gone, WITNESSES + WAYS.len(), "before the process ended");
}

#[test]
fn server_sent_events_end_with_a_time_to_connect_again() {
    let mut stage = Stage::start();
    let mut clients = WAYS.map(|way| stage.held(way, &get("/events"), "data: first\n\n"));
    // The last item ends in the middle of an event. It is not to be dispatched.
    stage.server.publish("news", "data: torn\n");
    clients.iter_mut().for_each(|client| client.expect_body("data: torn\n"));
    stage.begin();
    let times = clients.each_mut().map(|client| {
        client.expect_body("retry: ");
        let rest = client.rest_of_body();
        let (time, rest) = rest.split_once('\n').expect("a line");
        assert_eq!(rest, "", "no empty line follows");
        let time: u32 = time.parse().expect("a number");
        assert!((500..5_000).contains(&time), "{time}");
        time
    });
    assert_ne!(times[0], times[1], "each has a time of its own");
    stage.expect_end();
}

#[test]
fn a_stream_of_http_1_0_ends_with_its_connection() {
    let mut stage = Stage::start();
    let mut clients = WAYS.map(|way| stage.held(way, &get("/stream").http_1_0(), "begun\n"));
    stage.begin();
    clients.iter_mut().for_each(Client::expect_body_end);
    stage.expect_end();
}

#[test]
fn a_websocket_over_http_is_closed_and_its_application_hears_what_was_said_and_the_end() {
    for way in WAYS {
        let mut stage = Stage::start();
        let mut client = stage.websocket(way);
        stage.begin();
        client.expect_close(1001, "");
        client.text("last words");
        client.close(1001, "");
        client.expect_end();
        let told = stage.await_told("last words");
        let end = if told.contains("DISCONNECT") { told } else { stage.await_told("DISCONNECT") };
        assert!(!end.contains("CLOSE"), "the client has not closed by its own will: {end}");
        stage.expect_end();
    }
}

#[test]
fn a_websocket_that_does_not_answer_the_close_is_reset_and_its_application_told() {
    let mut stage = Stage::start();
    let mut clients = WAYS.map(|way| stage.websocket(way));
    stage.begin();
    clients.iter_mut().for_each(|client| client.expect_close(1001, ""));
    WAYS.iter().for_each(|_| drop(stage.await_told("DISCONNECT")));
    stage.expect_end();
}

#[test]
fn the_answer_to_a_message_in_flight_comes_before_the_close() {
    let mut stage = Stage::start();
    let mut clients = WAYS.map(|way| stage.websocket(way));
    for client in &mut clients {
        client.text("slow");
        stage.await_told("slow");
    }
    stage.begin();
    for client in &mut clients {
        stage.let_answer();
        client.expect_text("heard");
        client.expect_close(1001, "");
        client.close(1001, "");
    }
    stage.expect_end();
}

#[test]
fn a_websocket_that_passes_through_is_closed_on_both_sides() {
    for way in WAYS {
        let mut stage = Stage::start();
        let (mut client, mut application) = stage.through(way);
        let (mut silent, mut of_silent) = stage.through(way);
        application.text("hello");
        client.expect_text("hello");
        stage.begin();
        client.expect_close(1001, "");
        client.text("last words");
        client.close(1001, "");
        client.expect_end();
        application.expect_text("last words");
        application.expect_frame(CLOSE, true, 1001u16.to_be_bytes());
        application.expect_end();
        silent.expect_close(1001, "");
        of_silent.expect_frame(CLOSE, true, 1001u16.to_be_bytes());
        stage.expect_end();
    }
}

#[test]
fn conversations_of_sockjs_are_closed_and_their_application_is_told() {
    for way in WAYS {
        let mut stage = Stage::start();
        let mut socket = Socket::over(stage.connect(way), "x", "/sockjs/000/one/websocket", &[]);
        socket.expect_text("o");
        socket.expect_text(r#"a["welcome"]"#);
        let xhr = request("POST", "/sockjs/000/two/xhr").body("");
        let mut poll = stage.asking(way, &xhr);
        assert_eq!(poll.response().text(), "o\n");
        poll.send(xhr.bytes());
        assert_eq!(poll.response().text(), "a[\"welcome\"]\n");
        poll.send(xhr.bytes());
        stage.server.await_stats(|stats| stats["client_requests"] >= 2 && stats["subscriptions"] == 2);
        stage.begin();
        socket.expect_text(r#"c[1001,""]"#);
        let close = socket.next_message();
        assert!(matches!(&close, Message::Close(Some(frame)) if u16::from(frame.code) == 1001), "{close:?}");
        let answer = poll.response();
        assert_eq!((answer.text(), answer.headers.get("Connection")), ("c[1001,\"\"]\n", Some("close")));
        stage.await_told("DISCONNECT");
        stage.await_told("DISCONNECT");
        drop(socket);
        stage.expect_end();
    }
}
