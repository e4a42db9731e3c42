//! The hold that an origin asks for: the mode, the channels and their parameters. The core turns a [`Hold`] into a
//! row and subscriptions. `instruct` gathers a `HoldDraft` first from headers, then from a JSON body, which overrides
//! or adds. A `Hold` has all defaults filled in and all bounds applied.

use super::filter::{FILTERS_MAX, Filter, IdRenderer};
use super::instruct_error::InstructError;
use super::json::{FieldError, Fields, Json};
use super::keep_alive::KeepAlive;
use super::link::{Link, Links};
use super::list_header::{Element, elements, pairs, text};
use super::seconds::seconds;
use http::HeaderMap;
use std::collections::BTreeMap;

/// An instruction to keep the client's request open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// As a long poll or as a stream.
    pub mode: Mode,
    /// The channels to subscribe to, in the given order. The subscriber bounds their number.
    pub channels: Vec<Channel>,
    /// Seconds until a response hold is answered with the timeout response; at least 5.
    pub timeout_s: u64,
    /// The keep-alive of a quiet stream; always absent from response holds.
    pub keep_alive: Option<KeepAlive>,
    /// Variables of the subscription, for filters: sorted by name, each name once.
    pub meta: Vec<(String, String)>,
    /// The link that continues the stream.
    pub next_link: Option<Link>,
    /// The URI that is requested when the stream has ended.
    pub gone_link: Option<String>,
}

/// How a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A long poll: one message answers it.
    Response,
    /// A stream: each message is appended to the body.
    Stream,
}

/// One channel to subscribe to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The channel's name, without any route prefix.
    pub name: String,
    /// The id of the last item that the response includes.
    pub prev_id: Option<String>,
    /// Filters, in order; unknown names are allowed and have no effect.
    pub filters: Vec<String>,
}

impl Hold {
    /// A stream without channels.
    pub fn of_nothing() -> Hold {
        Hold {
            mode: Mode::Stream,
            channels: Vec::new(),
            timeout_s: 0,
            keep_alive: None,
            meta: Vec::new(),
            next_link: None,
            gone_link: None,
        }
    }
}

impl Channel {
    /// The channel of this name, without a previous id and without filters.
    pub fn named(name: &str) -> Channel {
        Channel { name: name.to_owned(), prev_id: None, filters: Vec::new() }
    }
}

/// A hold that is being gathered.
#[derive(Debug, Default)]
pub(super) struct HoldDraft {
    mode: Option<Mode>,
    channels: Vec<Channel>,
    timeout_s: Option<u64>,
    keep_alive: Option<KeepAlive>,
    meta: BTreeMap<String, String>,
    links: Links,
}

impl HoldDraft {
    /// Reads the Grip headers of a response.
    ///
    /// # Errors
    /// A header is invalid.
    pub fn from_headers(headers: &HeaderMap) -> Result<HoldDraft, InstructError> {
        let channel = |element: &Element| Channel {
            name: text(element.value),
            prev_id: element.parameter("prev-id").filter(|id| !id.is_empty()).map(text),
            filters: element.all("filter").map(text).collect(),
        };
        let timeout = headers.get("grip-timeout").map(|line| line.as_bytes());
        Ok(HoldDraft {
            mode: mode_header(headers)?,
            channels: elements(headers, "grip-channel").iter().map(channel).collect(),
            timeout_s: timeout.map(|digits| seconds(digits, "Grip-Timeout", "Grip-Timeout")).transpose()?,
            keep_alive: KeepAlive::from_headers(headers)?,
            meta: pairs(headers, "grip-set-meta")
                .iter()
                .map(|(key, value)| (text(key), text(value)))
                .collect(),
            links: Links::from_headers(headers)?,
        })
    }

    /// Reads `hold` of a JSON instruct: mode and timeout override, channels and meta are added.
    ///
    /// # Errors
    /// A member is invalid.
    pub fn read_json(&mut self, hold: &Fields) -> Result<(), InstructError> {
        self.mode = match hold.text("mode")? {
            None | Some("response") => Some(Mode::Response),
            Some("stream") => Some(Mode::Stream),
            Some(_) => return Err(InstructError::JsonHoldMode),
        };
        let channels = hold.list("channels")?.ok_or_else(|| hold.missing("'channels'"))?;
        for value in channels {
            self.channels.push(json_channel(value)?);
        }
        if let Some(timeout_s) = hold.integer("timeout", 0..=i32::MAX.into())? {
            self.timeout_s = Some(timeout_s.unsigned_abs());
        }
        if let Some(fields) = hold.object("keep-alive", "keep-alive")? {
            self.keep_alive = KeepAlive::from_json(&fields)?.or(self.keep_alive.take());
        }
        for (key, value) in hold.text_map("meta", "'meta'")?.unwrap_or_default() {
            self.meta.insert(key.to_string(), value.to_string());
        }
        Ok(())
    }

    /// The next link of a response without a hold.
    pub fn next_link_without_hold(&self) -> Option<Link> {
        self.links.next.clone().filter(|_| self.mode.is_none())
    }

    /// The renderer of the response's body (the beginning of a stream, or the whole answer), if a channel has the
    /// filter build-id.
    pub fn renderer(&self) -> Option<IdRenderer> {
        let is_filtered =
            |channel: &Channel| channel.filters.iter().any(|filter| filter == Filter::BuildId.name());
        if self.mode == Some(Mode::Response) || !self.channels.iter().any(is_filtered) {
            return None;
        }
        let meta: Vec<_> = self.meta.clone().into_iter().collect();
        Some(IdRenderer::of_answer(&meta))
    }

    /// The hold, if the response asks for one.
    ///
    /// # Errors
    /// A channel has too many filters, or a channel of a stream has a previous id although there is no next link.
    pub fn finish(self) -> Result<Option<Hold>, InstructError> {
        if let Some(channel) = self.channels.iter().find(|c| c.filters.len() > FILTERS_MAX) {
            return Err(InstructError::TooManyFilters(channel.name.clone()));
        }
        let Some(mode) = self.mode else { return Ok(None) };
        if mode == Mode::Stream && self.links.next.is_none() {
            // A stream that misses an item recovers through its next link, so a previous id is useless without one.
            if let Some(channel) = self.channels.iter().find(|c| c.prev_id.is_some()) {
                return Err(InstructError::NoNextLink(channel.name.clone()));
            }
        }
        Ok(Some(Hold {
            mode,
            channels: self.channels,
            timeout_s: self.timeout_s.unwrap_or(TIMEOUT_DEFAULT_S).max(TIMEOUT_MINIMUM_S),
            keep_alive: self.keep_alive.filter(|_| mode == Mode::Stream),
            meta: self.meta.into_iter().collect(),
            next_link: self.links.next,
            gone_link: self.links.gone,
        }))
    }
}

fn mode_header(headers: &HeaderMap) -> Result<Option<Mode>, InstructError> {
    match headers.get("grip-hold").map(|line| line.as_bytes()) {
        None => Ok(None),
        Some(b"response") => Ok(Some(Mode::Response)),
        Some(b"stream") => Ok(Some(Mode::Stream)),
        Some(_) => Err(InstructError::HoldMode),
    }
}

fn json_channel(value: &Json) -> Result<Channel, FieldError> {
    let fields = Fields::of(value, "channel")?;
    let name = fields.text("name")?.ok_or_else(|| fields.missing("'name'"))?;
    let prev_id = fields.text("prev-id")?.filter(|id| !id.is_empty());
    let filters = fields.list("filters")?.unwrap_or_default().iter();
    let filters = filters.map(|filter| filter.text().map(str::to_string)).collect::<Option<_>>();
    Ok(Channel {
        name: name.to_string(),
        prev_id: prev_id.map(str::to_string),
        filters: filters.ok_or(FieldError::Shape("filters contains value with wrong type"))?,
    })
}

const TIMEOUT_DEFAULT_S: u64 = 55;
const TIMEOUT_MINIMUM_S: u64 = 5;
