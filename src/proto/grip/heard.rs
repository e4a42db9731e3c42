//! Grip-Last tells an application on a refetch which items its client already has. There is one header for each
//! channel; its value names the channel and the id of the last item of the channel that the client got.

use http::{HeaderName, HeaderValue};

/// The name of the header.
pub const GRIP_LAST: HeaderName = HeaderName::from_static("grip-last");

/// The header's value; `None` if a header cannot contain it.
pub fn grip_last(channel: &str, last_id: &str) -> Option<HeaderValue> {
    let plain = !last_id.is_empty() && !last_id.bytes().any(|byte| b" \t;,\"\\".contains(&byte));
    let value = match plain {
        true => format!("{channel}; last-id={last_id}"),
        false => {
            format!("{channel}; last-id=\"{}\"", last_id.replace('\\', "\\\\").replace('"', "\\\""))
        }
    };
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_quoted_where_they_would_be_misread() {
        let said =
            |id| grip_last("c", id).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        assert_eq!(said("1:2-3").as_deref(), Some("c; last-id=1:2-3"));
        assert_eq!(said("ä").as_deref(), Some("c; last-id=ä"));
        assert_eq!(said("1, \"2\"\\").as_deref(), Some(r#"c; last-id="1, \"2\"\\""#));
        assert_eq!((said("").as_deref(), said("1\r\n")), (Some("c; last-id=\"\""), None));
    }
}
