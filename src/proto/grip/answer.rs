//! A whole response for a client, and the merge of a published response into one: the published response overrides
//! parts of the timeout answer, which the held request would otherwise get. The core calls this when a response hold
//! ends. An [`Answer`] can be written unchanged, except for its framing: the http1 room adds Content-Length and
//! Connection.

use super::body_patch;
use super::formats::{ResponseBody, ResponseMessage};
use super::sendable::{self, GRIP_EXPOSE_HEADERS};
use crate::proto::http1::Headers;
use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use serde::{Deserialize, Serialize};

/// A response for a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Reason phrase; the standard one if absent.
    pub reason: Option<String>,
    /// Headers, without `Grip-*`, Content-Length and hop-by-hop headers.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

impl ResponseMessage {
    /// The answer to a held request whose timeout answer would be `timeout_answer`.
    ///
    /// Code, reason and body are the published ones. Headers are those of `timeout_answer`, and published headers
    /// replace those of the same name. If a patch does not apply, the answer is `timeout_answer` itself: published
    /// headers (an ETag, say) describe the body that the patch would have made, and a client that gets the timeout
    /// answer asks again.
    pub fn answer(&self, timeout_answer: &Answer) -> Answer {
        match self.body_over(timeout_answer) {
            Some(body) => self.answer_with(timeout_answer, body),
            None => timeout_answer.clone(),
        }
    }

    /// The body of that answer; `None` if the body is a patch that does not apply.
    pub fn body_over(&self, timeout_answer: &Answer) -> Option<Bytes> {
        match &self.body {
            ResponseBody::Whole(body) => Some(body.clone()),
            ResponseBody::Patch(patch) => body_patch::apply(patch, &timeout_answer.body),
        }
    }

    /// The answer with `body`, which filters made, in place of its own.
    pub fn answer_with(&self, timeout_answer: &Answer, body: Bytes) -> Answer {
        let mut headers = timeout_answer.headers.clone();
        if matches!(self.body, ResponseBody::Whole(_)) {
            // The coding described the body that is replaced.
            headers.remove(CONTENT_ENCODING);
        }
        replace(&mut headers, &self.headers);
        sendable::keep_exposed(&mut headers);
        headers.remove(GRIP_EXPOSE_HEADERS);
        Answer { status: self.code, reason: self.reason.clone(), headers, body }
    }
}

/// Replaces the fields of `headers` by the fields of `published` with the same names.
fn replace(headers: &mut Headers, published: &Headers) {
    for name in published.keys() {
        headers.remove(name);
    }
    for (name, value) in published {
        // A map holds 32,768 names. Each side alone was within this limit, and dropping the fields beyond it is
        // better than failing.
        let _ = headers.try_append(name.clone(), value.clone());
    }
    headers.spell_as(published);
}

#[cfg(test)]
mod tests {
    use super::super::formats::ResponseFormat;
    use super::super::publish;
    use super::*;
    use http::HeaderValue;

    fn timeout_answer() -> Answer {
        let mut headers = Headers::new();
        headers.insert("server", HeaderValue::from_static("origin"));
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        headers.append("x-m", HeaderValue::from_static("1"));
        headers.append("x-m", HeaderValue::from_static("2"));
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        Answer { status: 200, reason: Some("Fine".into()), headers, body: Bytes::from_static(b"{\"n\":1}\n") }
    }

    fn answer(format: &str) -> Answer {
        let body = format!(r#"{{"items":[{{"channel":"c","formats":{{"http-response":{format}}}}}]}}"#);
        let publication = publish::parse(body.as_bytes()).unwrap().remove(0);
        let Some(ResponseFormat::Send(message)) = publication.response else { panic!() };
        message.answer(&timeout_answer())
    }

    #[test]
    fn published_headers_replace_those_of_the_same_name() {
        let got = answer(r#"{"code":201,"headers":[["X-B","2"],["x-m","3"],["X-M","4"]],"body":"pub\n"}"#);
        assert_eq!((got.status, got.reason.as_deref(), &got.body[..]), (201, None, &b"pub\n"[..]));
        assert_eq!(got.headers["server"], "origin");
        assert_eq!(got.headers["content-type"], "text/plain");
        assert_eq!(got.headers["x-b"], "2");
        assert_eq!(got.headers.get_all("x-m").iter().collect::<Vec<_>>(), ["3", "4"]);
        assert!(!got.headers.contains_key("content-encoding"));
    }

    #[test]
    fn a_patch_changes_the_body_of_the_timeout_answer() {
        let got = answer(r#"{"body-patch":[{"op":"replace","path":"/n","value":2}]}"#);
        assert_eq!(got.body, "{\"n\":2}\n");
        assert_eq!((got.status, got.reason), (200, None));
    }

    #[test]
    fn a_patch_that_does_not_apply_gives_the_timeout_answer() {
        let got = answer(r#"{"code":500,"headers":{"ETag":"x"},"body-patch":[{"op":"remove","path":"/x"}]}"#);
        assert_eq!(got, timeout_answer());
    }

    #[test]
    fn a_publisher_may_choose_what_is_exposed() {
        let got =
            answer(r#"{"headers":{"Grip-Expose-Headers":"Server, X-B","X-B":"1","X-C":"2"},"body":""}"#);
        assert_eq!(got.headers.keys().map(|k| k.as_str()).collect::<Vec<_>>(), ["server", "x-b"]);
    }
}
