//! Answers browsers whose page has another origin, for applications that do not support this themselves (Pushpin's
//! `auto_cross_origin`): `cors` has the headers that permit it. JSON-P is for pages that can only load scripts: the
//! query of a GET holds the intended request (`jsonp_request`), and the answer is a script (`jsonp_script`).
//!
//! The core keeps a [`CrossOrigin`] of such a request until the request is answered.

mod cors;
mod jsonp_request;
mod jsonp_script;

pub use cors::Allowance;
pub use jsonp_request::{JsonpError, JsonpRequest, JsonpSettings, read};
pub use jsonp_script::{Mode, Script};

use crate::proto::grip::Answer;
use crate::proto::http1::{Headers, reason_phrase};
use bytes::BytesMut;
use serde::{Deserialize, Serialize};

/// What is added to the application's answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct CrossOrigin {
    /// The CORS headers for the browser.
    pub allowance: Allowance,
    /// How the answer becomes a script, if the request asks for one.
    pub script: Option<Script>,
}

impl CrossOrigin {
    /// The whole answer in the browser's form.
    pub fn answer(&self, answer: &Answer) -> Answer {
        let Answer { status, reason, headers, body } = answer;
        let Some(script) = &self.script else {
            let mut answer = answer.clone();
            self.allowance.add_to(&mut answer.headers);
            return answer;
        };
        let mut headers = headers.clone();
        headers.insert(http::header::CONTENT_LENGTH, body.len().into());
        let mut text = BytesMut::new();
        let reason = reason.as_deref().unwrap_or_else(|| reason_phrase(*status));
        let mut writer = script.begin(&mut text, *status, reason, &headers);
        writer.push(&mut text, body);
        writer.end(&mut text);
        Answer { status: 200, reason: None, headers: Script::headers(&headers).into(), body: text.freeze() }
    }

    /// The headers of an answer whose body is a stream. A script cannot be a stream, so these are for CORS only.
    pub fn open(&self, headers: &Headers) -> Headers {
        let mut headers = headers.clone();
        self.allowance.add_to(&mut headers);
        headers
    }
}
