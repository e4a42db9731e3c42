//! What can go wrong on the way to an application and back, with what the client is told: the status and text that
//! Pushpin gives, and the reason only where debugging is on.

/// A request could not be answered by an application.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// No route matches.
    #[error("no route matches")]
    NoRoute,
    /// No target could be connected to.
    #[error("no target could be reached, tried {tried}; the last failure: {last}")]
    Unreachable {
        /// The targets, in order.
        tried: String,
        /// Why the last one failed.
        last: String,
    },
    /// The connection broke, or what came was not HTTP.
    #[error("the origin broke off or sent something that is not HTTP: {0}")]
    Broken(String),
    /// Nothing came for too long.
    #[error("the origin sent nothing for {0} ms")]
    Silent(u64),
    /// The instructions make no sense.
    #[error("the GRIP instructions cannot be followed: {0}")]
    Instruct(String),
    /// The instructions' answer is too large to keep.
    #[error("the GRIP answer from {0} is larger than 100000 bytes")]
    InstructTooLarge(String),
    /// The request is too large for a built-in application.
    #[error("the request is too large for a built-in application")]
    RequestTooLarge,
}

impl OriginError {
    /// Status and plain text body for the client.
    pub fn answer(&self, debug: bool) -> (u16, String) {
        let text = match self {
            OriginError::NoRoute => "Route not found\n".to_owned(),
            OriginError::RequestTooLarge => return (400, "request too large\n".to_owned()),
            OriginError::Unreachable { tried, .. } if debug => {
                format!("Unable to connect to any targets. Tried: {tried}\n")
            }
            OriginError::Instruct(reason) if debug => {
                format!("Failed to parse accept instructions: {reason}\n")
            }
            OriginError::InstructTooLarge(target) if debug => {
                format!("GRIP instruct response too large from {target}\n")
            }
            _ => "Error while proxying to origin.\n".to_owned(),
        };
        (502, text)
    }
}
