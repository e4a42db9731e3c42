//! Reads the compact form. Items that pass can be sent without further checks, by the same rules as in the JSON form:
//! a datagram is refused whole, never in parts. Fields are borrowed from the datagram and copied once, into the
//! publication.

use super::super::sendable::{self, STATUS_CODES};
use super::form::{MAGIC, VERSION, has, response, socket, stream};
use crate::proto::grip::formats::{
    ContentFilters, ResponseBody, ResponseFormat, ResponseMessage, SocketFormat, StreamFormat,
};
use crate::proto::grip::publication::{Meta, Publication};
use crate::proto::websocket::{Close, Opcode};
use bytes::Bytes;
use http::HeaderValue;
use std::collections::BTreeMap;

/// Why a datagram is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompactError {
    /// The datagram does not begin with the compact form's first byte.
    #[error("it is not in the compact form")]
    NotCompact,
    /// The datagram has an unknown version of the compact form.
    #[error("version {0} of the compact form is not known here")]
    Version(u8),
    /// One item is invalid.
    #[error("item {item} {problem}")]
    Item {
        /// The item's position, from 0.
        item: usize,
        /// What is wrong with the item.
        problem: CompactProblem,
    },
}

/// What is wrong with an item.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompactProblem {
    /// A field is longer than the rest of the datagram.
    #[error("is cut off")]
    Cut,
    /// A length or count has more than 32 bits.
    #[error("has a length that is too long")]
    Length,
    /// The item has nothing for any transport.
    #[error("has no formats")]
    NoFormats,
    /// A text is not UTF-8.
    #[error("has a {0} that is not UTF-8")]
    NotText(&'static str),
    /// A value must not be sent to a client.
    #[error("has an invalid {0}")]
    Invalid(&'static str),
    /// An action is unknown.
    #[error("has an unknown action {1} for {0}")]
    Action(&'static str, u8),
    /// There are content filters for absent content.
    #[error("has content-filters without content")]
    Filters,
}

/// Appends the items of `datagram` to `items`.
///
/// # Errors
/// Why the datagram is refused; `items` is then unchanged.
pub fn decode(datagram: &[u8], items: &mut Vec<Publication>) -> Result<(), CompactError> {
    let mut rest = match datagram {
        [MAGIC, VERSION, rest @ ..] => Fields { rest },
        [MAGIC, version, ..] => return Err(CompactError::Version(*version)),
        _ => return Err(CompactError::NotCompact),
    };
    let before = items.len();
    while !rest.rest.is_empty() {
        match rest.item() {
            Ok(publication) => items.push(publication),
            Err(problem) => {
                let item = items.len() - before;
                items.truncate(before);
                return Err(CompactError::Item { item, problem });
            }
        }
    }
    Ok(())
}

/// Whether there is content for each list of `filters`; formats without content are for every subscriber.
fn fit(filters: &ContentFilters, item: &Publication) -> bool {
    let response = matches!(item.response, Some(ResponseFormat::Send(_)));
    let stream = matches!(item.stream, Some(StreamFormat::Content(_)));
    let socket = matches!(item.socket, Some(SocketFormat::Message { .. }));
    (response || filters.response.is_none())
        && (stream || filters.stream.is_none())
        && (socket || filters.socket.is_none())
}

/// The rest of a datagram.
struct Fields<'d> {
    rest: &'d [u8],
}

impl<'d> Fields<'d> {
    fn item(&mut self) -> Result<Publication, CompactProblem> {
        let bits = self.byte()?;
        if bits & has::FORMATS == 0 {
            return Err(CompactProblem::NoFormats);
        }
        let mut item = Publication::new(self.text("channel")?);
        item.no_seq = bits & has::NO_SEQ != 0;
        if bits & has::ID != 0 {
            item.id = Some(self.text("id")?.into());
        }
        if bits & has::PREV_ID != 0 {
            item.prev_id = Some(self.text("prev-id")?.into());
        }
        if bits & has::META != 0 {
            item.meta = self.meta()?;
        }
        if bits & has::FILTERS != 0 {
            item.content_filters = Some(self.filters()?.into());
        }
        if bits & has::RESPONSE != 0 {
            item.response = Some(self.response()?);
        }
        if bits & has::STREAM != 0 {
            item.stream = Some(self.stream()?);
        }
        if bits & has::SOCKET != 0 {
            item.socket = Some(self.socket()?);
        }
        match item.content_filters.as_deref().is_none_or(|filters| fit(filters, &item)) {
            true => Ok(item),
            false => Err(CompactProblem::Filters),
        }
    }

    fn filters(&mut self) -> Result<ContentFilters, CompactProblem> {
        let bits = self.byte()?;
        if bits == 0 || bits & !has::FORMATS != 0 {
            return Err(CompactProblem::Filters);
        }
        let mut names = |bit| (bits & bit != 0).then(|| self.filter_names()).transpose();
        let (response, stream) = (names(has::RESPONSE)?, names(has::STREAM)?);
        Ok(ContentFilters { response, stream, socket: names(has::SOCKET)? })
    }

    fn filter_names(&mut self) -> Result<Box<[Box<str>]>, CompactProblem> {
        (0..self.number()?).map(|_| self.text("filter").map(Box::from)).collect()
    }

    fn meta(&mut self) -> Result<Meta, CompactProblem> {
        let mut meta = BTreeMap::new();
        for _ in 0..self.number()? {
            let name = self.text("meta")?;
            meta.insert(name, self.text("meta")?);
        }
        Ok(meta.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    fn response(&mut self) -> Result<ResponseFormat, CompactProblem> {
        let action = self.byte()?;
        let mut message = match action {
            response::HINT => return Ok(ResponseFormat::Hint),
            response::BODY => ResponseMessage::with_code(200),
            response::WHOLE | response::PATCH => self.response_head()?,
            action => return Err(CompactProblem::Action("http-response", action)),
        };
        message.body = match action {
            response::PATCH => {
                let patch = serde_json::from_slice(self.bytes()?);
                ResponseBody::Patch(patch.map_err(|_| CompactProblem::Invalid("body-patch"))?)
            }
            _ => ResponseBody::Whole(self.content()?),
        };
        Ok(ResponseFormat::Send(message.into()))
    }

    fn stream(&mut self) -> Result<StreamFormat, CompactProblem> {
        Ok(match self.byte()? {
            stream::HINT => StreamFormat::Hint,
            stream::CONTENT => StreamFormat::Content(self.content()?),
            stream::CLOSE => StreamFormat::Close,
            action => return Err(CompactProblem::Action("http-stream", action)),
        })
    }

    fn socket(&mut self) -> Result<SocketFormat, CompactProblem> {
        let opcode = match self.byte()? {
            socket::REFRESH => return Ok(SocketFormat::Refresh),
            socket::CLOSE => return self.close(),
            socket::TEXT => Opcode::Text,
            socket::BINARY => Opcode::Binary,
            socket::PING => Opcode::Ping,
            socket::PONG => Opcode::Pong,
            action => return Err(CompactProblem::Action("ws-message", action)),
        };
        let content = match opcode {
            Opcode::Text => self.text("ws-message")?.as_bytes(),
            _ => self.bytes()?,
        };
        if opcode.is_control() && content.len() > Opcode::CONTROL_BYTES {
            return Err(CompactProblem::Invalid("ping or pong: it is longer than a control frame"));
        }
        Ok(SocketFormat::Message { opcode, content: Bytes::copy_from_slice(content) })
    }

    fn close(&mut self) -> Result<SocketFormat, CompactProblem> {
        let code = self.short()?;
        if !Close::may_be_sent(code) {
            return Err(CompactProblem::Invalid("close code"));
        }
        Ok(SocketFormat::Close(Close { code, reason: self.text("reason")?.into() }))
    }

    fn response_head(&mut self) -> Result<ResponseMessage, CompactProblem> {
        let code = self.short()?;
        if !STATUS_CODES.contains(&i64::from(code)) {
            return Err(CompactProblem::Invalid("code"));
        }
        let reason = sendable::reason(self.text("reason")?).ok_or(CompactProblem::Invalid("reason"))?;
        let mut message = ResponseMessage { reason, ..ResponseMessage::with_code(code) };
        for _ in 0..self.number()? {
            let name = self.bytes()?;
            let value = HeaderValue::from_bytes(self.bytes()?.trim_ascii());
            let value = value.map_err(|_| CompactProblem::Invalid("header"))?;
            message.headers.append_as(name, value).map_err(|_| CompactProblem::Invalid("header"))?;
        }
        sendable::strip_from_published(&mut message.headers);
        message.headers.forget_absent();
        Ok(message)
    }

    fn content(&mut self) -> Result<Bytes, CompactProblem> {
        self.bytes().map(Bytes::copy_from_slice)
    }

    fn text(&mut self, name: &'static str) -> Result<&'d str, CompactProblem> {
        std::str::from_utf8(self.bytes()?).map_err(|_| CompactProblem::NotText(name))
    }

    fn bytes(&mut self) -> Result<&'d [u8], CompactProblem> {
        let length = self.number()? as usize;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(CompactProblem::Cut)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A length or a count: seven bits per byte, the lowest first; the high bit says that another byte follows.
    fn number(&mut self) -> Result<u32, CompactProblem> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0xf {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(CompactProblem::Length)
    }

    fn short(&mut self) -> Result<u16, CompactProblem> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    fn byte(&mut self) -> Result<u8, CompactProblem> {
        let (byte, rest) = self.rest.split_first().ok_or(CompactProblem::Cut)?;
        self.rest = rest;
        Ok(*byte)
    }
}
