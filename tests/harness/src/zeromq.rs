//! Sockets of ZeroMQ, with which applications publish and operators ask, and the tagged netstrings they speak.

use crate::deadline::patience;
use serde_json::{Map, Value};
use zmq::{Context, Socket, SocketType};

/// A socket of the kind `kind` that is connected to `address`.
pub fn connect(address: &str, kind: SocketType) -> Socket {
    // One context for each socket: it ends with it.
    let socket = Context::new().socket(kind).expect("a socket");
    socket.set_rcvtimeo(patience().as_millis() as i32).expect("a timeout");
    socket.set_sndtimeo(patience().as_millis() as i32).expect("a timeout");
    // What was sent last is still delivered when the socket is dropped, if the server takes it.
    socket.set_linger(5000).expect("a bound");
    socket.connect(address).expect("an address");
    socket
}

/// Asks something of the command socket at `address`; the whole answer but for its id, which is right.
pub fn command(address: &str, method: &str, args: Value) -> Value {
    let socket = connect(address, SocketType::REQ);
    let call = serde_json::json!({"id": "some-id", "method": method, "args": args});
    socket.send(tnetstring(&call), 0).expect("the call is taken");
    let answer = socket.recv_bytes(0).expect("an answer");
    let mut answer = value(&answer);
    assert_eq!(answer.as_object_mut().and_then(|answer| answer.remove("id")), Some("some-id".into()));
    answer
}

/// A value as a tagged netstring; text that begins with `\0` stands for the bytes whose code points follow.
pub fn tnetstring(value: &Value) -> Vec<u8> {
    let (payload, kind) = match value {
        Value::Null => (Vec::new(), '~'),
        Value::Bool(flag) => (flag.to_string().into_bytes(), '!'),
        Value::Number(number) => (number.to_string().into_bytes(), '#'),
        Value::String(text) => match text.strip_prefix('\0') {
            Some(points) => (points.chars().map(|point| point as u8).collect(), ','),
            None => (text.clone().into_bytes(), ','),
        },
        Value::Array(items) => (items.iter().flat_map(tnetstring).collect(), ']'),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                [tnetstring(&name.clone().into()), tnetstring(value)].concat()
            };
            (members.iter().flat_map(member).collect(), '}')
        }
    };
    [payload.len().to_string().as_bytes(), b":", &payload, kind.to_string().as_bytes()].concat()
}

/// What a tagged netstring says.
pub fn value(text: &[u8]) -> Value {
    let (value, rest) = first(text);
    assert_eq!(rest, b"", "nothing behind a value");
    value
}

fn first(text: &[u8]) -> (Value, &[u8]) {
    let colon = text.iter().position(|byte| *byte == b':').expect("a length");
    let length: usize = String::from_utf8_lossy(&text[..colon]).parse().expect("a length");
    let (payload, rest) = text[colon + 1..].split_at(length);
    let word = String::from_utf8_lossy(payload);
    let value = match rest[0] {
        b'~' => Value::Null,
        b'!' => (word == "true").into(),
        b'#' => word.parse::<i64>().expect("a number").into(),
        b',' => word.into_owned().into(),
        b']' => all(payload).into(),
        b'}' => {
            let parts = all(payload);
            let members =
                parts.chunks(2).map(|pair| (pair[0].as_str().expect("a name").to_owned(), pair[1].clone()));
            members.collect::<Map<_, _>>().into()
        }
        kind => panic!("a type {:?}", kind as char),
    };
    (value, &rest[1..])
}

fn all(mut payload: &[u8]) -> Vec<Value> {
    let mut values = Vec::new();
    while !payload.is_empty() {
        let (value, rest) = first(payload);
        values.push(value);
        payload = rest;
    }
    values
}
