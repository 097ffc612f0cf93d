//! The trace that an entry belongs to, in the form of W3C Trace Context.

use std::{fmt, str::FromStr};

use bytestring::ByteString;

use crate::Entry;

/// The beginning of the payload of an entry that belongs to a trace.
const MEMBER: &str = r#"{"traceparent":""#;
/// The number of characters of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// The value of a `traceparent` header (W3C Trace Context, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The id of the trace; not zero.
    pub trace_id: u128,
    /// The id of the parent span; not zero.
    pub span_id: u64,
    /// Bit 0: the trace is recorded.
    pub flags: u8,
}

/// The text is not a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a traceparent is 00-<32 hexadecimal digits>-<16 digits>-<2 digits>, in lower case, and no id is zero"
)]
pub struct TraceParentError;

impl TraceParent {
    /// Whether the trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The payload with this as its first member. `payload` is a JSON object without spaces before its brace.
    pub fn put_into(&self, payload: &str) -> ByteString {
        let members = payload.strip_prefix('{').unwrap_or(payload);
        let comma = if members.starts_with('}') { "" } else { "," };
        format!(r#"{MEMBER}{self}"{comma}{members}"#).into()
    }
}

impl Entry {
    /// The trace that this entry belongs to, if it names one in the form that the services write.
    pub fn trace_parent(&self) -> Option<TraceParent> {
        let text = self.payload.strip_prefix(MEMBER)?;
        let (text, rest) = text.split_at_checked(LENGTH)?;
        rest.starts_with('"').then(|| text.parse().ok())?
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace_id,
            span_id,
            flags,
        } = self;
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    /// Of a later version than 00, only the parts of version 00 are read.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (known, later) = text.split_at_checked(LENGTH).ok_or(TraceParentError)?;
        let mut parts = known.split('-');
        let mut part = |length: usize| {
            let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let part = parts.next().filter(|part| part.len() == length);
            part.filter(|part| part.bytes().all(digit))
                .ok_or(TraceParentError)
        };
        let (version, trace_id, span_id, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let ends = match version {
            "00" => later.is_empty(),
            "ff" => false,
            _ => later.is_empty() || later.starts_with('-'),
        };
        let hex = |_| TraceParentError;
        let parent = Self {
            trace_id: u128::from_str_radix(trace_id, 16).map_err(hex)?,
            span_id: u64::from_str_radix(span_id, 16).map_err(hex)?,
            flags: u8::from_str_radix(flags, 16).map_err(hex)?,
        };
        if !ends || parent.trace_id == 0 || parent.span_id == 0 {
            return Err(TraceParentError);
        }
        Ok(parent)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Cursor, Kind};

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn entry(payload: ByteString) -> Entry {
        Entry::after(Cursor::ORIGIN, Kind::Snapshot, payload)
    }

    proptest! {
        #[test]
        fn a_traceparent_is_written_as_it_is_read(trace_id in 1u128.., span_id in 1u64.., flags: u8) {
            let parent = TraceParent { trace_id, span_id, flags };
            prop_assert_eq!(parent.to_string().parse(), Ok(parent));
            let carried = entry(parent.put_into(r#"{"patch":[]}"#));
            prop_assert_eq!(carried.trace_parent(), Some(parent));
            prop_assert!(carried.content().is_ok());
        }

        #[test]
        fn what_is_no_traceparent_is_refused_without_a_panic(text in ".*") {
            let _ = text.parse::<TraceParent>();
            let _ = entry(format!("{MEMBER}{text}").into()).trace_parent();
        }
    }

    #[test]
    fn a_malformed_traceparent_is_refused() {
        assert!(TEXT.parse::<TraceParent>().is_ok());
        assert!(
            format!("01{}-more", &TEXT[2..])
                .parse::<TraceParent>()
                .is_ok()
        );
        for text in [
            "",
            &TEXT[1..],
            &TEXT.to_uppercase(),
            &format!("{TEXT}-more"),
            &format!("ff{}", &TEXT[2..]),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1",
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(TraceParentError), "{text}");
        }
    }

    #[test]
    fn an_entry_without_a_trace_says_so() {
        for payload in ["{}", r#"{"time":"T","traceparent":"x"}"#, MEMBER] {
            assert_eq!(entry(payload.into()).trace_parent(), None, "{payload}");
        }
        let parent: TraceParent = TEXT.parse().unwrap();
        assert_eq!(
            parent.put_into("{}"),
            format!(r#"{{"traceparent":"{TEXT}"}}"#)
        );
    }
}
