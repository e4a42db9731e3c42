//! What must hold for anything an application or a publisher sends, and for any routes file.

use bytes::Bytes;
use gripwire::origin::Routes;
use gripwire::proto::grip::{
    Chain, Context, Filter, FilterError, IdRenderer, Instruct, Step, command, compact, message, publish,
};
use gripwire::proto::http1::Headers;
use gripwire::proto::tnetstring;
use http::HeaderValue;

/// A publish call: items, or an error that says something.
pub fn check_publish(input: &[u8]) {
    if let Err(error) = publish::parse(input) {
        assert!(!error.to_string().is_empty());
    }
}

/// A datagram in the compact form: all of its items or an error that says something, and items that read the same when
/// they are written again.
pub fn check_compact(input: &[u8]) {
    let mut items = Vec::new();
    match compact::decode(input, &mut items) {
        Ok(()) => {
            let mut again = Vec::new();
            compact::decode(&compact::encode(&items), &mut again).expect("what was written is read");
            // A fraction in a JSON patch may lose its last digit each time it is read.
            let (items, again) = (format!("{items:?}"), format!("{again:?}"));
            assert!(again == items || items.contains("Patch("), "{items} became {again}");
        }
        Err(error) => assert!(items.is_empty() && !error.to_string().is_empty()),
    }
}

/// A message of ZeroMQ, which may be a call of the command socket too: an item or an error that says something, and a
/// tagged netstring that reads the same when it is written again.
pub fn check_message(input: &[u8]) {
    match message::parse(input, None) {
        Ok(publication) => {
            assert_eq!(&*message::parse(input, Some("c")).expect("the same").channel, "c", "{publication:?}")
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(value) = tnetstring::decode(input) {
        let mut again = Vec::new();
        value.encode(&mut again);
        let again = tnetstring::decode(&again).expect("what was written is read");
        // What is not a number equals nothing.
        assert_eq!(format!("{again:?}"), format!("{value:?}"));
    }
    let call = command::parse(input);
    let answer = call.command.map(|_| command::Answer::Done);
    let answer = command::answer(call.id.as_deref(), &answer);
    assert!(tnetstring::decode(&answer).is_ok_and(|answer| answer.get("success").is_some()));
}

/// An application's answer: lines of header fields up to an empty one, then the body.
pub fn check_instruct(input: &[u8]) {
    let end = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
    let (head, body) = input.split_at(end);
    let mut headers = Headers::new();
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if let Ok(value) = HeaderValue::from_bytes(value) {
            let _ = headers.append_as(name, value);
        }
    }
    let body = Bytes::copy_from_slice(body.get(2..).unwrap_or_default());
    if let Ok(instruct) = Instruct::parse(200, None, &headers, body)
        && let Some(hold) = instruct.hold
    {
        assert!(!hold.channels.is_empty(), "a hold that nothing can end");
    }
}

/// Lines of a subscriber's variables up to an empty one, then content: each filter renders it or says why not, and what
/// it makes of it does not depend on the parts that it comes in.
pub fn check_filters(input: &[u8]) {
    let end = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
    let (meta, content) = input.split_at(end);
    let content = content.get(2..).unwrap_or_default();
    let meta = String::from_utf8_lossy(meta);
    let meta: Vec<_> = meta.lines().filter_map(|line| line.split_once('=')).collect();
    let meta: Vec<_> = meta.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let item = ["sender", "skip_users", "require_sub"].map(|name| (name.into(), "c,a".into()));
    let channels = [("c".to_owned(), Some("1".into())), ("d".to_owned(), None)];
    let context = Context { subscriber: &meta, item: &item.into(), channels: &channels };
    for filter in ["skip-self", "skip-users", "require-sub", "build-id", "var-subst"] {
        let filters = Filter::of(&[filter.to_owned()]);
        match Chain::new(&filters, Some(Bytes::copy_from_slice(content))).run(&context) {
            Ok(step) => assert!(!matches!(step, Step::Ask(_))),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let renderer = IdRenderer::of_answer(&meta);
    let whole = renderer.clone().render(content).ok();
    assert_eq!(whole.as_deref(), rendered_in_parts(renderer, content).ok().as_deref());
}

fn rendered_in_parts(renderer: IdRenderer, content: &[u8]) -> Result<Vec<u8>, FilterError> {
    let mut rendering = renderer.begin();
    let mut rendered = Vec::from(rendering.push(b"")?);
    for part in content.chunks(3) {
        rendered.extend_from_slice(&rendering.push(part)?);
    }
    rendering.finish()?;
    Ok(rendered)
}

/// A routes file: every line is a route, a comment, or a problem with its number.
pub fn check_routes(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (routes, problems) = Routes::parse(&text, "routes");
    let lines = text.lines().count();
    assert!(routes.len() <= lines);
    assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line)));
    assert!(routes.iter().all(|route| !route.targets.is_empty()));
}
