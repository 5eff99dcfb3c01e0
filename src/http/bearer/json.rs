//! A strict JSON reader (RFC 8259) that skips unwanted values and allocates nothing for them.
//!
//! `serde_json` is not used because of two inputs: it copies a member name that contains an escape, and it keeps a
//! stack on the heap for a value that it ignores. An attacker can make either as long as the body.

use std::borrow::Cow;

/// The text is not valid JSON, or nested too deeply.
#[derive(Debug)]
pub(super) struct Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// The largest nesting depth of a skipped value: one bit for each level, and about the limit of `serde_json`.
const MAX_DEPTH: u32 = u128::BITS;

/// A string as it is spelled between its quotes.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    spelled: &'a str,
    has_escape: bool,
}

impl<'a> Text<'a> {
    /// Decodes the string. `None` if its spelling has more than `limit` bytes, or contains half of a surrogate pair.
    pub(super) fn decode(self, limit: usize) -> Option<Cow<'a, str>> {
        if self.spelled.len() > limit {
            return None;
        }
        match self.has_escape {
            false => Some(Cow::Borrowed(self.spelled)),
            true => serde_json::from_str(&format!("\"{}\"", self.spelled)).ok().map(Cow::Owned),
        }
    }
}

/// A position in a text. Each method reads one element and stops after it.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self> {
        std::str::from_utf8(bytes).map(|text| Self { text, at: 0 }).map_err(|_| Malformed)
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Returns the first byte of the next token.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                byte => return byte,
            }
        }
    }

    /// Reads `byte` if it is next. Returns whether it was.
    #[inline]
    fn accept(&mut self, byte: u8) -> bool {
        let found = self.byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Reads `byte` if it is the next token. Returns whether it was.
    fn take(&mut self, byte: u8) -> bool {
        self.peek();
        self.accept(byte)
    }

    /// Reads `byte`, which must be the next token.
    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.take(byte) { Ok(()) } else { Err(Malformed) }
    }

    /// Checks that only white space is left.
    pub(super) fn end(mut self) -> Result<()> {
        if self.peek().is_none() { Ok(()) } else { Err(Malformed) }
    }

    /// Reads an array; `element` reads each of its elements.
    pub(super) fn array<E: From<Malformed>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.expect(b'[')?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.take(b',') {
                return Ok(self.expect(b']')?);
            }
        }
    }

    /// Reads an object; `member` gets each name and reads the value.
    pub(super) fn object<E: From<Malformed>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Text<'a>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let name = self.name()?;
            member(self, name)?;
            if !self.take(b',') {
                return Ok(self.expect(b'}')?);
            }
        }
    }

    /// Reads the name of a member and the colon after it.
    fn name(&mut self) -> Result<Text<'a>> {
        let name = self.string()?;
        self.expect(b':')?;
        Ok(name)
    }

    /// Reads a string.
    pub(super) fn string(&mut self) -> Result<Text<'a>> {
        self.expect(b'"')?;
        let (start, mut has_escape) = (self.at, false);
        loop {
            let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1F);
            self.at += self.rest().iter().position(special).ok_or(Malformed)?;
            match self.rest() {
                [b'"', ..] => break,
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.at += 2,
                [b'\\', b'u', digits @ ..] if digits.iter().take(4).filter(|d| d.is_ascii_hexdigit()).count() == 4 => {
                    self.at += 6;
                }
                _ => return Err(Malformed),
            }
            has_escape = true;
        }
        let spelled = self.text.get(start..self.at).ok_or(Malformed)?;
        self.at += 1;
        Ok(Text { spelled, has_escape })
    }

    /// Skips a value of any kind. It uses one loop, so a deeply nested value needs no more stack.
    pub(super) fn skip(&mut self) -> Result<()> {
        // The lowest bit of `objects` is 1 if the innermost open level is an object.
        let (mut objects, mut depth) = (0_u128, 0);
        loop {
            let opens = match self.peek().ok_or(Malformed)? {
                b'{' => Some((true, b'}')),
                b'[' => Some((false, b']')),
                b'"' => self.string().map(|_| None)?,
                _ => self.scalar().map(|()| None)?,
            };
            if let Some((is_object, close)) = opens {
                self.at += 1;
                if !self.take(close) {
                    if depth == MAX_DEPTH {
                        return Err(Malformed);
                    }
                    (objects, depth) = (objects << 1 | u128::from(is_object), depth + 1);
                    if is_object {
                        self.name()?;
                    }
                    continue;
                }
            }
            // A value has ended, and possibly several levels with it.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let is_object = objects & 1 == 1;
                if self.take(b',') {
                    if is_object {
                        self.name()?;
                    }
                    break;
                }
                self.expect(if is_object { b'}' } else { b']' })?;
                (objects, depth) = (objects >> 1, depth - 1);
            }
        }
    }

    /// Reads `true`, `false`, `null` or a number.
    fn scalar(&mut self) -> Result<()> {
        let word = match self.byte() {
            Some(b't') => "true",
            Some(b'f') => "false",
            Some(b'n') => "null",
            _ => return self.number(),
        };
        self.at += word.len();
        let is_word = self.text.as_bytes().get(self.at - word.len()..self.at) == Some(word.as_bytes());
        if is_word { Ok(()) } else { Err(Malformed) }
    }

    fn number(&mut self) -> Result<()> {
        let bytes = self.rest();
        let is = |at: usize, one: u8, other: u8| bytes.get(at).is_some_and(|byte| *byte == one || *byte == other);
        let digits = |start: usize| {
            let end = (start..).find(|at| !bytes.get(*at).is_some_and(u8::is_ascii_digit)).unwrap_or(start);
            if end > start { Ok(end) } else { Err(Malformed) }
        };
        let start = usize::from(is(0, b'-', b'-'));
        let mut end = if is(start, b'0', b'0') { start + 1 } else { digits(start)? };
        if is(end, b'.', b'.') {
            end = digits(end + 1)?;
        }
        if is(end, b'e', b'E') {
            end = digits(end + 1 + usize::from(is(end + 1, b'+', b'-')))?;
        }
        self.at += end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    fn reads(text: &[u8]) -> bool {
        let Ok(mut reader) = Reader::new(text) else { return false };
        reader.skip().and_then(|()| reader.end()).is_ok()
    }

    /// Parts that make JSON, nearly JSON, and nonsense.
    #[rustfmt::skip]
    const PARTS: [&str; 40] = [
        "{", "}", "[", "]", ",", ":", "\"a\"", "\"\\u00e9\\n\"", "\"\\x\"", "\"\\u12\"", "\"\u{1}\"", "\"\u{1F980}\"", "\"", "\\", "true",
        "false", "null", "nul", "0", "-0", "01", "-", "1.5", "1.", ".5", "1e5", "1E-5", "1e", "+1", " ", "\t", "\r\n", "\u{a0}", "\u{feff}",
        "//", "{}", "[]", "{\"a\":", "[1,", "NaN",
    ];

    #[test]
    fn reader_accepts_what_serde_json_accepts() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for _ in 0..20_000 {
            let count = rng.next_u32() % 12;
            let text: String = (0..count).map(|_| PARTS[rng.next_u32() as usize % PARTS.len()]).collect();
            let expected = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            assert_eq!(reads(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn reader_refuses_what_is_nested_deeper_than_128_levels() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        for nested in [nested, objects] {
            assert!(reads(nested(128).as_bytes()) && !reads(nested(130).as_bytes()));
        }
    }

    #[test]
    fn reader_refuses_what_is_not_utf_8() {
        assert!(
            reads("\"é\"".as_bytes()) && !reads(b"\"\xE9\"") && !reads(b"\"\xC0\x80\"") && !reads(b"\"\xED\xA0\x80\"")
        );
    }

    #[test]
    fn text_decodes_escapes_up_to_a_limit() {
        let decode = |text: &str, limit| {
            Reader::new(text.as_bytes()).unwrap().string().unwrap().decode(limit).map(Cow::into_owned)
        };
        assert_eq!(decode(r#""m\u0065thod""#, 11).as_deref(), Some("method"));
        assert_eq!(decode(r#""m\u0065thod""#, 10), None);
        assert_eq!(decode(r#""\ud83e\udd80""#, 99).as_deref(), Some("\u{1F980}"));
        assert_eq!(decode(r#""\ud83e""#, 99), None);
    }
}
