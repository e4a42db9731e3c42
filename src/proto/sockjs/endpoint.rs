//! The endpoints of a SockJS service, by their path below the service's base.

/// The endpoint of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endpoint<'a> {
    /// The service's capabilities.
    Info,
    /// The page that a browser loads in a frame, to connect from the service's origin.
    Iframe,
    /// A WebSocket without SockJS frames.
    Raw,
    /// A part of a session.
    Session {
        /// The session's name, which its client chose.
        session: &'a str,
        /// How the client communicates.
        transport: Transport,
    },
}

/// How a client communicates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// A WebSocket.
    WebSocket,
    /// The client waits for messages.
    Xhr,
    /// The client sends messages.
    XhrSend,
    /// The client waits for messages, in the form of a script.
    Jsonp,
    /// The client sends messages in a form.
    JsonpSend,
}

/// The endpoint of `path`, which is below the base and without the query.
pub fn endpoint(path: &str) -> Option<Endpoint<'_>> {
    let mut segments = path.strip_prefix('/')?.split('/');
    let endpoint = match (segments.next()?, segments.next(), segments.next()) {
        ("info", None, None) => Endpoint::Info,
        ("websocket", None, None) => Endpoint::Raw,
        (page, None, None) if page.starts_with("iframe") && page.ends_with(".html") => Endpoint::Iframe,
        (server, Some(session), Some(transport)) if is_name(server) && is_name(session) => {
            let transport = match transport {
                "websocket" => Transport::WebSocket,
                "xhr" => Transport::Xhr,
                "xhr_send" => Transport::XhrSend,
                "jsonp" => Transport::Jsonp,
                "jsonp_send" => Transport::JsonpSend,
                _ => return None,
            };
            Endpoint::Session { session, transport }
        }
        _ => return None,
    };
    segments.next().is_none().then_some(endpoint)
}

/// Names of servers and sessions are not empty and contain no dots.
fn is_name(segment: &str) -> bool {
    !segment.is_empty() && !segment.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_protocol() {
        let session = |transport| Some(Endpoint::Session { session: "s", transport });
        let table = [
            ("/info", Some(Endpoint::Info)),
            ("/websocket", Some(Endpoint::Raw)),
            ("/iframe.html", Some(Endpoint::Iframe)),
            ("/iframe-1.6.1.html", Some(Endpoint::Iframe)),
            ("/000/s/websocket", session(Transport::WebSocket)),
            ("/000/s/xhr", session(Transport::Xhr)),
            ("/000/s/xhr_send", session(Transport::XhrSend)),
            ("/000/s/jsonp", session(Transport::Jsonp)),
            ("/000/s/jsonp_send", session(Transport::JsonpSend)),
            ("/000/s/xhr_streaming", None),
            ("/000/s/xhr/", None),
            ("//s/xhr", None),
            ("/000//xhr", None),
            ("/0.0/s/xhr", None),
            ("/000/s", None),
            ("/", None),
            ("", None),
        ];
        for (path, expected) in table {
            assert_eq!(endpoint(path), expected, "{path}");
        }
    }
}
