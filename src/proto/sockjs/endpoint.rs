//! What a path below the base of a SockJS service asks for.

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endpoint<'a> {
    /// What the service can do.
    Info,
    /// The page that a browser loads in a frame to speak from the service's origin.
    Iframe,
    /// A WebSocket without frames of SockJS.
    Raw,
    /// A part of a conversation.
    Session {
        /// The conversation, by the name that its client gave it.
        session: &'a str,
        /// How the client speaks.
        transport: Transport,
    },
}

/// How a client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// By a WebSocket.
    WebSocket,
    /// It waits for what comes.
    Xhr,
    /// It says something.
    XhrSend,
    /// It waits for what comes, as a script.
    Jsonp,
    /// It says something, by a form.
    JsonpSend,
}

/// What `path` asks for, which is below the base and without the query.
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

/// Names of servers and conversations are not empty and have no dots.
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
