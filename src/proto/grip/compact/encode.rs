//! Writes the compact form, which can represent everything that a publication can.

use super::form::{MAGIC, VERSION, has, response, socket, stream};
use crate::proto::grip::formats::{
    ContentFilters, ResponseBody, ResponseFormat, ResponseMessage, SocketFormat, StreamFormat,
};
use crate::proto::grip::publication::Publication;
use crate::proto::websocket::Opcode;
use bytes::BytesMut;

/// A datagram with `items`, each of which must have a format.
pub fn encode<'i>(items: impl IntoIterator<Item = &'i Publication>) -> Vec<u8> {
    let mut out = vec![MAGIC, VERSION];
    items.into_iter().for_each(|item| put_item(&mut out, item));
    out
}

fn put_item(out: &mut Vec<u8>, item: &Publication) {
    out.push(presence(item));
    put_bytes(out, item.channel.as_bytes());
    for id in [&item.id, &item.prev_id].into_iter().flatten() {
        put_bytes(out, id.as_bytes());
    }
    if !item.meta.is_empty() {
        put_number(out, item.meta.len());
        item.meta.iter().flat_map(|(name, value)| [name, value]).for_each(|it| put_bytes(out, it.as_bytes()));
    }
    if let Some(filters) = &item.content_filters {
        put_filters(out, filters);
    }
    if let Some(format) = &item.response {
        put_response(out, format);
    }
    match &item.stream {
        None => {}
        Some(StreamFormat::Hint) => out.push(stream::HINT),
        Some(StreamFormat::Close) => out.push(stream::CLOSE),
        Some(StreamFormat::Content(content)) => put_action(out, stream::CONTENT, content),
    }
    if let Some(format) = &item.socket {
        put_socket(out, format);
    }
}

fn presence(item: &Publication) -> u8 {
    let bits = [
        (item.id.is_some(), has::ID),
        (item.prev_id.is_some(), has::PREV_ID),
        (item.no_seq, has::NO_SEQ),
        (!item.meta.is_empty(), has::META),
        (item.response.is_some(), has::RESPONSE),
        (item.stream.is_some(), has::STREAM),
        (item.socket.is_some(), has::SOCKET),
        (item.content_filters.is_some(), has::FILTERS),
    ];
    let bits = bits.into_iter().filter(|(present, _)| *present).fold(0, |bits, (_, bit)| bits | bit);
    debug_assert!(bits & has::FORMATS != 0, "an item without a format is refused");
    bits
}

fn put_filters(out: &mut Vec<u8>, filters: &ContentFilters) {
    let lists =
        [(&filters.response, has::RESPONSE), (&filters.stream, has::STREAM), (&filters.socket, has::SOCKET)];
    let present = lists.into_iter().filter_map(|(list, bit)| Some((list.as_ref()?, bit)));
    out.push(present.clone().fold(0, |bits, (_, bit)| bits | bit));
    for (names, _) in present {
        put_number(out, names.len());
        names.iter().for_each(|name| put_bytes(out, name.as_bytes()));
    }
}

fn put_response(out: &mut Vec<u8>, format: &ResponseFormat) {
    let message = match format {
        ResponseFormat::Hint => return out.push(response::HINT),
        ResponseFormat::Send(message) => message,
    };
    match &message.body {
        ResponseBody::Whole(body)
            if message.code == 200 && message.reason.is_none() && message.headers.is_empty() =>
        {
            put_action(out, response::BODY, body);
        }
        ResponseBody::Whole(body) => {
            out.push(response::WHOLE);
            put_head(out, message);
            put_bytes(out, body);
        }
        ResponseBody::Patch(patch) => {
            out.push(response::PATCH);
            put_head(out, message);
            put_bytes(out, patch.to_string().as_bytes());
        }
    }
}

fn put_head(out: &mut Vec<u8>, message: &ResponseMessage) {
    out.extend_from_slice(&message.code.to_be_bytes());
    put_bytes(out, message.reason.as_deref().unwrap_or_default().as_bytes());
    put_number(out, message.headers.len());
    for (name, value) in &message.headers {
        let mut written = BytesMut::new();
        message.headers.put_name(&mut written, name);
        put_bytes(out, &written);
        put_bytes(out, value.as_bytes());
    }
}

fn put_socket(out: &mut Vec<u8>, format: &SocketFormat) {
    match format {
        SocketFormat::Refresh => out.push(socket::REFRESH),
        SocketFormat::Close(close) => {
            out.push(socket::CLOSE);
            out.extend_from_slice(&close.code.to_be_bytes());
            put_bytes(out, close.reason.as_bytes());
        }
        SocketFormat::Message { opcode, content } => {
            let action = match opcode {
                Opcode::Text => socket::TEXT,
                Opcode::Ping => socket::PING,
                Opcode::Pong => socket::PONG,
                Opcode::Binary | Opcode::Continuation | Opcode::Close => socket::BINARY,
            };
            put_action(out, action, content);
        }
    }
}

fn put_action(out: &mut Vec<u8>, action: u8, content: &[u8]) {
    out.push(action);
    put_bytes(out, content);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    let mut rest = number;
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
