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
    fn digits_beyond_a_double_count() {
        assert!(!same("9007199254740993", "9007199254740992"));
        assert!(!same("1", "-1"));
        assert!(!same("1", "true"));
        assert!(!same("1", "\"1\""));
        assert!(!same("1e400", "2e400"));
    }
}
