//! The frames of a server, and the numbers in their payloads.

use memchr::memmem;

/// The opcode of the first frame, and where its payload begins and ends; `None` while the frame is incomplete
/// (RFC 6455 section 5.2; a server's frames are not masked).
pub(crate) fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (begin, length) = match second & 0x7f {
        126 => (
            4,
            u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        ),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    let end = begin + usize::try_from(length).ok()?;
    (bytes.len() >= end).then_some((first & 0xf, begin, end))
}

/// The number after a name, and the bytes after it.
pub(super) fn number_after<'a>(payload: &'a [u8], name: &[u8]) -> Option<(u64, &'a [u8])> {
    let rest = &payload[memmem::find(payload, name)? + name.len()..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = rest[..digits].iter().fold(0_u64, |number, digit| {
        number
            .wrapping_mul(10)
            .wrapping_add(u64::from(digit - b'0'))
    });
    (digits > 0).then_some((number, &rest[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_once_it_is_complete() {
        let text = b"\x81\x03abc\x81";
        assert_eq!(frame(text), Some((1, 2, 5)));
        assert_eq!(frame(&text[..4]), None);
        let mut long = vec![0x81, 126, 1, 0];
        long.resize(4 + 256, b'x');
        assert_eq!(frame(&long), Some((1, 4, 260)));
    }

    #[test]
    fn a_number_is_found_by_its_name() {
        let text = br#"{"id":1,"cursor":"18-77","at":5}"#;
        let number = |name: &[u8]| number_after(text, name).map(|(number, _)| number);
        assert_eq!(number(b"\"cursor\":\""), Some(18));
        assert_eq!(number(b"\"at\":"), Some(5));
        assert_eq!(number(b"\"id\":\""), None);
    }
}
