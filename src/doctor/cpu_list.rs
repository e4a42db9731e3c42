//! Reads the kernel's two notations for sets of CPUs: lists (`0-3,8`) and masks (`0000ffff,00000000`).

/// The CPUs of a list, in its order; parts that cannot be read are left out.
pub fn parse(text: &str) -> Vec<usize> {
    text.trim().split(',').filter_map(range).flatten().collect()
}

/// Whether a mask has no CPU at all.
pub fn is_empty_mask(text: &str) -> bool {
    text.chars().all(|digit| matches!(digit, '0' | ','))
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    // Machines have a few thousand CPUs at most, so a larger number does not come from a kernel.
    (last <= MOST).then_some(first..=last)
}

const MOST: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_masks_are_read() {
        assert_eq!(parse("0-2,5\n"), [0, 1, 2, 5]);
        assert!(parse("").is_empty());
        assert_eq!(parse("x,3,4-99999999999"), [3]);
        assert!(is_empty_mask("00000000,00000000") && !is_empty_mask("00000000,00000003"));
    }
}
