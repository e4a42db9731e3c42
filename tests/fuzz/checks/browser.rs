//! What must hold for anything a browser asks for by loading scripts, or says by SockJS, and for any answer to it.

use bytes::BytesMut;
use gripwire::proto::cross_origin::{JsonpSettings, Mode, Script, read};
use gripwire::proto::http1::Headers;
use gripwire::proto::sockjs;
use http::HeaderValue;

/// The target of a request up to the first end of a line, and an answer's body: a script that calls one function with
/// the answer, in whichever parts it comes.
pub fn check_jsonp(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (target, body) = input.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let own = JsonpSettings {
        default_callback: Some("f".into()),
        body: Some("b".into()),
        ..JsonpSettings::default()
    };
    for settings in [JsonpSettings::default(), own] {
        match read(&String::from_utf8_lossy(target), &settings) {
            Ok(Some(request)) => {
                assert!(request.target.len() <= target.len() * 3, "a query that grew");
                check_script(&request.script, body);
            }
            Ok(None) => {}
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    check_script(&Script::new("f", Mode::Basic), body);
}

fn check_script(script: &Script, body: &[u8]) {
    let whole = written(script, body, body.len().max(1));
    for part in 1..4 {
        assert_eq!(written(script, body, part), whole, "in parts of {part} bytes");
    }
    let start = whole.find('(').expect("a call") + 1;
    let argument = whole[start..].strip_suffix(");\n").expect("the end of a call");
    if argument.starts_with("{\"code\": 200, ") && *script != Script::new("f", Mode::Basic) {
        let said: serde_json::Value = serde_json::from_str(argument).expect("an object");
        assert_eq!(said["body"], *String::from_utf8_lossy(body));
    }
}

/// The script of an answer whose body comes in such parts.
fn written(script: &Script, body: &[u8], part_bytes: usize) -> String {
    let mut headers = Headers::new();
    headers.insert("x-name", HeaderValue::from_static("\"value\""));
    let mut out = BytesMut::new();
    let mut writer = script.begin(&mut out, 200, "OK", &headers);
    body.chunks(part_bytes).for_each(|part| writer.push(&mut out, part));
    writer.end(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A path below a SockJS service, or what a client of it says: a list of texts that reads the same when it is said to
/// it.
pub fn check_sockjs(input: &[u8]) {
    let _ = sockjs::endpoint(&String::from_utf8_lossy(input));
    let of_form = sockjs::said_in_form(input);
    for said in [sockjs::said(input), of_form].into_iter().flatten() {
        let quoted: Vec<_> = said.iter().map(|text| sockjs::quoted(text)).collect();
        let frame = sockjs::messages(&quoted);
        let again = frame.strip_prefix('a').and_then(|list| sockjs::said(list.as_bytes()));
        assert_eq!(again, Some(said));
    }
    let close = sockjs::close(3000, &String::from_utf8_lossy(input));
    assert!(
        close.strip_prefix('c').is_some_and(|close| serde_json::from_str::<(u16, String)>(close).is_ok())
    );
}
