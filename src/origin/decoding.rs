//! Removes the content coding of answers that this server reads itself. Applications are asked for `identity`, but
//! some encode their answers anyway. Callers that read an answer call [`Response::decoded`] first. An answer that is
//! only relayed stays encoded, and the client decodes it.

use super::body::ResponseBody;
use super::error::OriginError;
use super::message::Response;
use crate::proto::content_coding::{CODED_BYTES, Coding, CodingError};
use bytes::{Bytes, BytesMut};
use http::header;

impl Response {
    /// This answer without its content coding; `target` names the origin in errors.
    ///
    /// # Errors
    /// [`OriginError::ContentCoding`] when the coding is unknown or the body cannot be decoded, and the errors of
    /// reading the body.
    pub async fn decoded(self, target: impl Fn() -> String) -> Result<Response, OriginError> {
        if self.body.is_ended() || !self.headers.contains_key(header::CONTENT_ENCODING) {
            return Ok(self);
        }
        // Boxed, because few answers are encoded, and every answer that is read would pay for the future's size.
        Box::pin(self.decode(target)).await
    }

    async fn decode(mut self, target: impl Fn() -> String) -> Result<Response, OriginError> {
        let failed = |reason| OriginError::ContentCoding { target: target(), reason };
        let codings = Coding::all(&self.headers).map_err(failed)?;
        if !codings.is_empty() {
            let mut body = collect(&mut self.body).await?.ok_or_else(too_large).map_err(failed)?;
            for coding in codings {
                body = coding.decode(&body).map_err(failed)?;
            }
            self.body = ResponseBody::whole(body);
            self.headers.remove(header::CONTENT_LENGTH);
        }
        self.headers.remove(header::CONTENT_ENCODING);
        Ok(self)
    }
}

/// The whole body; `None` if it is too large.
async fn collect(body: &mut ResponseBody) -> Result<Option<Bytes>, OriginError> {
    let mut whole = BytesMut::new();
    while let Some(piece) = body.next().await {
        whole.extend_from_slice(&piece?);
        if whole.len() > CODED_BYTES {
            return Ok(None);
        }
    }
    Ok(Some(whole.freeze()))
}

fn too_large() -> CodingError {
    CodingError::TooLarge { limit: CODED_BYTES }
}
