//! The usual spelling of field names: title case, with exceptions for names that are usually spelled in another way.

use bytes::{BufMut, BytesMut};

/// Appends a name, which is in lower case, in its usual spelling.
pub fn put_name(out: &mut BytesMut, name: &str) {
    match usual_name(name) {
        Some(usual) => out.put_slice(usual.as_bytes()),
        None => out.extend(title_case(name)),
    }
}

/// The usual spelling of a name that is not in title case.
pub(super) fn usual_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "etag" => "ETag",
        "www-authenticate" => "WWW-Authenticate",
        "te" => "TE",
        "dnt" => "DNT",
        "nel" => "NEL",
        "content-md5" => "Content-MD5",
        "sec-websocket-accept" => "Sec-WebSocket-Accept",
        "sec-websocket-extensions" => "Sec-WebSocket-Extensions",
        "sec-websocket-key" => "Sec-WebSocket-Key",
        "sec-websocket-protocol" => "Sec-WebSocket-Protocol",
        "sec-websocket-version" => "Sec-WebSocket-Version",
        "x-dns-prefetch-control" => "X-DNS-Prefetch-Control",
        "x-ua-compatible" => "X-UA-Compatible",
        "x-xss-protection" => "X-XSS-Protection",
        _ => return None,
    })
}

/// `name`, which is in lower case, with each of its words capitalized.
pub(super) fn title_case(name: &str) -> impl Iterator<Item = u8> + '_ {
    let mut starts = true;
    name.bytes().map(move |byte| {
        let written = if starts { byte.to_ascii_uppercase() } else { byte };
        starts = byte == b'-';
        written
    })
}
