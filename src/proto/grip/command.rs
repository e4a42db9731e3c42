//! Calls of the command socket and their answers (Pushpin's ZRPC): tagged netstrings with a `method`, its `args`, and
//! an `id` that the answer repeats. `zeromq` receives the calls; `core` executes them.

use super::json::Json;
use super::publication::Publication;
use super::publish::{self, PublishError};
use crate::proto::tnetstring::{self, Value};

/// A call of the command socket.
#[derive(Debug)]
pub struct Call {
    /// The id, which the answer repeats.
    pub id: Option<Box<[u8]>>,
    /// The command, or why the call cannot be read.
    pub command: Result<Command, Refusal>,
}

/// A command.
#[derive(Debug)]
pub enum Command {
    /// Report which of these connections exist.
    ConnCheck(Vec<Box<str>>),
    /// Report the addresses of this server's sockets.
    ZmqUris,
    /// Forget earlier item ids, and refetch for every client that may have missed items.
    Recover,
    /// Ask the application of this WebSocket for events.
    RefreshConnection(Box<str>),
    /// Ask the applications of all WebSockets on this channel for events.
    RefreshChannel(Box<str>),
    /// Publish these items.
    Publish(Vec<Publication>),
}

/// The answer to a call that is not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of failure.
    pub condition: &'static str,
    /// Details of the failure.
    pub reason: Option<String>,
}

/// The answer to a call that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The command was executed.
    Done,
    /// The connections that exist.
    Connections(Vec<Box<str>>),
    /// Names and addresses of sockets.
    Uris(Vec<(&'static str, String)>),
}

impl Refusal {
    /// A refusal without details.
    pub fn of(condition: &'static str) -> Refusal {
        Refusal { condition, reason: None }
    }
}

/// Reads a call.
pub fn parse(message: &[u8]) -> Call {
    let Ok(call) = tnetstring::decode(message) else {
        return Call { id: None, command: Err(Refusal::of(BAD_REQUEST)) };
    };
    let id = call.get("id").and_then(Value::bytes).map(Box::from);
    let method = call.get("method").and_then(Value::bytes);
    let nothing = Value::Map(Vec::new());
    let command = match (method, call.get("args").unwrap_or(&nothing)) {
        (Some(method), args @ Value::Map(_)) => command(method, args),
        _ => Err(Refusal::of(BAD_REQUEST)),
    };
    Call { id, command }
}

/// The answer to the call `id`.
pub fn answer(id: Option<&[u8]>, answer: &Result<Answer, Refusal>) -> Vec<u8> {
    let mut members: Vec<(&str, Value)> = Vec::new();
    members.extend(id.map(|id| ("id", Value::Bytes(id.into()))));
    members.push(("success", Value::Bool(answer.is_ok())));
    match answer {
        Ok(answer) => members.push(("value", value(answer))),
        Err(refusal) => {
            members.push(("condition", Value::text(refusal.condition)));
            members.extend(refusal.reason.as_deref().map(|reason| ("value", Value::text(reason))));
        }
    }
    let mut out = Vec::new();
    Value::map(members).encode(&mut out);
    out
}

fn command(method: &[u8], args: &Value) -> Result<Command, Refusal> {
    match method {
        b"conncheck" => connections(args).map(Command::ConnCheck).ok_or_else(|| Refusal::of(BAD_REQUEST)),
        b"get-zmq-uris" => Ok(Command::ZmqUris),
        b"recover" => Ok(Command::Recover),
        b"refresh" => match (args.get("cid"), args.get("channel")) {
            (Some(connection), _) => Ok(Command::RefreshConnection(text(connection)?)),
            (None, Some(channel)) => Ok(Command::RefreshChannel(text(channel)?)),
            (None, None) => Err(Refusal::of(BAD_REQUEST)),
        },
        b"publish" => {
            publish::of_object(&Json::from(args.clone())).map(Command::Publish).map_err(Refusal::from)
        }
        _ => Err(Refusal::of("method-not-found")),
    }
}

fn connections(args: &Value) -> Option<Vec<Box<str>>> {
    let Some(Value::List(ids)) = args.get("ids") else { return None };
    ids.iter().map(|id| text(id).ok()).collect()
}

fn text(value: &Value) -> Result<Box<str>, Refusal> {
    let text = value.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.map(Box::from).ok_or_else(|| Refusal::of(BAD_REQUEST))
}

fn value(answer: &Answer) -> Value<'_> {
    match answer {
        Answer::Done => Value::Null,
        Answer::Connections(ids) => Value::List(ids.iter().map(|id| Value::text(id)).collect()),
        Answer::Uris(uris) => Value::map(uris.iter().map(|(name, uri)| (*name, Value::text(uri)))),
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Refusal {
        Refusal { condition: BAD_REQUEST, reason: Some(error.to_string().trim_end().to_owned()) }
    }
}

/// The condition of calls that cannot be read.
const BAD_REQUEST: &str = "bad-request";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(method: &str, args: Value) -> Call {
        let mut message = Vec::new();
        Value::map([("id", Value::text("7")), ("method", Value::text(method)), ("args", args)])
            .encode(&mut message);
        parse(&message)
    }

    fn refused(method: &str, args: Value) -> (String, Option<String>) {
        let refusal = call(method, args).command.unwrap_err();
        (refusal.condition.to_owned(), refusal.reason)
    }

    #[test]
    fn each_method_is_read() {
        let ids = Value::List(vec![Value::text("a"), Value::text("b")]);
        let Ok(Command::ConnCheck(ids)) = call("conncheck", Value::map([("ids", ids)])).command else {
            panic!("a conncheck")
        };
        assert_eq!(ids, ["a".into(), "b".into()]);
        let none = || Value::map([]);
        assert!(matches!(call("get-zmq-uris", none()).command, Ok(Command::ZmqUris)));
        assert!(matches!(call("recover", none()).command, Ok(Command::Recover)));
        let cid = Value::map([("cid", Value::text("x"))]);
        assert!(matches!(call("refresh", cid).command, Ok(Command::RefreshConnection(id)) if &*id == "x"));
        let channel = Value::map([("channel", Value::text("x"))]);
        assert!(matches!(call("refresh", channel).command, Ok(Command::RefreshChannel(id)) if &*id == "x"));
        let stream = Value::map([("content", Value::text("x"))]);
        let item = Value::map([("channel", Value::text("c")), ("http-stream", stream)]);
        let Ok(Command::Publish(items)) =
            call("publish", Value::map([("items", Value::List(vec![item]))])).command
        else {
            panic!("a publish")
        };
        assert_eq!((items.len(), &*items[0].channel), (1, "c"));
    }

    #[test]
    fn what_is_wrong_has_its_condition() {
        let bad = |reason: Option<&str>| ("bad-request".to_owned(), reason.map(str::to_owned));
        assert_eq!(refused("conncheck", Value::map([])), bad(None));
        assert_eq!(refused("refresh", Value::map([])), bad(None));
        assert_eq!(refused("refresh", Value::map([("cid", Value::Integer(1))])), bad(None));
        assert_eq!(refused("recover", Value::Integer(1)), bad(None));
        assert_eq!(
            refused("publish", Value::map([])),
            bad(Some("Invalid format: object does not contain 'items'"))
        );
        let items = Value::map([("items", Value::List(vec![Value::map([])]))]);
        assert_eq!(
            refused("publish", items),
            bad(Some("Invalid format: publish item object does not contain 'channel'"))
        );
        assert_eq!(refused("explode", Value::map([])), ("method-not-found".to_owned(), None));
        let garbage = parse(b"garbage");
        assert!(garbage.id.is_none() && garbage.command.is_err());
    }

    #[test]
    fn answers_repeat_the_id() {
        let text = |id: Option<&[u8]>, given| String::from_utf8(answer(id, &given)).unwrap();
        assert_eq!(text(Some(b"7"), Ok(Answer::Done)), "37:2:id,1:7,7:success,4:true!5:value,0:~}");
        let refusal = Refusal { condition: "bad-request", reason: Some("no".into()) };
        assert_eq!(
            text(None, Err(refusal)),
            "58:7:success,5:false!9:condition,11:bad-request,5:value,2:no,}"
        );
    }

    proptest! {
        #[test]
        fn any_call_is_read_without_panic(message in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&message);
        }
    }
}
