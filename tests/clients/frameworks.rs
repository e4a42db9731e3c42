//! Applications as their frameworks' users write them: Express with serve-grip.

use crate::program::{Program, find, folder};
use crate::server::{Server, read_head};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use tungstenite::{Message, WebSocket};

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
    let mut application = Program::start(command);
    let route = format!("* 127.0.0.1:{}{properties}", application.line());
    let server = Server::start(&route, "sig_key = \"changeme\"");
    application.tell(&format!("http://{}", server.control));
    assert_eq!(application.line(), "ready");
    (application, server)
}

fn text(socket: &mut WebSocket<TcpStream>) -> String {
    socket.read().unwrap().into_text().unwrap().to_string()
}
