//! Numbers for readers: significant digits, and a mean with as many decimals as its error deserves.

/// Text of a missing number.
pub(crate) const MISSING: &str = "–";

/// `value` to `digits` significant digits; powers of ten outside 10⁻³ ≤ |value| < 10⁵.
pub(crate) fn significant(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let exponent = magnitude(value);
    if (-3..5).contains(&exponent) {
        return fixed(value, digits - 1 - exponent);
    }
    let mantissa = fixed(value / 10f64.powi(exponent), digits - 1);
    format!("{mantissa}×{}", power_of_ten(exponent))
}

/// `mean ± error`, both to the second significant digit of the error; a single seed has no error.
pub(crate) fn with_error(mean: f64, error: Option<f64>) -> String {
    let Some(error) = error.filter(|error| error.is_finite()) else {
        return significant(mean, 3);
    };
    // Below these shares the second digit of the error is rounding, or more digits than anyone reads.
    if error <= 1e-12 * mean.abs() {
        return format!("{} ± 0", significant(mean, 4));
    }
    if error < 1e-4 * mean.abs() {
        return format!("{} ± {}", significant(mean, 5), significant(error, 1));
    }
    let exponent = magnitude(mean.abs().max(error));
    if (-3..5).contains(&exponent) {
        let decimals = 1 - magnitude(error);
        return format!("{} ± {}", fixed(mean, decimals), fixed(error, decimals));
    }
    let unit = 10f64.powi(exponent);
    let decimals = 1 - magnitude(error / unit);
    let (mean, error) = (fixed(mean / unit, decimals), fixed(error / unit, decimals));
    format!("({mean} ± {error})×{}", power_of_ten(exponent))
}

/// A share as a percentage to two significant digits, none below a ten-thousandth.
pub(crate) fn percent(share: f64) -> String {
    if 0.0 < share && share < 1e-4 {
        return "< 0.01 %".to_owned();
    }
    format!("{} %", significant(100.0 * share, 2))
}

/// 10 to an integer power, with superscript digits.
pub(crate) fn power_of_ten(exponent: i32) -> String {
    format!("10{}", superscript(exponent))
}

/// An integer in superscript digits.
pub(crate) fn superscript(number: i32) -> String {
    let digit = |digit: char| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        // Superscript zero and four to nine are consecutive from U+2070.
        other => char::from_u32(0x2070 + u32::from(other) - u32::from('0')).unwrap_or(other),
    };
    number.to_string().chars().map(digit).collect()
}

/// Position of the leading digit: ⌊log₁₀ |value|⌋, and 0 for zero.
fn magnitude(value: f64) -> i32 {
    if value == 0.0 {
        return 0;
    }
    value.abs().log10().floor() as i32
}

/// Fixed-point text with a true minus sign; no more decimals than a double holds.
fn fixed(value: f64, decimals: i32) -> String {
    let text = format!("{value:.*}", decimals.clamp(0, 12) as usize);
    match text.strip_prefix('-') {
        Some(digits) if digits.chars().all(|digit| digit == '0' || digit == '.') => {
            digits.to_owned()
        }
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

/// So many of a thing, such as `1 run` and `3 runs`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn significant_digits() {
        for (value, digits, expected) in [
            (0.0, 3, "0"),
            (1.0, 3, "1.00"),
            (-0.012345, 3, "−0.0123"),
            (12345.6, 3, "12346"),
            (123456.0, 3, "1.23×10⁵"),
            (-4.5e-7, 2, "−4.5×10⁻⁷"),
            (6.02e23, 3, "6.02×10²³"),
            (f64::NAN, 3, "–"),
        ] {
            assert_eq!(significant(value, digits), expected);
        }
    }

    #[test]
    fn means_carry_the_digits_of_their_error() {
        for (mean, error, expected) in [
            (1.23456, Some(0.0123), "1.235 ± 0.012"),
            (1.23456, None, "1.23"),
            (-0.001, Some(0.25), "0.00 ± 0.25"),
            (2.0, Some(0.0), "2.000 ± 0"),
            (2.0, Some(1e-15), "2.000 ± 0"),
            (23.4567, Some(2e-7), "23.457 ± 2×10⁻⁷"),
            (0.0, Some(0.0), "0 ± 0"),
            (1234.5, Some(67.8), "1234 ± 68"),
            (1.2e7, Some(3e5), "(1.200 ± 0.030)×10⁷"),
            (-1.2e-6, Some(3e-7), "(−1.20 ± 0.30)×10⁻⁶"),
        ] {
            assert_eq!(with_error(mean, error), expected);
        }
    }
}
