//! Formats numbers for people: with separated thousands, or with a suitable unit.

/// A count with separated thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration with three significant digits.
pub fn duration(ns: f64) -> String {
    let (number, unit) = match ns {
        0.0 => return "0".into(),
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    format!("{} {unit}", significant(number))
}

/// An amount of memory with three significant digits.
pub fn bytes(number: f64) -> String {
    let size = number.abs();
    let (number, unit) = match size {
        size if size < 1e4 => return format!("{number:.0} B"),
        size if size < 1e6 => (number / 1e3, "kB"),
        size if size < 1e9 => (number / 1e6, "MB"),
        _ => (number / 1e9, "GB"),
    };
    format!("{} {unit}", significant(number))
}

fn significant(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [950.0, 1500.0, 12_340_000.0, 2e9].map(duration),
            ["950 ns", "1.50 µs", "12.3 ms", "2.00 s"]
        );
        assert_eq!([123.0, -20_000.0, 5e6, 1.5e9].map(bytes), ["123 B", "-20.0 kB", "5.00 MB", "1.50 GB"]);
    }
}
