//! A zlib stream (RFC 1950) inflated, up to a bound and not a byte further: what is compressed may be a thousand times smaller.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// The whole stream is here, and its output stays in one buffer.
const FLAGS: u32 = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
/// The first buffer: a list of 100,000 tokens and one bit fits.
const FIRST_BYTES: usize = 16 * 1024;

/// Why nothing came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotInflated {
    /// It is no zlib stream, its checksum is wrong, or it ends too early.
    Broken,
    /// More bytes follow the stream.
    Trailing,
    /// It has more bytes than it may.
    TooLarge,
}

/// What the stream holds, of `most` bytes at most.
pub fn inflate(stream: &[u8], most: usize) -> Result<Vec<u8>, NotInflated> {
    // One byte more than it may have: who fills that one has too many.
    let room = most.saturating_add(1);
    let mut state = Box::<DecompressorOxide>::default();
    let mut output = vec![0; FIRST_BYTES.min(room)];
    let (mut read, mut written) = (0_usize, 0_usize);
    loop {
        let rest = stream.get(read..).ok_or(NotInflated::Broken)?;
        let (status, more_read, more_written) = decompress(&mut state, rest, &mut output, written, FLAGS);
        read = read.saturating_add(more_read);
        written = written.saturating_add(more_written);
        if written > most {
            return Err(NotInflated::TooLarge);
        }
        if status == TINFLStatus::Done {
            output.truncate(written);
            return if read == stream.len() { Ok(output) } else { Err(NotInflated::Trailing) };
        }
        if status != TINFLStatus::HasMoreOutput || output.len() >= room {
            return Err(NotInflated::Broken);
        }
        output.resize(output.len().saturating_mul(2).min(room), 0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]
    use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

    use super::*;

    fn bytes(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn what_was_compressed_comes_back_up_to_the_bound_exactly() {
        for length in [0, 1, 2, 255, FIRST_BYTES - 1, FIRST_BYTES, FIRST_BYTES + 1, 100_000] {
            for content in [bytes(length), vec![0; length]] {
                for level in [0, 1, 9] {
                    let stream = compress_to_vec_zlib(&content, level);
                    assert_eq!(inflate(&stream, length).as_ref(), Ok(&content), "{length} at {level}");
                    assert_eq!(inflate(&stream, length + 70_000).as_ref(), Ok(&content));
                    if length > 0 {
                        assert_eq!(inflate(&stream, length - 1), Err(NotInflated::TooLarge), "{length} at {level}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_bound() {
        let bomb = compress_to_vec_zlib(&vec![0; 64 * 1024 * 1024], 9);
        assert!(bomb.len() < 70_000, "{}", bomb.len());
        assert_eq!(inflate(&bomb, 1024 * 1024), Err(NotInflated::TooLarge));
    }

    #[test]
    fn what_is_cut_changed_or_longer_is_refused() {
        let content = bytes(5_000);
        let stream = compress_to_vec_zlib(&content, 6);
        for end in 0..stream.len() {
            assert_eq!(inflate(&stream[..end], 10_000), Err(NotInflated::Broken), "{end}");
        }
        for more in [&[0][..], &[0; 10], &stream] {
            assert_eq!(inflate(&[&stream, more].concat(), 10_000), Err(NotInflated::Trailing));
        }
        let mut checksum = stream.clone();
        *checksum.last_mut().unwrap() ^= 1;
        assert_eq!(inflate(&checksum, 10_000), Err(NotInflated::Broken));
        // Without the header of zlib, and with another compression than deflate.
        assert_eq!(inflate(&compress_to_vec(&content, 6), 10_000), Err(NotInflated::Broken));
        let mut other = stream;
        other[0] = 0x77;
        assert_eq!(inflate(&other, 10_000), Err(NotInflated::Broken));
    }
}
