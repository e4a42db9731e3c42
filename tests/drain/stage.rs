//! A server with clients by plain TCP and by TLS, and the application behind it.

use gripwire_harness::client::Client;
use gripwire_harness::deadline::patience;
use gripwire_harness::frames::Peer;
use gripwire_harness::origin::{Answer, Origin, Received, Then, control_event, text_event};
use gripwire_harness::request::{Request, get};
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::tls::EXACT;
use gripwire_harness::tunnel::tunnel;
use gripwire_harness::websocket::Socket;
use std::io::Write;
use std::net::TcpStream;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tungstenite::handshake::derive_accept_key;

/// How a client connects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Plain,
    Tls,
}

pub const WAYS: [Way; 2] = [Way::Plain, Way::Tls];

/// Streams whose end shows that all cores drain: as many that no core is without one.
pub const WITNESSES: usize = 16;

/// A server, and the application behind it.
pub struct Stage {
    pub server: Server,
    /// Every request that the application has got, as `METHOD TARGET BODY`.
    told: Receiver<String>,
    /// The application's ends of WebSockets that pass through.
    accepted: Receiver<Peer>,
    /// Lets the application answer one request for `/slow`.
    gate: Sender<()>,
    _origin: Origin,
}

impl Stage {
    /// With the default settings.
    pub fn start() -> Stage {
        Stage::with("")
    }

    /// With more settings, in TOML.
    pub fn with(settings: &str) -> Stage {
        Stage::launched(|launch| launch.settings(settings))
    }

    /// Launched as `launch` says.
    pub fn launched(launch: impl FnOnce(Launch) -> Launch) -> Stage {
        let (tell, told) = channel();
        let (accept, accepted) = channel();
        let (gate, opened) = channel();
        let (tell, accept, opened) = (Mutex::new(tell), Mutex::new(accept), Arc::new(Mutex::new(opened)));
        let origin = Origin::handling(move |request, socket| {
            let body = String::from_utf8_lossy(&request.body);
            let _ = tell.lock().unwrap().send(format!("{} {} {body}", request.method, request.target));
            if request.headers.has("Upgrade") {
                let _ = socket.write_all(&acceptance(request));
                let peer = Peer::server(socket.try_clone().expect("a second handle"));
                let _ = accept.lock().unwrap().send(peer);
                return Then::Close;
            }
            if request.target == "/slow" || body.contains("slow") {
                let _ = opened.lock().unwrap().recv_timeout(patience());
            }
            let _ = socket.write_all(&answer(request).bytes_for(&request.method));
            Then::KeepOpen
        });
        let address = origin.address();
        let routes = Launch::route(&format!("*,path_beg=/socket {address},over_http"))
            .and_route(&format!("*,path_beg=/sockjs,sockjs=/sockjs {address},over_http"))
            .and_route(&format!("* {address}"));
        let server = launch(routes.tls()).start();
        Stage { server, told, accepted, gate, _origin: origin }
    }

    /// A connection to the port for clients.
    pub fn connect(&self, way: Way) -> TcpStream {
        match way {
            Way::Plain => self.server.connect(),
            Way::Tls => tunnel(self.server.tls.expect("a port for TLS"), EXACT),
        }
    }

    /// A client that has sent `request`.
    pub fn asking(&self, way: Way, request: &Request) -> Client {
        let mut client = Client::over(self.connect(way));
        client.send(request.bytes());
        client
    }

    /// A client of a held answer, whose body begins with `opening`.
    pub fn held(&self, way: Way, request: &Request, opening: &str) -> Client {
        let mut client = self.asking(way, request);
        assert_eq!(client.head().code, 200);
        client.expect_body(opening);
        client
    }

    /// A WebSocket over HTTP, whose subscription is in force.
    pub fn websocket(&self, way: Way) -> Peer {
        let mut socket = Socket::over(self.connect(way), EXACT, "/socket", &[]);
        socket.expect_text("welcome");
        self.await_told("OPEN");
        Peer::client(&socket)
    }

    /// Both ends of a WebSocket that passes through, the client's first.
    pub fn through(&self, way: Way) -> (Peer, Peer) {
        let socket = Socket::over(self.connect(way), EXACT, "/through", &[]);
        let client = Peer::client(&socket);
        (client, self.accepted.recv_timeout(patience()).expect("a WebSocket reaches the application"))
    }

    /// Waits until the application has got a request with `text` in it.
    pub fn await_told(&self, text: &str) -> String {
        loop {
            let request = self.told.recv_timeout(patience());
            let request = request.unwrap_or_else(|_| panic!("the application hears nothing of {text:?}"));
            if request.contains(text) {
                return request;
            }
        }
    }

    /// What the application has been told until now.
    pub fn told_so_far(&self) -> Vec<String> {
        self.told.try_iter().collect()
    }

    /// Lets the application answer a slow request.
    pub fn let_answer(&self) {
        self.gate.send(()).expect("the application waits");
    }

    /// Begins to drain the server, and returns when all cores drain.
    pub fn begin(&self) {
        self.begin_by(|server| server.signal(libc::SIGTERM));
    }

    /// The same by other means.
    pub fn begin_by(&self, begin: impl FnOnce(&Server)) {
        let witness = |_| self.held(Way::Plain, &get("/witness"), "begun\n");
        let mut witnesses: Vec<Client> = (0..WITNESSES).map(witness).collect();
        begin(&self.server);
        witnesses.iter_mut().for_each(Client::expect_body_end);
    }

    /// Waits for the end of the server, which must be a good one.
    pub fn expect_end(&mut self) {
        let status: ExitStatus = self.server.await_end();
        assert!(status.success(), "{status}");
    }
}

/// Longer than any hold of a test.
const LONG: Duration = Duration::from_secs(3600);

fn answer(request: &Received) -> Answer {
    let body = String::from_utf8_lossy(&request.body);
    let path = request.target.split('?').next().unwrap_or_default();
    match path {
        "/poll" => Answer::poll("news", LONG.as_secs() as u32, "nothing\n"),
        "/stream" | "/witness" => Answer::stream("news", "begun\n").header("Grip-Link", "</gone>; rel=gone"),
        "/events" => Answer::new(200, "OK")
            .header("Content-Type", "text/event-stream; charset=utf-8")
            .header("Grip-Hold", "stream")
            .header("Grip-Channel", "news")
            .body("data: first\n\n"),
        "/socket" | "/sockjs" => Answer::events(conversation(&body)),
        "/slow" => Answer::text("slow\n"),
        _ => Answer::text("quick\n"),
    }
}

/// The events that answer the events of a request.
fn conversation(events: &str) -> String {
    let mut answer = String::new();
    if events.starts_with("OPEN") {
        answer += "OPEN\r\n";
        answer += &control_event(serde_json::json!({"type": "subscribe", "channel": "news"}));
        answer += &text_event("m:welcome");
    }
    if events.contains("TEXT") {
        answer += &text_event("m:heard");
    }
    answer
}

fn acceptance(request: &Received) -> Vec<u8> {
    let key = request.headers.get("Sec-WebSocket-Key").expect("a key");
    let accept = derive_accept_key(key.as_bytes());
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    format!("{head}Sec-WebSocket-Accept: {accept}\r\n\r\n").into_bytes()
}
