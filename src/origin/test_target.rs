//! The `test` target: the smallest GRIP application, word for word what Pushpin's says, so that a route can
//! be tried before there is an application. A pure function of the path; the method and body do not matter to
//! it.

use super::local::{Page, split, values};
use http::StatusCode;
use std::borrow::Cow;

/// Answers `path`, which is what follows the route's `path_beg`. `?channel=` names the channels, `test` if
/// absent.
pub(super) fn answer(path: &str) -> Page {
    let (path, query) = split(path);
    match path {
        "" => Page::text(StatusCode::OK, "Hello from the Pushpin test handler!\n"),
        "response" => Page::text(StatusCode::OK, "nothing for now\n").holding("response", &channels(query)),
        "stream" => Page::text(StatusCode::OK, "[stream opened]\n").holding("stream", &channels(query)),
        _ => Page::text(StatusCode::NOT_FOUND, "no such test resource\n"),
    }
}

fn channels(query: &str) -> Vec<Cow<'_, str>> {
    let mut channels: Vec<_> = values(query, "channel").collect();
    if channels.is_empty() {
        channels.push(Cow::Borrowed("test"));
    }
    channels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_as_pushpins_test_handler_does() {
        type Grip = &'static [(&'static str, &'static str)];
        let cases: [(&str, u16, &str, Grip); 6] = [
            ("/", 200, "Hello from the Pushpin test handler!\n", &[]),
            ("/?channel=a", 200, "Hello from the Pushpin test handler!\n", &[]),
            ("/response", 200, "nothing for now\n", &[("grip-hold", "response"), ("grip-channel", "test")]),
            (
                "/stream?channel=a&channel=b%20c",
                200,
                "[stream opened]\n",
                &[("grip-hold", "stream"), ("grip-channel", "a"), ("grip-channel", "b c")],
            ),
            ("/stream?channel=%0a", 200, "[stream opened]\n", &[("grip-hold", "stream")]),
            ("/nothing", 404, "no such test resource\n", &[]),
        ];
        for (path, status, body, grip) in cases {
            let page = answer(path);
            assert_eq!((page.status.as_u16(), &page.body[..]), (status, body.as_bytes()), "{path}");
            let mut headers = page.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap_or("")));
            assert_eq!(headers.next(), Some(("content-type", "text/plain")));
            assert_eq!(headers.collect::<Vec<_>>(), grip, "{path}");
        }
    }
}
