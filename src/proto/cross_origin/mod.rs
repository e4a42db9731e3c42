//! Answering browsers whose page is of another origin, for applications that do not know of them (Pushpin's
//! `auto_cross_origin`): headers that allow it (`cors`), and JSON-P for pages that can only load scripts. There a GET
//! says in its query what is to be asked (`jsonp_request`), and the answer is a script (`jsonp_script`).
//!
//! [`CrossOrigin`] is what the core keeps of such a request until it is answered.

mod cors;
mod jsonp_request;
mod jsonp_script;

pub use cors::Allowance;
pub use jsonp_request::{JsonpError, JsonpRequest, JsonpSettings, read};
pub use jsonp_script::{Mode, Script};

use crate::proto::grip::Answer;
use crate::proto::http1::{Headers, reason_phrase};
use bytes::BytesMut;

/// What the answer to a request has beside what the application says.
#[derive(Debug)]
pub struct CrossOrigin {
    /// What the browser is told.
    pub allowance: Allowance,
    /// How an answer becomes a script, if one is asked for.
    pub script: Option<Script>,
}

impl CrossOrigin {
    /// A whole answer as the browser gets it.
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

    /// The headers of an answer that goes on as a stream. A script cannot.
    pub fn open(&self, headers: &Headers) -> Headers {
        let mut headers = headers.clone();
        self.allowance.add_to(&mut headers);
        headers
    }
}
