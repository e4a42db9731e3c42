//! Lists the channels and clients of all cores, in pages, and closes or refreshes a client. Each call asks the cores;
//! nothing is kept for it.

use super::call::{Call, busy, json};
use super::port::ControlPort;
use super::publishing::{by_transport, with_receipts};
use super::query::{BadQuery, Query, decoded};
use crate::channel::{Audience, Page, Transport};
use crate::clients::answer;
use crate::ids::{ConnectionId, CoreId};
use crate::proto::grip::{Answer, Publication, ResponseFormat, SocketFormat, StreamFormat};
use crate::publish::Admitted;
use crate::queries::{ClientState, QueryAnswer as Word, Question, Refreshed};
use serde_json::{Value, json as value};
use std::sync::Arc;

/// Entries of a page: the default, and the maximum.
const PAGE: u64 = 100;
const LARGEST_PAGE: u64 = 1_000;
/// How long a refresh of a channel waits for the number of clients that it reached, ms.
const REFRESH_WAIT_MS: u64 = 5_000;
/// The answer if a core did not answer.
const STUCK: &str = "A core does not answer; try again.";

/// Where a page begins: a core, and a place on it.
#[derive(Clone, Copy)]
struct Cursor {
    core: u16,
    place: u32,
}

impl Cursor {
    /// The cursor in the parameter `after`. Without that parameter, the place `first` of the first core.
    fn of(query: &Query<'_>, port: &ControlPort, first: u32) -> Result<Cursor, BadQuery> {
        let Some(text) = query.text("after") else { return Ok(Cursor { core: 0, place: first }) };
        let parts =
            text.split_once('.').and_then(|(core, place)| Some((core.parse().ok()?, place.parse().ok()?)));
        let cursor = parts.map(|(core, place)| Cursor { core, place });
        cursor.filter(|cursor| usize::from(cursor.core) < port.context.cores).ok_or(BadQuery("after"))
    }

    fn text(self) -> String {
        format!("{}.{}", self.core, self.place)
    }

    /// The cursor of the next page, if the core at `at` continues at `place`.
    fn next(port: &ControlPort, at: Cursor, place: Option<u32>, first: u32) -> Option<Cursor> {
        match place {
            Some(place) => Some(Cursor { place, ..at }),
            None => Some(Cursor { core: at.core + 1, place: first })
                .filter(|next| usize::from(next.core) < port.context.cores),
        }
    }
}

/// `GET /channels/`: a page of the channels that have subscribers.
pub(super) async fn channels(call: &Call<'_>, query: &Query<'_>) -> Answer {
    if !call.grants.may_inspect() {
        return call.forbidden("list channels");
    }
    let asked = Cursor::of(query, call.port, 0)
        .and_then(|from| Ok((from, query.number("limit", PAGE, LARGEST_PAGE)?)));
    let (from, limit) = match asked {
        Ok(asked) => asked,
        Err(error) => return answer::text(400, error.to_string()),
    };
    let prefix = query.text("prefix").unwrap_or_default();
    match channel_page(call.port, from, &prefix, limit.max(1) as usize).await {
        Some(page) => json(format!("{page}\n")),
        None => busy(STUCK),
    }
}

/// A page of channels. A channel with subscribers on several cores is listed by the first of these cores.
async fn channel_page(port: &ControlPort, from: Cursor, prefix: &str, limit: usize) -> Option<Value> {
    let (mut channels, mut at) = (Vec::new(), Some(from));
    while let Some(here) =
        at.filter(|here| usize::from(here.core) < port.context.cores && channels.len() < limit)
    {
        let question =
            Question::Channels { from: here.place, prefix: prefix.into(), limit: limit - channels.len() };
        let Word::Channels(Page { items, next }) = port.queries.ask(CoreId(here.core), question).await?
        else {
            return None;
        };
        let is_long = next.is_some();
        at = Cursor::next(port, here, next, 0);
        for (channel, audiences) in audiences(port, items).await? {
            let is_first =
                audiences.iter().position(|audience| audience.total() > 0) == Some(here.core.into());
            if is_first {
                channels.push(value!({"channel": &*channel, "subscribers": by_transport(sum(&audiences))}));
            }
        }
        // A core is asked once for a page, even if few of the channels that it looked at are listed.
        if is_long {
            break;
        }
    }
    Some(with_next(value!({ "channels": channels }), at))
}

/// The audience of each of the `channels` on each core.
async fn audiences(port: &ControlPort, channels: Vec<Arc<str>>) -> Option<Vec<(Arc<str>, Vec<Audience>)>> {
    if channels.is_empty() {
        return Some(Vec::new());
    }
    let channels: Arc<[Arc<str>]> = channels.into();
    let mut all: Vec<(Arc<str>, Vec<Audience>)> =
        channels.iter().map(|channel| (channel.clone(), Vec::new())).collect();
    for answer in port.queries.ask_all(&Question::Audiences(channels)).await {
        let Some(Word::Audiences(of_core)) = answer else { return None };
        all.iter_mut().zip(of_core).for_each(|((_, audiences), audience)| audiences.push(audience));
    }
    Some(all)
}

fn sum(audiences: &[Audience]) -> Audience {
    let mut all = Audience::default();
    audiences.iter().for_each(|audience| all.add(*audience));
    all
}

/// `GET /channels/NAME`: the number of its subscribers, and a page of their ids.
pub(super) async fn channel(call: &Call<'_>, name: &str, query: &Query<'_>) -> Answer {
    if !call.grants.may_inspect() {
        return call.forbidden("show channels");
    }
    let Some(name) = decoded(name) else { return answer::text(404, "Not Found\n") };
    let asked = Cursor::of(query, call.port, u32::MAX)
        .and_then(|from| Ok((from, query.number("limit", PAGE, LARGEST_PAGE)?)));
    let (from, limit) = match asked {
        Ok(asked) => asked,
        Err(error) => return answer::text(400, error.to_string()),
    };
    match channel_state(call.port, name.into(), from, limit as usize).await {
        Some(state) => json(format!("{state}\n")),
        None => busy(STUCK),
    }
}

async fn channel_state(port: &ControlPort, name: Arc<str>, from: Cursor, limit: usize) -> Option<Value> {
    let (mut all, mut last_id, mut cores) = (Audience::default(), None, Vec::new());
    for (number, answer) in
        port.queries.ask_all(&Question::Channel(name.clone())).await.into_iter().enumerate()
    {
        let Some(Word::Channel(audience, of_home)) = answer else { return None };
        all.add(audience);
        last_id = last_id.or(of_home);
        if audience.total() > 0 {
            cores.push(value!({"core": number, "subscribers": by_transport(audience)}));
        }
    }
    let (mut clients, mut at) = (Vec::new(), Some(from));
    while let Some(here) =
        at.filter(|here| usize::from(here.core) < port.context.cores && clients.len() < limit)
    {
        let question =
            Question::Members { channel: name.clone(), before: here.place, limit: limit - clients.len() };
        let Word::Members(Page { items, next }) = port.queries.ask(CoreId(here.core), question).await? else {
            return None;
        };
        at = Cursor::next(port, here, next, u32::MAX);
        clients.extend(items.into_iter().map(member_json));
    }
    let state = value!({
        "channel": &*name,
        "last_id": last_id,
        "subscribers": by_transport(all),
        "cores": cores,
        "connections": clients,
    });
    Some(with_next(state, at))
}

fn member_json((id, transport): (ConnectionId, Transport)) -> Value {
    value!({"id": id.to_string(), "transport": transport.format()})
}

fn with_next(mut page: Value, next: Option<Cursor>) -> Value {
    if let (Some(next), Some(page)) = (next, page.as_object_mut()) {
        page.insert("next".to_owned(), next.text().into());
    }
    page
}

/// `GET /connections/NAME`: the state of a client.
pub(super) async fn connection(call: &Call<'_>, name: &str) -> Answer {
    if !call.grants.may_inspect() {
        return call.forbidden("show connections");
    }
    let port = call.port;
    let Some(id) = port.clients.known_id(name) else { return not_found() };
    match port.queries.ask(id.core(), Question::Client(id)).await {
        Some(Word::Client(Some(state))) => json(format!("{}\n", state_json(&state))),
        Some(_) => not_found(),
        None => busy(STUCK),
    }
}

fn state_json(state: &ClientState) -> Value {
    value!({
        "id": state.id.to_string(),
        "connection_id": state.connection_id.map(|id| id.to_string()),
        "peer": state.peer.map(|peer| peer.to_string()),
        "transport": state.transport.map(Transport::format),
        "channels": state.channels.iter().map(|channel| &**channel).collect::<Vec<&str>>(),
        "is_behind": state.is_behind,
    })
}

/// `DELETE /connections/NAME`: closes the connection of a client.
pub(super) async fn close(call: &Call<'_>, name: &str) -> Answer {
    if !call.grants.admin {
        return call.forbidden("close connections");
    }
    let port = call.port;
    let Some(id) = port.clients.known_id(name) else { return not_found() };
    match port.queries.ask(id.core(), Question::Close(id)).await {
        Some(Word::Closed(true)) => {
            tracing::info!(connection = %id, "a connection was closed by an operator");
            json("{\"message\":\"Closed\"}\n".to_owned())
        }
        Some(_) => not_found(),
        None => busy(STUCK),
    }
}

/// `POST /refresh`: has one client (`cid`), or all clients of a `channel`, refetch at once.
pub(super) async fn refresh(call: &Call<'_>) -> Answer {
    if !call.grants.admin {
        return call.forbidden("refresh clients");
    }
    let body = match call.body().await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let Ok(asked) = serde_json::from_slice::<Value>(&body) else {
        return answer::text(400, "Body is not valid JSON.\n");
    };
    let port = call.port;
    match (asked.get("cid").and_then(Value::as_str), asked.get("channel").and_then(Value::as_str)) {
        (Some(name), None) => refresh_client(port, name).await,
        (None, Some(channel)) => refresh_channel(port, channel).await,
        _ => answer::text(400, "Invalid format: the body must have either 'cid' or 'channel', a string.\n"),
    }
}

async fn refresh_client(port: &ControlPort, name: &str) -> Answer {
    let Some(id) = port.clients.known_id(name) else { return not_found() };
    match port.queries.ask(id.core(), Question::Refresh(id)).await {
        Some(Word::Refreshed(Refreshed::Asked)) => refreshed(1),
        Some(Word::Refreshed(Refreshed::Nothing)) => {
            answer::text(409, "This connection has no request that could be made again.\n")
        }
        Some(_) => not_found(),
        None => busy(STUCK),
    }
}

/// Refreshes a channel, by an item outside the channel's sequence that tells each kind of hold to refetch.
async fn refresh_channel(port: &ControlPort, channel: &str) -> Answer {
    let mut item = Publication::new(channel);
    item.no_seq = true;
    item.response = Some(ResponseFormat::Hint);
    item.stream = Some(StreamFormat::Hint);
    item.socket = Some(SocketFormat::Refresh);
    match with_receipts(port, Admitted::all(vec![item]), REFRESH_WAIT_MS).await {
        Ok(receipts) if receipts.receivers() == 0 => not_found(),
        Ok(receipts) => refreshed(receipts.receivers()),
        Err(refusal) => refusal,
    }
}

fn refreshed(connections: usize) -> Answer {
    json(format!("{{\"connections\":{connections},\"message\":\"Refreshed\"}}\n"))
}

fn not_found() -> Answer {
    answer::text(404, "Not Found\n")
}
