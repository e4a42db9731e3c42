//! The pool's promises, tested against origins on threads.

mod built_in;
mod tls;

use super::*;
use crate::config::Config;
use crate::origin::fake_origin::Reply::{Close, Send, Stall};
use crate::origin::fake_origin::{FakeOrigin, Reply, route_to, target_at};
use crate::origin::upload::RequestBody;
use crate::proto::client_network::ClientNetwork;
use crate::proto::http1::Headers;
use crate::runtime::{block_on, spawn, yield_now};
use bytes::Bytes;
use http::{HeaderValue, Method};
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn run<F: Future<Output = ()> + 'static>(test: F) {
    block_on(test);
}

fn settings() -> Proxy {
    Config::default().proxy
}

fn pool() -> Pool {
    Pool::new(&settings())
}

fn request(method: Method, body: RequestBody) -> Request {
    let mut headers = Headers::new();
    headers.insert("x-some-name", HeaderValue::from_static("1"));
    let client = ClientNetwork::NOBODY;
    Request { method, host: "app.test:8080".into(), path_and_query: "/a?b=c".into(), headers, body, client }
}

fn get() -> Request {
    request(Method::GET, RequestBody::Empty)
}

async fn text(mut response: Response) -> String {
    let mut text = Vec::new();
    while let Some(piece) = response.body.next().await {
        text.extend_from_slice(&piece.expect("a whole body"));
    }
    String::from_utf8(text).expect("text")
}

fn streamed(pieces: &[Result<&'static str, io::ErrorKind>], length: Option<u64>) -> RequestBody {
    let piece = |piece: Result<&'static str, io::ErrorKind>| piece.map(Bytes::from).map_err(io::Error::from);
    let pieces: Vec<_> = pieces.iter().map(|it| piece(*it)).collect();
    RequestBody::Stream { body: Box::pin(futures_lite::stream::iter(pieces)), length }
}

fn unused_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

#[test]
fn a_request_reaches_the_origin_and_its_answer_comes_back() {
    run(async {
        let answer = "HTTP/1.1 202 Fine By Me\r\nDate: d\r\nX-A: 1\r\nX-A: 2\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc";
        let origin = FakeOrigin::start(&[&[Send(answer)]]);
        let route = route_to(&[target_at("localhost", origin.port)]);
        let response = pool().request(&route, get()).await.unwrap();
        assert_eq!(response.status, 202);
        assert_eq!(response.reason.as_deref(), Some(&b"Fine By Me"[..]));
        assert_eq!(response.body.exact_length(), Some(3));
        let headers: Vec<_> =
            response.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        assert_eq!(headers, [("date", "d"), ("x-a", "1"), ("x-a", "2"), ("content-length", "3")]);
        assert_eq!(text(response).await, "abc");
        assert_eq!(origin.asked(), "GET /a?b=c HTTP/1.1\r\nHost: app.test:8080\r\nX-Some-Name: 1\r\n\r\n");
    });
}

#[test]
fn the_host_is_the_targets_before_the_routes_before_the_clients() {
    run(async {
        for (as_host, target_host, host) in [
            (None, None, "app.test:8080"),
            (Some("route.test"), None, "route.test"),
            (Some("route.test"), Some("target.test:1"), "target.test:1"),
        ] {
            let origin = FakeOrigin::start(&[&[Send(OK)]]);
            let mut route = route_to(&[target_at("127.0.0.1", origin.port)]);
            route.as_host = as_host.map(str::to_owned);
            route.targets[0].host = target_host.map(str::to_owned);
            pool().request(&route, get()).await.unwrap();
            assert!(origin.asked().contains(&format!("\r\nHost: {host}\r\n")), "{host}");
        }
    });
}

#[test]
fn every_way_of_ending_a_body_is_understood_and_what_can_be_kept_is() {
    run(async {
        let cases = [
            (Method::GET, OK, "ok", 1),
            (
                Method::GET,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n",
                "abc",
                1,
            ),
            (
                Method::GET,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n1\r\na\r\n0\r\n\r\n",
                "a",
                0,
            ),
            (Method::GET, "HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", 0),
            (Method::GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", 0),
            (Method::GET, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "ok", 0),
            (Method::GET, "HTTP/1.1 204 No Content\r\n\r\n", "", 1),
            (Method::GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "", 1),
            (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "", 1),
            (
                Method::GET,
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                "",
                1,
            ),
        ];
        for (method, answer, body, kept) in cases {
            let stays_open = if kept == 1 { Stall(answer) } else { Send(answer) };
            let origin = FakeOrigin::start(&[&[stays_open]]);
            let (pool, route) = (pool(), route_to(&[target_at("127.0.0.1", origin.port)]));
            let response = pool.request(&route, request(method, RequestBody::Empty)).await.unwrap();
            assert!(response.status >= 200);
            assert_eq!(text(response).await, body, "{answer}");
            let counts = pool.counts();
            assert_eq!((counts.idle, counts.open), (kept, 0), "{answer}");
        }
    });
}

#[test]
fn request_bodies_arrive_whole_in_each_framing() {
    run(async {
        let pieces = [Ok("ab"), Ok("cde")];
        let cases = [
            (RequestBody::Whole("abcde".into()), "Content-Length: 5\r\n\r\nabcde"),
            (streamed(&pieces, Some(5)), "Content-Length: 5\r\n\r\nabcde"),
            (streamed(&pieces, None), "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"),
            (RequestBody::Empty, "Content-Length: 0\r\n\r\n"),
        ];
        for (body, sent) in cases {
            let origin = FakeOrigin::start(&[&[Send(OK)]]);
            let route = route_to(&[target_at("127.0.0.1", origin.port)]);
            let response = pool().request(&route, request(Method::POST, body)).await.unwrap();
            assert_eq!(text(response).await, "ok");
            assert_eq!(
                origin.asked(),
                format!("POST /a?b=c HTTP/1.1\r\nHost: app.test:8080\r\nX-Some-Name: 1\r\n{sent}")
            );
        }
    });
}

#[test]
fn a_connection_is_used_again_once_its_answer_is_read() {
    run(async {
        let origin = FakeOrigin::start(&[&[Send(OK), Send(OK), Send(OK)]]);
        let (pool, route) = (pool(), route_to(&[target_at("127.0.0.1", origin.port)]));
        for _ in 0..3 {
            assert_eq!(text(pool.request(&route, get()).await.unwrap()).await, "ok");
        }
        assert_eq!((origin.connections(), origin.asked_more()), (1, 3));
    });
}

#[test]
fn an_answer_dropped_unread_closes_its_connection() {
    run(async {
        let stalled = Stall("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
        let origin = FakeOrigin::start(&[&[stalled], &[Send(OK)]]);
        let (pool, route) = (pool(), route_to(&[target_at("127.0.0.1", origin.port)]));
        let response = pool.request(&route, get()).await.unwrap();
        assert_eq!(pool.counts().open, 1);
        drop(response);
        assert_eq!((pool.counts().open, pool.counts().idle), (0, 0));
        assert_eq!(text(pool.request(&route, get()).await.unwrap()).await, "ok");
    });
}

#[test]
fn a_kept_connection_that_closes_is_noticed() {
    run(async {
        let origin = FakeOrigin::start(&[&[Send(OK)], &[Send(OK)]]);
        let (pool, route) = (pool(), route_to(&[target_at("127.0.0.1", origin.port)]));
        text(pool.request(&route, get()).await.unwrap()).await;
        while pool.counts().idle > 0 {
            yield_now().await;
            pool.purge(Instant::now());
        }
        let again = request(Method::POST, RequestBody::Whole("x".into()));
        assert_eq!(text(pool.request(&route, again).await.unwrap()).await, "ok");
        assert_eq!((origin.connections(), origin.asked_more()), (2, 2));
    });
}

#[test]
fn what_may_be_made_twice_is_sent_again_when_a_kept_connection_fails() {
    run(async {
        let cases = [
            (Method::GET, RequestBody::Empty, true),
            (Method::PUT, RequestBody::Whole("abc".into()), true),
            (Method::POST, RequestBody::Whole("abc".into()), false),
            (Method::PUT, streamed(&[Ok("abc")], Some(3)), false),
        ];
        for (method, body, repeated) in cases {
            let said = format!("{method} {body:?}");
            let origin = FakeOrigin::start(&[&[Send(OK), Close], &[Send(OK)]]);
            let (pool, route) = (pool(), route_to(&[target_at("127.0.0.1", origin.port)]));
            text(pool.request(&route, get()).await.unwrap()).await;
            let answer = pool.request(&route, request(method, body)).await;
            assert_eq!(answer.is_ok(), repeated, "{said}");
            assert_eq!(origin.connections(), 1 + usize::from(repeated), "{said}");
            if let Err(error) = answer {
                assert!(matches!(error, OriginError::Broken { .. }), "{error}");
            }
        }
    });
}

#[test]
fn a_request_is_not_sent_again_once_an_answer_began() {
    run(async {
        let origin = FakeOrigin::start(&[&[Send(OK), Send("HTTP/1.1 2")], &[Send(OK)]]);
        let (pool, route) = (pool(), route_to(&[target_at("127.0.0.1", origin.port)]));
        text(pool.request(&route, get()).await.unwrap()).await;
        let error = pool.request(&route, get()).await.unwrap_err();
        assert!(matches!(error, OriginError::Broken { .. }), "{error}");
        assert_eq!(origin.connections(), 1);
    });
}

#[test]
fn targets_are_tried_in_order_until_one_takes_the_connection() {
    run(async {
        let (dead, origin) = (unused_port(), FakeOrigin::start(&[&[Send(OK)]]));
        let route = route_to(&[target_at("127.0.0.1", dead), target_at("127.0.0.1", origin.port)]);
        assert_eq!(text(pool().request(&route, get()).await.unwrap()).await, "ok");
    });
}

#[test]
fn a_target_that_answered_badly_is_not_passed_over() {
    run(async {
        let bad = FakeOrigin::start(&[&[Close]]);
        let good = FakeOrigin::start(&[&[Send(OK)]]);
        let route = route_to(&[target_at("127.0.0.1", bad.port), target_at("127.0.0.1", good.port)]);
        let error = pool().request(&route, get()).await.unwrap_err();
        assert!(matches!(error, OriginError::Broken { .. }), "{error}");
        assert_eq!(good.asked_more(), 0);
    });
}

#[test]
fn all_that_was_tried_is_told() {
    run(async {
        let (first, second) = (unused_port(), unused_port());
        let route = route_to(&[target_at("127.0.0.1", first), target_at("localhost", second)]);
        let error = pool().request(&route, get()).await.unwrap_err();
        let debug =
            format!("Unable to connect to any targets. Tried: 127.0.0.1:{first}, localhost:{second}\n");
        assert_eq!(error.answer(true).body, debug);
        assert_eq!(error.answer(false).body, "Error while proxying to origin.\n");
        let error = error.to_string();
        for address in
            [format!("127.0.0.1:{first}"), format!("127.0.0.1:{second}"), format!("[::1]:{second}")]
        {
            assert!(error.contains(&format!("connecting to {address}: ")), "{address} in {error}");
        }
    });
}

#[test]
fn a_connection_carries_no_request_beyond_its_age() {
    run(async {
        let origin = FakeOrigin::start(&[&[Send(OK), Send(OK)], &[Send(OK)]]);
        let (pool, route) = (pool(), route_to(&[target_at("127.0.0.1", origin.port)]));
        text(pool.request(&route, get()).await.unwrap()).await;
        pool.renew(&Proxy { origin_connection_age_ms: 0, ..settings() });
        assert_eq!(text(pool.request(&route, get()).await.unwrap()).await, "ok");
        assert_eq!((origin.connections(), pool.counts().idle), (2, 0));
    });
}

#[test]
fn a_kept_connection_is_left_when_its_name_leads_elsewhere() {
    run(async {
        let origin = FakeOrigin::start(&[&[Send(OK), Send(OK), Send(OK)]]);
        let (pool, route) = (pool(), route_to(&[target_at("app.invalid", origin.port)]));
        let resolver = &pool.connector.resolver;
        resolver.remember("app.invalid", &["127.0.0.1"]);
        text(pool.request(&route, get()).await.unwrap()).await;
        resolver.remember("app.invalid", &["127.0.0.2", "127.0.0.1"]);
        text(pool.request(&route, get()).await.unwrap()).await;
        assert_eq!(origin.connections(), 1, "it is still one of its addresses");
        resolver.remember("app.invalid", &["127.0.0.2"]);
        let error = pool.request(&route, get()).await.unwrap_err().to_string();
        assert!(error.contains(&format!("connecting to 127.0.0.2:{}", origin.port)), "{error}");
    });
}

#[test]
fn what_follows_an_answer_is_never_the_answer_to_another_request() {
    run(async {
        let surplus = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";
        let cases = [
            (Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            (Method::GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
            (Method::GET, "HTTP/1.1 204 No Content\r\n\r\n"),
            (Method::GET, "HTTP/1.1 304 Not Modified\r\n\r\n"),
            (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        ];
        for (method, answer) in cases {
            let both: &'static str = Box::leak(format!("{answer}{surplus}").into_boxed_str());
            let origin = FakeOrigin::start(&[&[Stall(both)], &[Send(OK)]]);
            let (pool, route) = (pool(), route_to(&[target_at("127.0.0.1", origin.port)]));
            text(pool.request(&route, request(method, RequestBody::Empty)).await.unwrap()).await;
            let own = pool.request(&route, request(Method::POST, RequestBody::Whole("x".into()))).await;
            assert_eq!(text(own.unwrap()).await, "ok", "after {answer}");
        }
    });
}

#[test]
fn a_connection_that_was_given_up_waiting_for_a_request_is_not_its_answer() {
    run(async {
        let late = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let origin = FakeOrigin::start(&[&[Send(OK), Send(late)], &[Send(OK)]]);
        let (pool, route) = (pool(), route_to(&[target_at("127.0.0.1", origin.port)]));
        text(pool.request(&route, get()).await.unwrap()).await;
        assert_eq!(text(pool.request(&route, get()).await.unwrap()).await, "ok");
        assert_eq!((origin.connections(), origin.asked_more()), (2, 3));
    });
}

#[test]
fn a_listener_that_never_accepts_is_given_up() {
    run(async {
        let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        full.listen(0).unwrap();
        let address = full.local_addr().unwrap();
        let _waiting: Vec<_> = std::iter::repeat_with(|| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _in_progress = socket.connect(&address);
            socket
        })
        .take(4)
        .collect();
        let pool = Pool::new(&Proxy { connect_timeout_ms: 30, ..settings() });
        let route = route_to(&[target_at("127.0.0.1", address.as_socket().unwrap().port())]);
        let error = pool.request(&route, get()).await.unwrap_err();
        assert!(matches!(error, OriginError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("timed out") || error.to_string().contains("30 ms"), "{error}");
    });
}

#[test]
fn an_origin_that_falls_silent_is_given_up_before_and_after_its_head() {
    run(async {
        let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let slow = FakeOrigin::start(&[&[Stall("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")]]);
        let pool = Pool::new(&Proxy { origin_idle_timeout_ms: 30, ..settings() });
        let route = route_to(&[target_at("127.0.0.1", silent.local_addr().unwrap().port())]);
        let error = pool.request(&route, get()).await.unwrap_err();
        assert!(matches!(error, OriginError::Idle { idle_ms: 30, .. }), "{error}");

        let route = route_to(&[target_at("127.0.0.1", slow.port)]);
        let mut body = pool.request(&route, get()).await.unwrap().body;
        assert_eq!(body.next().await.unwrap().unwrap(), "abc");
        let error = body.next().await.unwrap().unwrap_err();
        assert!(matches!(error, OriginError::Idle { .. }), "{error}");
        assert!(body.next().await.is_none());
        assert_eq!(pool.counts().open, 0);
    });
}

#[test]
fn what_is_no_answer_is_an_error() {
    run(async {
        let answers = [
            "garbage\r\n\r\n",
            "",
            "HTTP/1.1 200 OK\r\nBroken Header\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Le",
            "SSH-2.0-x\r\n",
        ];
        for answer in answers {
            let origin = FakeOrigin::start(&[&[Send(answer)]]);
            let route = route_to(&[target_at("127.0.0.1", origin.port)]);
            let error = pool().request(&route, get()).await.unwrap_err();
            assert!(matches!(error, OriginError::Broken { .. }), "{answer}: {error}");
        }
        let origin = FakeOrigin::start(&[&[Send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        )]]);
        let route = route_to(&[target_at("127.0.0.1", origin.port)]);
        let error = pool().request(&route, get()).await.unwrap_err();
        assert!(matches!(error, OriginError::Switched { .. }), "{error}");
    });
}

#[test]
fn a_body_that_breaks_off_is_an_error_at_its_end() {
    run(async {
        let origin = FakeOrigin::start(&[&[Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")]]);
        let route = route_to(&[target_at("127.0.0.1", origin.port)]);
        let mut body = pool().request(&route, get()).await.unwrap().body;
        assert_eq!(body.next().await.unwrap().unwrap(), "abc");
        assert!(matches!(body.next().await, Some(Err(OriginError::Broken { .. }))));
        assert!(body.next().await.is_none());
    });
}

#[test]
fn a_client_that_breaks_off_its_body_is_not_blamed_on_the_origin() {
    run(async {
        let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let route = route_to(&[target_at("127.0.0.1", silent.local_addr().unwrap().port())]);
        let body = streamed(&[Ok("ab"), Err(io::ErrorKind::UnexpectedEof)], Some(9));
        let error = pool().request(&route, request(Method::POST, body)).await.unwrap_err();
        assert!(matches!(error, OriginError::RequestBody { .. }), "{error}");
        assert_eq!(error.answer(false).status, 400);
    });
}

#[test]
fn a_request_that_waits_for_its_answer_takes_little_memory() {
    let (pool, route) = (pool(), route_to(&[target_at("127.0.0.1", 1)]));
    let bytes = std::mem::size_of_val(&pool.request(&route, get()));
    assert!(bytes <= 2560, "{bytes} bytes");
}

#[test]
fn requests_beyond_the_bound_wait_for_an_answer_to_be_read() {
    run(async {
        let origin = FakeOrigin::start(&[&[Send(OK), Send(OK)]]);
        let pool = Rc::new(Pool::new(&Proxy { open_requests_per_core: 1, ..settings() }));
        let route = route_to(&[target_at("127.0.0.1", origin.port)]);
        let first = pool.request(&route, get()).await.unwrap();
        let (waiting, second_route) = (pool.clone(), route.clone());
        let second = spawn(async move { waiting.request(&second_route, get()).await });
        yield_now().await;
        assert_eq!((pool.counts().open, origin.connections()), (1, 1));
        text(first).await;
        assert_eq!(text(second.await.unwrap()).await, "ok");
        assert_eq!(origin.connections(), 1);
    });
}

#[test]
fn an_untrusted_target_on_this_machine_is_not_asked_nor_the_one_after_it() {
    run(async {
        let origin = FakeOrigin::start(&[&[Send(OK), Send(OK)]]);
        let mut route = route_to(&[target_at("127.0.0.1", origin.port), target_at("127.0.0.1", origin.port)]);
        let pool = pool();
        assert_eq!(text(pool.request(&route, get()).await.unwrap()).await, "ok");
        route.targets[0].untrusted = true;
        let blocked = pool.request(&route, get()).await;
        assert!(matches!(blocked, Err(OriginError::Blocked { .. })), "{blocked:?}");
        assert_eq!(origin.asked_more(), 1, "a kept connection is not for an untrusted target");
    });
}
