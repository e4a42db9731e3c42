//! Tests of each coding, and of bodies that do not follow theirs.

use super::*;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderValue;
use proptest::prelude::*;
use std::io::Write;

const TEXT: &[u8] = b"A held answer, a held answer, a held answer.\n";
/// Made by Node's zlib.
const BROTLI: &str = "1b2c00f88d94ab837bad101486a641c8cad834218ad0b28c14e0a7a622b72dc4861f8e00";
/// Made by zstd 1.5.
const ZSTD: &str = "28b52ffd0458c5000090412068656c6420616e737765722c20612e0a0100249c4b5b999580";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn coded() -> [(Coding, Vec<u8>); 5] {
    [
        (Coding::Gzip, gzip(TEXT)),
        (Coding::Deflate, zlib(TEXT)),
        (Coding::Deflate, deflate(TEXT)),
        (Coding::Brotli, bytes(BROTLI)),
        (Coding::Zstd, bytes(ZSTD)),
    ]
}

#[test]
fn each_coding_is_decoded_and_a_body_that_is_cut_is_an_error() {
    for (coding, body) in coded() {
        assert_eq!(coding.decode(&body).unwrap(), TEXT, "{coding:?}");
        for cut in 1..body.len() - 1 {
            let outcome = coding.decode(&body[..cut]);
            assert!(
                matches!(outcome, Err(CodingError::Malformed { .. })),
                "{coding:?} cut at {cut}: {outcome:?}"
            );
        }
    }
    let twice = [gzip(TEXT), gzip(TEXT)].concat();
    assert_eq!(Coding::Gzip.decode(&twice).unwrap(), [TEXT, TEXT].concat());
    let twice = [bytes(ZSTD), bytes(ZSTD)].concat();
    assert_eq!(Coding::Zstd.decode(&twice).unwrap(), [TEXT, TEXT].concat());
}

#[test]
fn a_few_bytes_do_not_become_many() {
    let zeros = vec![0; DECODED_BYTES];
    for (coding, body) in
        [(Coding::Gzip, gzip(&zeros)), (Coding::Deflate, zlib(&zeros)), (Coding::Deflate, deflate(&zeros))]
    {
        let outcome = coding.decode(&body);
        assert!(matches!(outcome, Err(CodingError::TooLarge { .. })), "{coding:?}: {outcome:?}");
    }
    let small = vec![0; ANY_RATIO_BYTES];
    assert_eq!(Coding::Gzip.decode(&gzip(&small)).unwrap(), small, "a small body may have any ratio");
}

#[test]
fn codings_are_undone_in_the_order_in_which_they_were_applied_backwards() {
    let said = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        Coding::all(&headers)
    };
    assert_eq!(said(&[]).unwrap(), []);
    assert_eq!(said(&["identity"]).unwrap(), []);
    assert_eq!(said(&["X-GZip, br", "zstd"]).unwrap(), [Coding::Zstd, Coding::Brotli, Coding::Gzip]);
    assert!(matches!(said(&["compress"]), Err(CodingError::Unknown(name)) if name == "compress"));
    assert!(matches!(said(&["gzip, gzip, gzip, gzip"]), Err(CodingError::TooMany)));
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(body in prop::collection::vec(any::<u8>(), 0..200), good in 0usize..5, at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let (coding, mut changed) = coded()[good].clone();
        let at = at.index(changed.len());
        changed[at] = with;
        let _ = coding.decode(&changed);
        let _ = coding.decode(&body);
    }
}

#[test]
fn windows_larger_than_the_standards_have_are_refused_before_they_are_allocated() {
    // The header of a frame with a window of 8 MiB, one of 9 MiB, and content of 16 MiB in one segment.
    assert_eq!(zstd_window(b"\x28\xb5\x2f\xfd\x00\x68"), Some(8 << 20));
    assert_eq!(zstd_window(b"\x28\xb5\x2f\xfd\x00\x69"), Some(9 << 20));
    assert_eq!(zstd_window(b"\x28\xb5\x2f\xfd\xa0\0\0\0\x01"), Some(16 << 20));
    assert_eq!(zstd_window(&bytes(ZSTD)), Some(2 << 20));
    assert_eq!(zstd_window(b"\x28\xb5\x2f\xfd"), None);
    for body in [&b"\x28\xb5\x2f\xfd\x00\x69\0\0\0"[..], b"\x28\xb5\x2f\xfd\xa0\0\0\0\x01\0\0\0"] {
        let outcome = Coding::Zstd.decode(body).unwrap_err().to_string();
        assert!(outcome.ends_with("its window is too large"), "{outcome}");
    }
    let outcome = Coding::Brotli.decode(b"\x11\x1e\0").unwrap_err().to_string();
    assert!(outcome.ends_with("its window is too large"), "{outcome}");
}
