//! A drain among many clients: nobody who has begun to connect is reset, others are answered while thousands of holds end,
//! and what is published reaches whoever is still held.

use crate::stage::{Stage, Way};
use gripwire_harness::client::Client;
use gripwire_harness::deadline::patience;
use gripwire_harness::port::Port;
use gripwire_harness::request::get;
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::socket;
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const STREAMS: usize = 3_000;
const QUEUED: usize = 200;

#[test]
fn clients_that_wait_to_be_accepted_are_served() {
    let mut stage = Stage::launched(|launch| launch.settings("[http]\nunix_listen = [\"clients.sock\"]\n"));
    stage.server.stop();
    let mut queued: Vec<Client> = (0..QUEUED).map(|_| stage.asking(Way::Plain, &get("/quick"))).collect();
    let local = |_| {
        let mut client =
            UnixStream::connect(stage.server.file("clients.sock")).expect("a place in the queue");
        client.write_all(&get("/quick").bytes()).expect("a request is sent");
        client
    };
    let mut local: Vec<UnixStream> = (0..QUEUED / 10).map(local).collect();
    stage.server.signal(libc::SIGTERM);
    stage.server.go_on();
    for client in &mut queued {
        assert_eq!(client.response().text(), "quick\n");
    }
    for client in &mut local {
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer");
        assert!(answer.ends_with("quick\n"), "{answer:?}");
    }
    stage.expect_end();
}

#[test]
fn the_queue_of_a_socket_that_was_handed_over_is_left_to_the_next_server() {
    let port = Port::claim();
    let listener = TcpListener::bind(port.address()).expect("the manager's socket");
    let launch = || {
        let shared = listener.try_clone().expect("a descriptor to hand over");
        Launch::demo().options(&["--listen", &port.address().to_string()]).hand_over("clients", shared)
    };
    let mut server = launch().start();
    server.stop();
    let asking = |_| {
        let mut client = Client::connect(port.address());
        client.send(get("/").bytes());
        client
    };
    let mut waiting: Vec<Client> = (0..QUEUED / 2).map(asking).collect();
    server.signal(libc::SIGTERM);
    server.go_on();
    waiting.extend((0..QUEUED / 2).map(asking));
    assert!(server.await_end().success());
    let _next = launch().start();
    for client in &mut waiting {
        assert_eq!(client.response().code, 200);
    }
}

#[test]
fn whoever_can_still_connect_is_served() {
    let mut stage = Stage::start();
    let (address, served) = (stage.server.clients, AtomicUsize::new(0));
    thread::scope(|scope| {
        let connecting: Vec<_> =
            (0..8).map(|_| scope.spawn(|| connect_until_refused(address, &served))).collect();
        // The drain begins among them.
        while served.load(Ordering::Relaxed) < QUEUED {
            thread::yield_now();
        }
        stage.server.signal(libc::SIGTERM);
        connecting.into_iter().for_each(|thread| thread.join().expect("everybody is served"));
    });
    stage.expect_end();
}

/// Connects again and again. Each connection is answered, up to the first that is refused.
fn connect_until_refused(address: SocketAddr, served: &AtomicUsize) {
    loop {
        match TcpStream::connect(address) {
            Ok(socket) => {
                let mut client = Client::over(socket);
                client.send(get("/quick").bytes());
                assert_eq!(client.response().text(), "quick\n");
                served.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => return assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}"),
        }
    }
}

#[test]
fn thousands_of_streams_end_while_others_are_answered_and_get_what_is_published_until_then() {
    let mut server = Launch::demo().cores(4).start();
    let mut streams: Vec<Client> = (0..STREAMS).map(|_| stream(&server)).collect();
    let mut new: Vec<Client> = (0..50).map(|_| server.client()).collect();
    let acknowledged = AtomicUsize::new(0);
    let before = thread::scope(|scope| {
        let publisher = scope.spawn(|| publish_until_closed(&server, &acknowledged));
        while acknowledged.load(Ordering::Relaxed) < 5 {
            thread::yield_now();
        }
        let before = acknowledged.load(Ordering::Relaxed);
        server.signal(libc::SIGTERM);
        for client in &mut new {
            client.send(get("/").bytes());
            assert_eq!(client.response().code, 200);
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            let items: Vec<String> = stream.rest_of_body().lines().map(str::to_owned).collect();
            let expected: Vec<String> = (0..items.len()).map(|item| format!("item {item}")).collect();
            assert_eq!(items, expected, "stream {number}");
            assert!(items.len() >= before, "stream {number} has {} of {before} items", items.len());
        }
        publisher.join().expect("a publisher");
        before
    });
    assert!(acknowledged.load(Ordering::Relaxed) > before, "publishers are answered during the drain");
    assert!(server.await_end().success());
}

/// A held stream.
fn stream(server: &Server) -> Client {
    let mut client = server.client();
    client.send(get("/hold?channel=news").bytes()).head();
    client.expect_body("held\n");
    client
}

/// Publishes items one after the other on one connection, until the server closes it between two calls.
fn publish_until_closed(server: &Server, acknowledged: &AtomicUsize) {
    let mut publisher = Client::over(socket::connect(server.control));
    for item in 0.. {
        let content = format!("item {item}\n");
        let call = json!({"items": [{"channel": "news", "formats": {"http-stream": {"content": content}}}]});
        publisher.send(server.publish_request(&call.to_string()));
        if !publisher.await_answer(patience()) {
            return;
        }
        let answer = publisher.response();
        assert_eq!((answer.code, answer.text()), (200, "Published\n"));
        acknowledged.fetch_add(1, Ordering::Relaxed);
        if answer.headers.get("Connection") == Some("close") {
            return;
        }
    }
}
