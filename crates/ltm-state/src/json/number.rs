//! Compares numbers by value, as RFC 6902, section 4.6, requires of `test`: 1, 1.0 and 10e-1 are equal.

use serde_json::Value;

/// Whether two values are equal. Numbers are compared by value.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b
                || matches!((decimal(a.as_str()), decimal(b.as_str())), (Some(a), Some(b)) if a == b)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// The first number in a JSON text that is too large for a double, and the byte where it begins. JavaScript and Python
/// read such a number as Infinity, which they cannot write.
pub(crate) fn too_large(text: &str) -> Option<(usize, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at += 1;
        match bytes[start] {
            b'"' => {
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let rest = &bytes[at..];
                let length = rest.iter().take_while(|byte| is_of_number(**byte)).count();
                at += length;
                let number = &text[start..at];
                // Only such a number can be so large.
                let may_be = length > 300 || number.contains(['e', 'E']);
                if may_be && number.parse().is_ok_and(f64::is_infinite) {
                    return Some((start, number));
                }
            }
            _ => {}
        }
    }
    None
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E')
}

/// The exact value of a number: sign, digits without zeros at either end, and exponent of the last digit.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i128,
}

/// Reads a JSON number. Returns `None` if the exponent needs more than 128 bits.
fn decimal(text: &str) -> Option<Decimal> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i128 = exponent.parse().ok()?;
    let digits = [whole, fraction].concat();
    let stripped = digits.trim_end_matches('0');
    let dropped = digits.len() - stripped.len();
    let significant = stripped.trim_start_matches('0');
    if significant.is_empty() {
        return Some(Decimal {
            negative: false,
            digits: String::new(),
            exponent: 0,
        });
    }
    Some(Decimal {
        negative,
        digits: significant.into(),
        exponent: exponent
            .checked_sub(i128::try_from(fraction.len()).ok()?)?
            .checked_add(i128::try_from(dropped).ok()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        equal(
            &serde_json::from_str(a).unwrap(),
            &serde_json::from_str(b).unwrap(),
        )
    }

    #[test]
    fn numbers_are_equal_by_value() {
        assert!(same("1", "1.0"));
        assert!(same("[{\"a\":100}]", "[{\"a\":1E+2}]"));
        assert!(same("-0.0", "0"));
        assert!(same("0.10", "1e-1"));
        assert!(same("9007199254740993", "9007199254740993.000"));
    }

    #[test]
    fn a_number_that_would_be_infinity_elsewhere_is_found() {
        let long = "9".repeat(310);
        for (text, number) in [
            (r#"{"a\"1e999":[1,1e999]}"#, "1e999"),
            ("-1E+400", "-1E+400"),
            (&format!("[1e5,{long}]"), &long),
        ] {
            let found = too_large(text).map(|(at, found)| (&text[at..], found));
            assert!(
                found.is_some_and(|(rest, found)| found == number && rest.starts_with(number)),
                "{text}"
            );
        }
        for text in [r#"["1e999","\\",1e308,-1e-999]"#, "true", &"9".repeat(308)] {
            assert_eq!(too_large(text), None, "{text}");
        }
    }

    #[test]
    fn digits_beyond_a_double_count() {
        assert!(!same("9007199254740993", "9007199254740992"));
        assert!(!same("1", "-1"));
        assert!(!same("1", "true"));
        assert!(!same("1", "\"1\""));
        assert!(!same("1e400", "2e400"));
    }
}
