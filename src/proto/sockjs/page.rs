//! Answers of a SockJS service outside sessions.

/// The service's capabilities; `entropy` is an unpredictable number.
pub fn info(entropy: u32) -> String {
    format!("{{\"websocket\":true,\"origins\":[\"*:*\"],\"cookie_needed\":false,\"entropy\":{entropy}}}")
}

/// The page for a frame, which loads the client's library from `script`.
pub fn iframe(script: &str) -> String {
    let script = script.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<!DOCTYPE html>\n<html>\n<head>\n  <meta charset=\"UTF-8\">\n  <script src=\"{script}\"></script>\n  \
         <script>document.domain = document.domain; SockJS.bootstrap_iframe();</script>\n</head>\n<body>\n  \
         <h2>Don't panic!</h2>\n  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>\n\
         </body>\n</html>\n"
    )
}
