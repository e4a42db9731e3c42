//! curl, as people type it.

use crate::run;
use gripwire_harness::program::find;
use gripwire_harness::server::{Launch, Server};
use gripwire_harness::tls::{AUTHORITY_FILE, EXACT};
use std::process::Command;

/// curl's standard output for `arguments`, whose last is a path.
fn curl(server: &Server, arguments: &[&str]) -> Option<Command> {
    let (path, options) = arguments.split_last()?;
    let mut command = command()?;
    command.args(options).arg(format!("http://{}{path}", server.clients));
    Some(command)
}

fn command() -> Option<Command> {
    let mut command = Command::new(find("curl", "install it from the system's packages")?);
    command.args(["--silent", "--show-error", "--max-time", "50"]);
    Some(command)
}

fn output(server: &Server, arguments: &[&str]) -> Option<String> {
    let output = curl(server, arguments)?.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn curl_follows_a_stream() {
    let server = Server::start("* demo", "");
    for version in ["--http1.1", "--http1.0"] {
        let Some(mut command) = curl(&server, &["--no-buffer", version, "/hold?channel=c"]) else { return };
        let mut stream = run(&mut command);
        assert_eq!(stream.line(), "held");
        server.publish("c", "one\n");
        server.publish("c", "two\n");
        assert_eq!([stream.line(), stream.line()], ["one", "two"]);
    }
}

#[test]
fn curl_comes_by_tls_and_by_a_file() {
    let server = Launch::route("* demo").settings("[http]\nunix_listen = \"clients\"").tls().start();
    let address = server.tls.unwrap();
    let resolve = format!("{EXACT}:{}:{}", address.port(), address.ip());
    let authority = server.file("certificates").join(AUTHORITY_FILE);
    let of_tls = ["--cacert", authority.to_str().unwrap(), "--resolve", &resolve];
    let file = server.file("clients");
    let of_file = ["--unix-socket", file.to_str().unwrap()];
    for (options, base) in
        [(&of_tls[..], format!("https://{EXACT}:{}", address.port())), (&of_file[..], "http://a".into())]
    {
        for version in ["--http1.1", "--http1.0"] {
            let Some(mut command) = command() else { return };
            command.args(options).args([version, "--no-buffer", &format!("{base}/hold?channel=c")]);
            let mut stream = run(&mut command);
            assert_eq!(stream.line(), "held");
            server.publish("c", "one\n");
            server.publish("c", "two\n");
            assert_eq!([stream.line(), stream.line()], ["one", "two"]);
        }
    }
}

#[test]
fn curl_comes_with_each_cipher_of_tls() {
    let server = Launch::route("* demo").tls().start();
    let address = server.tls.unwrap();
    let resolve = format!("{EXACT}:{}:{}", address.port(), address.ip());
    let authority = server.file("certificates").join(AUTHORITY_FILE);
    let of_1_3 = ["AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256"];
    let of_1_2 = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"];
    let of_1_3 =
        of_1_3.map(|cipher| vec!["--tlsv1.3".into(), "--tls13-ciphers".into(), format!("TLS_{cipher}")]);
    let of_1_2 = of_1_2.map(|cipher| {
        vec!["--tls-max".into(), "1.2".into(), "--ciphers".into(), format!("ECDHE-ECDSA-{cipher}")]
    });
    for options in of_1_3.into_iter().chain(of_1_2) {
        let Some(mut command) = command() else { return };
        command.args(["--cacert", authority.to_str().unwrap(), "--resolve", &resolve]).args(options);
        command.args(["--no-buffer", &format!("https://{EXACT}:{}/hold?channel=c", address.port())]);
        let mut stream = run(&mut command);
        assert_eq!(stream.line(), "held");
        server.publish("c", "one\n");
        server.publish("c", "two\n");
        assert_eq!([stream.line(), stream.line()], ["one", "two"]);
    }
}

#[test]
fn curl_waits_for_a_long_poll() {
    let server = Server::start("* demo", "");
    let Some(mut command) = curl(&server, &["/poll"]) else { return };
    let mut poll = run(&mut command);
    server.await_stats(|stats| stats["holds_total"] == 1);
    let sent = output(&server, &["--data", "message=hello", "/send"]);
    assert_eq!(sent.as_deref(), Some(""));
    assert_eq!(poll.line(), r#"{"text":"hello"}"#);
}

#[test]
fn curl_reads_heads_and_waits_before_it_uploads() {
    let server = Server::start("* demo", "");
    let Some(head) = output(&server, &["--head", "/"]) else { return };
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("text/html"), "{head}");
    let form = format!("message={}", "m".repeat(50_000));
    let expect = ["--include", "--header", "Expect: 100-continue", "--data", &form, "/send"];
    let answer = output(&server, &expect).unwrap_or_default();
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 "), "{answer}");
}
