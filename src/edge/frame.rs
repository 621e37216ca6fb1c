//! The one message of a unary gRPC call, as it is on the wire: a flag, four bytes of length, the message (gRPC over HTTP/2,
//! "Length-Prefixed-Message").
//!
//! It is read here and not by a gRPC library, which would answer what it cannot read with an error of gRPC: a mesh may turn that
//! into an allow. And a message that comes in one frame, as they do, is not copied.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use prost::bytes::{Buf as _, Bytes, BytesMut};

use crate::decision::denial::Denial;

/// Above Envoy's largest header block (8 MiB, `max_request_headers_kb`) in its longest form, and any body a mesh should send.
const MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// The flag and the length.
const PREFIX_BYTES: usize = 5;

/// The one message of a call.
///
/// # Errors
/// `request_malformed`: no message, half of one, more than one, a compressed one, a call that broke off;
/// `request_limit_exceeded`: a message that is too long.
pub async fn only_message(mut body: impl Body<Data = Bytes> + Unpin) -> Result<Bytes, Denial> {
    let mut read = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Denial::RequestMalformed)?;
        // Trailers end a body.
        let Ok(data) = frame.into_data() else { break };
        if read.is_empty() && more.is_empty() {
            read = data;
        } else {
            more.extend_from_slice(&core::mem::take(&mut read));
            more.extend_from_slice(&data);
        }
        fits(if more.is_empty() { &read } else { &more })?;
    }
    let mut message = if more.is_empty() { read } else { more.freeze() };
    match length(&message)? {
        Some(length) if message.len() == length.saturating_add(PREFIX_BYTES) => {
            message.advance(PREFIX_BYTES);
            Ok(message)
        }
        _ => Err(Denial::RequestMalformed),
    }
}

/// Whether what has come so far may still be one message.
fn fits(read: &[u8]) -> Result<(), Denial> {
    match length(read)? {
        Some(length) if length > MESSAGE_BYTES => Err(Denial::RequestLimitExceeded),
        Some(length) if read.len() > length.saturating_add(PREFIX_BYTES) => Err(Denial::RequestMalformed),
        _ => Ok(()),
    }
}

/// The length of the message, once it is known. We say that we take no compression, so there is none.
fn length(read: &[u8]) -> Result<Option<usize>, Denial> {
    match read {
        [] => Ok(None),
        [0, length @ ..] => {
            let length = length.first_chunk::<4>().map(|length| u32::from_be_bytes(*length));
            length.map(usize::try_from).transpose().map_err(|_| Denial::RequestLimitExceeded)
        }
        [_, ..] => Err(Denial::RequestMalformed),
    }
}

/// A buffer for the message of an answer, behind the room for what comes before it. Most answers fit.
#[must_use]
pub fn buffer() -> Vec<u8> {
    let mut buffer = Vec::with_capacity(1024);
    buffer.extend([0; PREFIX_BYTES]);
    buffer
}

/// What was written to a [`buffer`].
#[must_use]
pub fn message(buffer: &[u8]) -> &[u8] {
    buffer.get(PREFIX_BYTES..).unwrap_or_default()
}

/// The answer to a call: the one message that was written to a [`buffer`], and the word of gRPC that all is well.
#[must_use]
pub fn answer(mut buffer: Vec<u8>) -> http::Response<Answer> {
    // An answer of four GiB there is not; it would be read as broken.
    let length = u32::try_from(message(&buffer).len()).unwrap_or(u32::MAX);
    let prefix = [0].into_iter().chain(length.to_be_bytes());
    buffer.iter_mut().zip(prefix).for_each(|(byte, prefix)| *byte = prefix);
    let mut response = http::Response::new(Answer { message: Some(buffer.into()), ended: false });
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A message, then the trailers.
pub struct Answer {
    message: Option<Bytes>,
    ended: bool,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let answer = self.get_mut();
        if let Some(message) = answer.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        if core::mem::replace(&mut answer.ended, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Reads a call whose bytes come in frames of this size.
    async fn read(bytes: &[u8], frame: usize) -> Result<Vec<u8>, Denial> {
        let frames: Vec<_> =
            bytes.chunks(frame).map(|chunk| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(chunk)))).collect();
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        only_message(body).await.map(|message| message.to_vec())
    }

    fn prefixed(flag: u8, length: u32, message: &[u8]) -> Vec<u8> {
        [&[flag][..], &length.to_be_bytes(), message].concat()
    }

    #[tokio::test]
    async fn a_message_is_the_same_in_however_many_frames_it_comes() {
        for frame in [1, 2, 4, 5, 6, 7, 100] {
            assert_eq!(read(&prefixed(0, 3, b"abc"), frame).await.unwrap(), b"abc", "{frame}");
            assert_eq!(read(&prefixed(0, 0, b""), frame).await.unwrap(), b"", "{frame}");
        }
    }

    #[tokio::test]
    async fn what_is_not_one_whole_message_is_malformed() {
        let two = [prefixed(0, 1, b"a"), prefixed(0, 1, b"b")].concat();
        for bytes in [
            &b""[..],
            b"\0",
            b"\0\0\0\0",
            &prefixed(0, 3, b"ab"),
            &prefixed(0, 3, b"abcd"),
            &prefixed(1, 3, b"abc"),
            &two,
        ] {
            for frame in [1, 5, 6, 100] {
                assert_eq!(read(bytes, frame).await, Err(Denial::RequestMalformed), "{bytes:?} {frame}");
            }
        }
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_refused_before_it_has_come() {
        let longest = u32::try_from(MESSAGE_BYTES).unwrap();
        for frame in [1, 100] {
            assert_eq!(read(&prefixed(0, longest + 1, b"a"), frame).await, Err(Denial::RequestLimitExceeded));
            assert_eq!(read(&prefixed(0, longest, b"a"), frame).await, Err(Denial::RequestMalformed), "half of one");
        }
    }

    #[tokio::test]
    async fn the_answer_is_one_message_and_the_status() {
        let mut written = buffer();
        written.extend(b"abc");
        assert_eq!(message(&written), b"abc");
        let collected = answer(written).into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap().get("grpc-status").unwrap(), "0");
        assert_eq!(collected.to_bytes(), prefixed(0, 3, b"abc"));
    }
}
