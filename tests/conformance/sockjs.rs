//! SockJS: conversations by WebSockets and by requests that wait. The application sees a WebSocket; which channel it
//! joins, and whether it accepts, the query says here.

use std::io::Write;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::json;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use crate::harness::client::Response;
use crate::harness::origin::{Answer, Page, Received, Then};
use crate::harness::proxy::standard;
use crate::harness::request::{get, request};
use crate::harness::tls::EXACT;
use crate::harness::websocket::{Socket, control_event, events_answer, text_event};
use crate::harness::websocket_origin::acceptance;
use crate::harness::{patience, pushpin_differs, unique};
use gripwire_harness::tunnel::tunnel;

const HOST: &str = "sockjs.test";

/// The application behind `sockjs.test`, which all cases share.
fn application() {
    static PAGE: OnceLock<Mutex<Page>> = OnceLock::new();
    PAGE.get_or_init(|| {
        Mutex::new(Page::at("sockjs-application", |request, socket| {
            let _ = socket.write_all(&converse(request).bytes_for(&request.method));
            Then::KeepOpen
        }))
    });
}

/// Where cases hear that the conversation with this query has ended.
fn ended(query: &str) -> Receiver<String> {
    let (tell, told) = channel();
    ends().lock().expect("ends").push((query.to_owned(), tell));
    told
}

type Ends = Mutex<Vec<(String, std::sync::mpsc::Sender<String>)>>;

fn ends() -> &'static Ends {
    static ENDS: Ends = Mutex::new(Vec::new());
    &ENDS
}

fn converse(request: &Received) -> Answer {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    if query.contains("reject") {
        return Answer::new(403, "Forbidden").body("not you\n");
    }
    let mut answer = Vec::new();
    let mut rest = &request.body[..];
    while let Some((kind, content)) = take_event(&mut rest) {
        match (kind.as_str(), content) {
            ("OPEN", _) => {
                answer.extend(b"OPEN\r\n");
                if let Some(channel) = query.split('&').find_map(|pair| pair.strip_prefix("channel=")) {
                    let join = control_event(json!({"type": "subscribe", "channel": channel}));
                    answer.extend((join + &text_event("m:joined")).bytes());
                }
            }
            ("TEXT", b"scheme?") => {
                let scheme = request.headers.get("X-Forwarded-Proto").unwrap_or("none");
                answer.extend(text_event(&format!("m:{scheme}")).bytes());
            }
            ("TEXT", b"close") => answer.extend(b"CLOSE 5\r\n\x0b\xb9bye\r\n"), // 3001
            ("TEXT", text) => {
                answer.extend(text_event(&format!("m:{}", String::from_utf8_lossy(text))).bytes());
            }
            ("CLOSE" | "DISCONNECT", _) => {
                let told = ends().lock().expect("ends");
                for (_, tell) in told.iter().filter(|(of, _)| of == query) {
                    let _ = tell.send(kind.clone());
                }
                if kind == "CLOSE" {
                    answer.extend(b"CLOSE\r\n");
                }
            }
            _ => {}
        }
    }
    events_answer(answer)
}

/// The next of a list of events: its kind and its content.
fn take_event<'a>(rest: &mut &'a [u8]) -> Option<(String, &'a [u8])> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let head = String::from_utf8_lossy(&rest[..end]).into_owned();
    *rest = &rest[end + 2..];
    let Some((kind, length)) = head.split_once(' ') else { return Some((head, b"")) };
    let (content, after) = rest.split_at(usize::from_str_radix(length, 16).ok()?);
    *rest = &after[2..];
    Some((kind.to_owned(), content))
}

/// A client that asks with requests.
struct Requests {
    session: String,
    query: String,
}

impl Requests {
    fn new(query: &str) -> Requests {
        application();
        Requests { session: unique("s"), query: query.to_owned() }
    }

    fn target(&self, transport: &str) -> String {
        format!("/sockjs/000/{}/{transport}?{}", self.session, self.query)
    }

    fn poll(&self) -> Response {
        standard().fetch(&request("POST", self.target("xhr")).host(HOST).body(""))
    }

    fn expect(&self, frame: &str) {
        let response = self.poll();
        assert_eq!((response.code, response.text()), (200, &*format!("{frame}\n")));
    }

    fn say(&self, messages: &str) {
        let said = request("POST", self.target("xhr_send")).host(HOST).body(messages);
        let code = standard().fetch(&said).code;
        assert!(code == 204 || code == 200, "{code}");
    }
}

fn publish(channel: &str, text: &str) {
    standard().publish(json!({"channel": channel, "formats": {"ws-message": {"content": text}}}));
}

#[test]
fn a_client_that_waits_for_requests_speaks_with_the_application() {
    let client = Requests::new("");
    client.expect("o");
    client.say(r#"["hi"]"#);
    client.expect(r#"a["hi"]"#);
    client.say(r#"["say \"it\""]"#);
    client.expect(r#"a["say \"it\""]"#);
}

#[test]
fn what_is_published_reaches_a_client_that_waits() {
    let channel = unique("ch");
    let client = Requests::new(&format!("channel={channel}"));
    client.expect("o");
    client.expect(r#"a["joined"]"#);
    let mut waiting = standard().ask(&request("POST", client.target("xhr")).host(HOST).body(""));
    let item = json!({"channel": channel, "formats": {"ws-message": {"content": "news"}}});
    standard().publish_until_answered(&mut waiting, item);
    assert!(waiting.response().text().starts_with(r#"a["news""#));
}

#[test]
fn a_conversation_that_the_application_closes_says_so_again_and_again() {
    let client = Requests::new("");
    client.expect("o");
    client.say(r#"["close"]"#);
    client.expect(r#"c[3001,"bye"]"#);
    client.expect(r#"c[3001,"bye"]"#);
}

#[test]
fn two_requests_do_not_wait_at_a_time() {
    let client = Requests::new("");
    client.expect("o");
    let ask = || standard().ask(&request("POST", client.target("xhr")).host(HOST).body(""));
    let (mut one, mut other) = (ask(), ask());
    // Which of them came first is not known.
    while !one.answered_within(Duration::from_millis(20)) {
        std::mem::swap(&mut one, &mut other);
    }
    assert_eq!(one.response().text(), "c[2010,\"Another connection still open\"]\n");
    client.say(r#"["hi"]"#);
    assert_eq!(other.response().text(), "a[\"hi\"]\n");
}

#[test]
fn a_conversation_that_nobody_has_begun_takes_nothing() {
    let client = Requests::new("");
    let said = request("POST", client.target("xhr_send")).host(HOST).body(r#"["hi"]"#);
    assert_eq!(standard().fetch(&said).code, 404);
}

#[test]
fn what_is_no_list_of_messages_is_refused() {
    let client = Requests::new("");
    client.expect("o");
    for odd in ["", "x", "[1]", "{}"] {
        let said = request("POST", client.target("xhr_send")).host(HOST).body(odd);
        assert_eq!(standard().fetch(&said).code, 400, "{odd}");
    }
    client.say(r#"["still here"]"#);
    client.expect(r#"a["still here"]"#);
}

#[test]
fn an_application_that_does_not_accept_says_so_with_its_status() {
    let client = Requests::new("reject");
    assert_eq!(client.poll().code, 403);
}

#[test]
fn a_conversation_that_nobody_waits_in_ends_for_the_application() {
    let query = format!("q={}", unique("q"));
    let (client, ended) = (Requests::new(&query), ended(&query));
    client.expect("o");
    assert!(ended.recv_timeout(patience()).is_ok());
}

#[test]
fn a_script_speaks_with_the_application() {
    let client = Requests::new("");
    let poll = || standard().fetch(&get(format!("{}c=f", client.target("jsonp"))).host(HOST));
    let opened = poll();
    assert!(
        opened.headers.get("Content-Type").is_some_and(|kind| kind.starts_with("application/javascript"))
    );
    assert_eq!(opened.text().trim_end(), r#"/**/f("o");"#);
    let said = request("POST", client.target("jsonp_send"))
        .host(HOST)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("d=%5B%22a%20b%22%5D");
    let response = standard().fetch(&said);
    assert_eq!((response.code, response.text()), (200, "ok"));
    assert_eq!(poll().text().trim_end(), r#"/**/f("a[\"a b\"]");"#);
}

#[test]
fn a_script_calls_a_name() {
    pushpin_differs!("any text is taken for a function, and without one it does not answer");
    let client = Requests::new("");
    for query in ["", "c=", "c=alert(1);f"] {
        let response = standard().fetch(&get(format!("{}{query}", client.target("jsonp"))).host(HOST));
        assert_eq!(response.code, 400, "{query}");
    }
}

/// A client by a WebSocket.
fn open(query: &str) -> Socket {
    application();
    let mut socket = standard().open(HOST, &format!("/sockjs/000/{}/websocket?{query}", unique("s")));
    assert_eq!(socket.next_message(), Message::text("o"));
    socket
}

#[test]
fn a_websocket_speaks_with_the_application_in_frames() {
    let mut socket = open("");
    socket.text(r#"["one"]"#);
    assert_eq!(socket.next_message(), Message::text(r#"a["one"]"#));
    socket.text(r#"["two"]"#);
    assert_eq!(socket.next_message(), Message::text(r#"a["two"]"#));
}

#[test]
fn an_application_is_told_that_a_client_speaks_sockjs_by_tls() {
    application();
    let path = format!("/sockjs/000/{}/websocket", unique("s"));
    let mut socket = Socket::over(tunnel(standard().https, EXACT), HOST, &path, &[]);
    assert_eq!(socket.next_message(), Message::text("o"));
    socket.text(r#"["scheme?"]"#);
    assert_eq!(socket.next_message(), Message::text(r#"a["wss"]"#));
}

#[test]
fn a_websocket_may_send_one_message_without_a_list() {
    pushpin_differs!("it cuts the connection");
    let mut socket = open("");
    socket.text(r#""one""#);
    assert_eq!(socket.next_message(), Message::text(r#"a["one"]"#));
}

#[test]
fn what_is_published_reaches_a_websocket_in_a_frame() {
    let channel = unique("ch");
    let mut socket = open(&format!("channel={channel}"));
    assert_eq!(socket.next_message(), Message::text(r#"a["joined"]"#));
    if crate::harness::against_pushpin() {
        std::thread::sleep(Duration::from_millis(200)); // It subscribes at a time nobody can see.
    }
    publish(&channel, "news");
    assert_eq!(socket.next_message(), Message::text(r#"a["news"]"#));
}

#[test]
fn a_websocket_is_closed_with_the_code_of_the_application() {
    let mut socket = open("");
    socket.text(r#"["close"]"#);
    let close = loop {
        match socket.next_message() {
            Message::Close(close) => break close.expect("a code"),
            frame => assert_eq!(frame, Message::text(r#"c[3001,"bye"]"#)),
        }
    };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (3001, "bye"));
}

#[test]
fn a_websocket_is_told_of_the_end_in_a_frame_too() {
    pushpin_differs!("it only closes");
    let mut socket = open("");
    socket.text(r#"["close"]"#);
    assert_eq!(socket.next_message(), Message::text(r#"c[3001,"bye"]"#));
    assert!(matches!(socket.next_message(), Message::Close(_)));
}

#[test]
fn a_websocket_that_leaves_ends_for_the_application() {
    let query = format!("q={}", unique("q"));
    let ended = ended(&query);
    drop(open(&query));
    assert!(ended.recv_timeout(patience()).is_ok());
}

#[test]
fn a_websocket_that_sends_what_is_no_list_is_closed() {
    pushpin_differs!("it passes over what it cannot read");
    let mut socket = open("");
    socket.text("not json");
    assert!(matches!(socket.next_message(), Message::Close(_)));
}

#[test]
fn a_websocket_may_do_without_frames() {
    application();
    let mut socket = standard().open(HOST, "/sockjs/websocket");
    socket.text("plain");
    assert_eq!(socket.next_message(), Message::text("plain"));
}

#[test]
fn an_application_that_speaks_websocket_is_reached_at_the_services_path() {
    let (report, targets) = channel();
    let _page = Page::at("sockjs-native", move |request, socket| {
        let _ = report.send(request.target.clone());
        let _ = socket.write_all(&acceptance(request, &[]));
        let stream = socket.try_clone().expect("a second handle");
        let mut application = WebSocket::from_raw_socket(stream, Role::Server, None);
        while let Ok(message) = application.read() {
            if message.is_text() {
                let _ = application.send(message);
            }
        }
        Then::Close
    });
    let session = unique("s");
    let poll =
        request("POST", format!("/sockjs-native/000/{session}/xhr")).host("sockjs-native.test").body("");
    assert_eq!(standard().fetch(&poll).text(), "o\n");
    assert_eq!(targets.recv_timeout(patience()).expect("a WebSocket"), "/sockjs-native");
    let long = "x".repeat(70_000);
    for text in ["native", &long] {
        let said = request("POST", format!("/sockjs-native/000/{session}/xhr_send"))
            .host("sockjs-native.test")
            .body(format!("[\"{text}\"]"));
        assert!(standard().fetch(&said).code < 300);
        assert_eq!(standard().fetch(&poll).text(), format!("a[\"{text}\"]\n"));
    }
}

#[test]
fn the_service_says_what_it_can_do() {
    let response = standard().fetch(&get("/sockjs/info").host(HOST).header("Origin", "http://page.test"));
    let info: serde_json::Value = serde_json::from_str(response.text()).expect("JSON");
    assert_eq!((&info["websocket"], &info["cookie_needed"]), (&json!(true), &json!(false)));
    assert_eq!(info["origins"], json!(["*:*"]));
    assert!(info["entropy"].is_u64());
    assert_eq!(response.headers.get("Access-Control-Allow-Origin"), Some("http://page.test"));
    assert_eq!(response.headers.get("Access-Control-Allow-Credentials"), Some("true"));
}

#[test]
fn the_page_for_a_frame_loads_the_library() {
    let page = get("/sockjs/iframe-1.6.1.html").host(HOST);
    let response = standard().fetch(&page);
    assert!(response.text().contains("SockJS.bootstrap_iframe()"), "{}", response.text());
    let tag = response.headers.get("ETag").expect("an ETag");
    assert_eq!(standard().fetch(&page.header("If-None-Match", tag)).code, 304);
}

#[test]
fn other_paths_and_methods_are_not_found() {
    for target in ["/sockjs", "/sockjs/elsewhere", "/sockjs/000/s/xhr", "/sockjs/000/s/xhr_streaming"] {
        assert_eq!(standard().fetch(&get(target).host(HOST)).code, 404, "{target}");
    }
    let asked = request("OPTIONS", "/sockjs/000/s/xhr").host(HOST);
    assert_eq!(standard().fetch(&asked).code, 204);
}
