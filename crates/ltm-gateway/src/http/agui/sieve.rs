//! Reads JSON as it arrives, and keeps the few small members that a gateway needs: a client of AG-UI sends all messages and
//! the whole state that it holds. What is left out is read only to find its end.

/// The longest text that is kept. In JSON, each of its bytes may be spelled with six.
pub(super) const MAX_TEXT: usize = 1024;
const MAX_SPELLED: usize = 6 * MAX_TEXT + 2;

/// The members that are kept of an object; an object as a member has members itself.
pub(super) struct Members(pub &'static [(&'static str, Option<&'static Members>)]);

/// A sieve into which the parts of a body go.
pub(super) struct Sieve {
    /// The kept members, as JSON.
    kept: Vec<u8>,
    /// The kept objects that are open, and the name with which each is a member.
    open: Vec<(&'static str, &'static Members)>,
    state: State,
    /// Where the current value begins in what is kept.
    from: usize,
    /// The spelling of the current name, as far as it can be one that is kept.
    name: Vec<u8>,
    is_escaped: bool,
}

#[derive(Clone, Copy)]
enum State {
    /// Before the body.
    Begin,
    /// Before a name, or the end of the object.
    Object,
    Name,
    /// Before a value, with its name and members if it is kept.
    Value(Option<Kept>),
    /// In a text or another single value.
    Text(Option<Kept>),
    Single(Option<Kept>),
    /// In an array or object that is left out, with this many levels; and whether in a text of it.
    LeftOut(usize, bool),
    /// After a value.
    After,
    /// Behind the body.
    End,
}

type Kept = (&'static str, Option<&'static Members>);

/// Why a body is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SieveError {
    /// It is no JSON object.
    NoObject,
    /// It is no JSON.
    Invalid(&'static str),
    /// The text at this path is too long.
    TooLong(String),
    /// The members are repeated again and again.
    Repeated,
}

/// Enough for each member once, and objects around them.
const MAX_KEPT: usize = 8 * MAX_SPELLED;
/// A longer name is none that is kept, whatever its escapes.
const MAX_NAME: usize = 6 * 32;

impl Sieve {
    pub(super) fn new(members: &'static Members) -> Self {
        Self {
            kept: Vec::new(),
            open: vec![("", members)],
            state: State::Begin,
            from: 0,
            name: Vec::new(),
            is_escaped: false,
        }
    }

    /// Takes the next part of the body.
    ///
    /// # Errors
    ///
    /// [`SieveError`].
    pub(super) fn push(&mut self, part: &[u8]) -> Result<(), SieveError> {
        let mut rest = part;
        while !rest.is_empty() {
            let left_out = self.skip(rest);
            rest = rest.get(left_out..).unwrap_or_default();
            if let Some((&byte, more)) = rest.split_first() {
                self.byte(byte)?;
                rest = more;
            }
        }
        if self.kept.len() > MAX_KEPT {
            return Err(SieveError::Repeated);
        }
        Ok(())
    }

    /// The kept members as a JSON object; nothing if the body is empty.
    ///
    /// # Errors
    ///
    /// [`SieveError`] if the body is not complete.
    pub(super) fn end(self) -> Result<Vec<u8>, SieveError> {
        match self.state {
            State::Begin | State::End => Ok(self.kept),
            _ => Err(SieveError::Invalid("it ends early")),
        }
    }

    /// How many of these bytes are within a text that is left out: almost all of a body.
    fn skip(&self, bytes: &[u8]) -> usize {
        let is_left_out = matches!(self.state, State::LeftOut(_, true) | State::Text(None));
        if !is_left_out || self.is_escaped {
            return 0;
        }
        let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        end.unwrap_or(bytes.len())
    }

    fn byte(&mut self, byte: u8) -> Result<(), SieveError> {
        let is_space = byte.is_ascii_whitespace();
        match self.state {
            State::Begin if is_space => {}
            State::Begin if byte == b'{' => {
                self.kept.push(b'{');
                self.state = State::Object;
            }
            State::Begin => return Err(SieveError::NoObject),
            State::Object if is_space || byte == b',' => {}
            State::Object if byte == b'"' => {
                self.name.clear();
                self.state = State::Name;
            }
            State::Object | State::After if byte == b'}' => self.close(),
            State::Object => return Err(SieveError::Invalid("a name of a member is missing")),
            State::Name => self.name(byte),
            State::Value(_) if is_space || byte == b':' => {}
            State::Value(kept) => return self.value(byte, kept),
            State::Text(kept) => return self.text(byte, kept),
            State::Single(_) if is_space => self.state = State::After,
            State::Single(_) if matches!(byte, b',' | b'}') => {
                self.state = State::After;
                return self.byte(byte);
            }
            State::Single(kept) => return self.keep(byte, kept),
            State::LeftOut(levels, is_text) => self.left_out(byte, levels, is_text),
            State::After if is_space => {}
            State::After if byte == b',' => self.state = State::Object,
            State::After => return Err(SieveError::Invalid("a comma is missing")),
            State::End if is_space => {}
            State::End => return Err(SieveError::Invalid("something follows the object")),
        }
        Ok(())
    }

    /// Whether a text ends with this byte.
    fn ends_text(&mut self, byte: u8) -> bool {
        let was_escaped = std::mem::take(&mut self.is_escaped);
        self.is_escaped = byte == b'\\' && !was_escaped;
        byte == b'"' && !was_escaped
    }

    fn name(&mut self, byte: u8) {
        if !self.ends_text(byte) {
            if self.name.len() <= MAX_NAME {
                self.name.push(byte);
            }
            return;
        }
        let spelled = [b"\"", &*self.name, b"\""].concat();
        let name: Option<String> = serde_json::from_slice(&spelled).ok();
        let members = self.open.last().map_or(&[][..], |(_, members)| members.0);
        let mut kept = members.iter().copied();
        self.state = State::Value(kept.find(|(kept, _)| Some(*kept) == name.as_deref()));
    }

    fn value(&mut self, byte: u8, kept: Option<Kept>) -> Result<(), SieveError> {
        if let Some((name, _)) = kept {
            if self.kept.last() != Some(&b'{') {
                self.kept.push(b',');
            }
            self.kept.extend_from_slice(format!("{name:?}:").as_bytes());
            self.from = self.kept.len();
        }
        match (byte, kept) {
            (b'{', Some((name, Some(members)))) => {
                self.open.push((name, members));
                self.kept.push(b'{');
                self.state = State::Object;
            }
            (b'{' | b'[', kept) => {
                // Only its type is kept.
                if kept.is_some() {
                    let value: &[u8] = if byte == b'{' { b"{}" } else { b"[]" };
                    self.kept.extend_from_slice(value);
                }
                self.state = State::LeftOut(1, false);
            }
            (b'"', Some((_, Some(_)))) => {
                self.kept.extend_from_slice(br#""""#);
                self.state = State::Text(None);
            }
            (b'"', kept) => {
                self.state = State::Text(kept);
                self.keep(byte, kept)?;
            }
            (b'}' | b']' | b',', _) => return Err(SieveError::Invalid("a value is missing")),
            (byte, kept) => {
                self.state = State::Single(kept);
                self.keep(byte, kept)?;
            }
        }
        Ok(())
    }

    fn text(&mut self, byte: u8, kept: Option<Kept>) -> Result<(), SieveError> {
        self.keep(byte, kept)?;
        if self.ends_text(byte) {
            self.state = State::After;
        }
        Ok(())
    }

    fn left_out(&mut self, byte: u8, levels: usize, is_text: bool) {
        if is_text {
            let ends = self.ends_text(byte);
            self.state = State::LeftOut(levels, !ends);
            return;
        }
        self.state = match byte {
            b'"' => State::LeftOut(levels, true),
            b'{' | b'[' => State::LeftOut(levels + 1, false),
            b'}' | b']' if levels == 1 => State::After,
            b'}' | b']' => State::LeftOut(levels - 1, false),
            _ => State::LeftOut(levels, false),
        };
    }

    /// Keeps a byte of a text or another single value.
    fn keep(&mut self, byte: u8, kept: Option<Kept>) -> Result<(), SieveError> {
        let Some((name, _)) = kept else {
            return Ok(());
        };
        self.kept.push(byte);
        if self.kept.len() - self.from <= MAX_SPELLED {
            return Ok(());
        }
        let names = self.open.iter().map(|(name, _)| *name).chain([name]);
        let path: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        Err(SieveError::TooLong(path.join(".")))
    }

    fn close(&mut self) {
        self.kept.push(b'}');
        self.open.pop();
        self.state = match self.open.is_empty() {
            true => State::End,
            false => State::After,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static INNER: Members = Members(&[("after", None)]);
    static OUTER: Members = Members(&[("id", None), ("props", Some(&INNER))]);

    fn sift(text: &str, part: usize) -> Result<String, SieveError> {
        let mut sieve = Sieve::new(&OUTER);
        for part in text.as_bytes().chunks(part) {
            sieve.push(part)?;
        }
        Ok(String::from_utf8(sieve.end()?).unwrap())
    }

    #[test]
    fn only_the_named_members_are_kept_wherever_the_body_is_cut() {
        for (text, kept) in [
            ("", ""),
            (" {} ", "{}"),
            (r#"{"id":"a\"}","x":1}"#, r#"{"id":"a\"}"}"#),
            (
                r#"{ "x" : [{"id":"]}"}, "\\"] , "id" : "b" }"#,
                r#"{"id":"b"}"#,
            ),
            (
                r#"{"i\u0064":null,"x":"\"","y":-1.5e3,"z":{}}"#,
                r#"{"id":null}"#,
            ),
            (
                r#"{"props":{"x":{"after":1},"after":"1-2"},"after":3}"#,
                r#"{"props":{"after":"1-2"}}"#,
            ),
            (
                r#"{"props":[{"after":1}],"id":{"id":[1]}}"#,
                r#"{"props":[],"id":{}}"#,
            ),
            (r#"{"props":"a text","id":7}"#, r#"{"props":"","id":7}"#),
        ] {
            for part in [1, 2, 3, 7, 1000] {
                assert_eq!(sift(text, part).as_deref(), Ok(kept), "{text} in {part}");
            }
        }
    }

    #[test]
    fn what_is_no_object_is_not_taken() {
        for text in ["[]", "7", r#""{}""#] {
            assert_eq!(sift(text, 1), Err(SieveError::NoObject), "{text}");
        }
        for text in [
            "{",
            r#"{"id"#,
            r#"{"id":"a"#,
            "{}{}",
            r#"{"id":}"#,
            r#"{"id":"a" "x":1}"#,
            "{7}",
        ] {
            let sifted = sift(text, 1);
            assert!(
                matches!(sifted, Err(SieveError::Invalid(_))),
                "{text}: {sifted:?}"
            );
        }
    }

    #[test]
    fn a_body_of_any_size_leaves_little() {
        let long = "x".repeat(10_000_000);
        let text = format!(r#"{{"state":"{long}","messages":[["{long}"]],"id":"a"}}"#);
        assert_eq!(sift(&text, 4096).as_deref(), Ok(r#"{"id":"a"}"#));
        let deep = format!(
            r#"{{"x":{}{},"id":"a"}}"#,
            "[".repeat(1_000_000),
            "]".repeat(1_000_000)
        );
        assert_eq!(sift(&deep, 4096).as_deref(), Ok(r#"{"id":"a"}"#));
        let too_long = SieveError::TooLong("props.after".into());
        assert_eq!(
            sift(&format!(r#"{{"props":{{"after":"{long}"}}}}"#), 4096),
            Err(too_long)
        );
        let repeated = format!("{{{}}}", vec![r#""id":"a""#; 10_000].join(","));
        assert_eq!(sift(&repeated, 4096), Err(SieveError::Repeated));
        let name = format!(r#"{{"{long}":1,"id":"a"}}"#);
        assert_eq!(sift(&name, 4096).as_deref(), Ok(r#"{"id":"a"}"#));
    }
}
