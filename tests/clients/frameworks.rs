//! Applications as their frameworks' users write them: Django with django-eventstream before a browser's EventSource,
//! and Express with serve-grip.

use crate::{folder, run};
use gripwire_harness::program::{Program, find};
use gripwire_harness::server::Server;
use gripwire_harness::socket::read_head;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use tungstenite::{Message, WebSocket};

#[test]
fn a_browser_behind_django_eventstream_gets_every_event_once_though_its_stream_ends() {
    let Some(python) = find(folder().join(".venv/bin/python"), "run tests/clients/install") else { return };
    let Some(browser) = find("chromium", "install it from the system's packages") else { return };
    let Some(node) = find("node", "install it from the system's packages") else { return };
    let Some(_) = find(folder().join("node_modules/playwright-core"), "run tests/clients/install") else {
        return;
    };
    let (mut application, server) = start(Command::new(python).arg("django_events.py"), "");
    let url = format!("http://{}/", server.clients);
    let mut page = run(Command::new(node).arg("events.mjs").arg(url).arg(browser));
    assert_eq!(page.line(), "open");
    let mut send = |text: &str| {
        application.tell(text);
        assert_eq!(application.line(), "sent");
    };
    send("first");
    page.tell("1");
    assert_eq!(page.line(), "news:1 first");
    // The browser comes back some seconds later and says what it had last.
    server.close_streams("events-news");
    send("while it was away");
    send("and another");
    page.tell("3");
    assert_eq!(page.line(), "news:1 first, news:2 while it was away, news:3 and another");
    send("live again");
    page.tell("4");
    assert!(page.line().ends_with(", news:4 live again"));
}

#[test]
fn streams_and_websockets_of_an_express_application_get_what_it_publishes() {
    let Some(node) = find("node", "install it from the system's packages") else { return };
    let Some(_) = find(folder().join("node_modules/@fanoutio/serve-grip"), "run tests/clients/install")
    else {
        return;
    };
    let (mut application, server) = start(Command::new(node).arg("express.mjs"), ",over_http");
    let mut client = server.connect();
    client.write_all(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut stream = BufReader::new(client);
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let lines = |stream: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        for _ in 0..3 {
            stream.read_line(&mut line).unwrap();
        }
        line
    };
    assert_eq!(lines(&mut stream), "7\r\nopened\n\r\n");
    let url = format!("ws://{}/socket", server.clients);
    let (mut socket, _) = tungstenite::client(url, server.connect()).unwrap();
    socket.send(Message::text("hello")).unwrap();
    assert_eq!(text(&mut socket), "heard hello");
    application.tell("published");
    assert_eq!(text(&mut socket), "published");
    assert_eq!(lines(&mut stream), "a\r\npublished\n\r\n");
    socket.close(None).unwrap();
    let close = socket.read();
    assert!(matches!(close, Ok(Message::Close(_))), "{close:?}");
}

/// The application, and Gripwire in front of it.
fn start(command: &mut Command, properties: &str) -> (Program, Server) {
    let mut application = run(command);
    let route = format!("* 127.0.0.1:{}{properties}", application.line());
    let server = Server::start(&route, "sig_key = \"changeme\"");
    application.tell(&format!("http://{}", server.control));
    assert_eq!(application.line(), "ready");
    (application, server)
}

fn text(socket: &mut WebSocket<TcpStream>) -> String {
    socket.read().unwrap().into_text().unwrap().to_string()
}
