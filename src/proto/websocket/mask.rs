//! The mask of clients' frames (RFC 6455 section 5.3).

/// XORs `bytes` with `mask`. The `offset` payload bytes before `bytes` used the mask already. XORing twice restores
/// `bytes`.
pub fn unmask(bytes: &mut [u8], mask: [u8; 4], offset: u64) {
    let key = u32::from_le_bytes(mask).rotate_right(8 * (offset % 4) as u32).to_le_bytes();
    let wide: [u8; WIDTH] = std::array::from_fn(|index| key[index % 4]);
    let (chunks, rest) = bytes.as_chunks_mut::<WIDTH>();
    for chunk in chunks {
        // Both sides have a fixed length, so the compiler generates a few vector instructions.
        chunk.iter_mut().zip(wide).for_each(|(byte, key)| *byte ^= key);
    }
    rest.iter_mut().zip(wide).for_each(|(byte, key)| *byte ^= key);
}

/// How many bytes are unmasked at a time; a multiple of the mask's length.
const WIDTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_rfc_reads_hello() {
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        unmask(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0);
        assert_eq!(&payload, b"Hello");
    }

    proptest! {
        #[test]
        fn a_payload_in_two_parts_reads_as_in_one(
            payload in prop::collection::vec(any::<u8>(), 0..300), mask: [u8; 4], cut in 0usize..300, before in 0u64..9,
        ) {
            let expected: Vec<u8> = payload
                .iter()
                .enumerate()
                .map(|(index, byte)| byte ^ mask[(index + before as usize) % 4])
                .collect();
            let mut unmasked = payload.clone();
            let (first, second) = unmasked.split_at_mut(cut.min(payload.len()));
            unmask(first, mask, before);
            unmask(second, mask, before + first.len() as u64);
            prop_assert_eq!(unmasked, expected);
        }
    }
}
