//! What is wrong with a text that is no JSON, in the words of the engine the original ran on, which its clients know.
//!
//! Asked only about bodies that were refused. Positions count UTF-16 units, as that engine does.

/// How much of the text the engine shows on either side of what it did not expect.
const CONTEXT_UNITS: usize = 10;

/// The engine's sentence; `None` for what it would have taken, such as a number beyond every range.
pub fn fault(text: &str) -> Option<String> {
    Scanner::of(text).document().err()
}

/// The engine's sentence for a document that is neither an object nor an array; `None` for one that is.
pub fn fault_of_start(text: &str) -> Option<String> {
    let mut scanner = Scanner::of(text);
    scanner.skip_blanks();
    match scanner.peek() {
        Some('{' | '[') => None,
        _ => Some(scanner.unexpected_token()),
    }
}

enum Open {
    Object,
    Array,
}

struct Scanner {
    units: Vec<u16>,
    at: usize,
}

type Scanned = Result<(), String>;

impl Scanner {
    fn of(text: &str) -> Self {
        Self { units: text.encode_utf16().collect(), at: 0 }
    }

    /// The unit at hand; halves of a pair, which are never looked for, come out as one replacement character.
    fn peek(&self) -> Option<char> {
        self.units.get(self.at).map(|unit| char::from_u32(u32::from(*unit)).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        self.at += usize::from(found);
        found
    }

    fn skip_blanks(&mut self) {
        self.skip_while(|character| matches!(character, ' ' | '\t' | '\n' | '\r'));
    }

    fn skip_while(&mut self, holds: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&holds) {
            self.at += 1;
        }
    }

    fn refuse(&self, what: &str) -> Scanned {
        Err(format!("{what} in JSON at position {}", self.at))
    }

    /// Containers are kept on a list, not on the stack: a body may be nothing but brackets.
    fn document(&mut self) -> Scanned {
        let mut open = Vec::new();
        loop {
            self.skip_blanks();
            if self.take('{') {
                self.skip_blanks();
                if !self.take('}') {
                    self.key("Expected property name or '}'")?;
                    open.push(Open::Object);
                    continue;
                }
            } else if self.take('[') {
                self.skip_blanks();
                if !self.take(']') {
                    open.push(Open::Array);
                    continue;
                }
            } else {
                self.scalar()?;
            }
            if self.after_value(&mut open)? {
                return Ok(());
            }
        }
    }

    /// What follows a value: ends of containers, then another value, or (`true`) the end.
    fn after_value(&mut self, open: &mut Vec<Open>) -> Result<bool, String> {
        loop {
            self.skip_blanks();
            let closed = match open.last() {
                None if self.peek().is_none() => return Ok(true),
                None => return Err(format!("Unexpected non-whitespace character after JSON at position {}", self.at)),
                Some(_) if self.take(',') => false,
                Some(Open::Object) if self.take('}') => true,
                Some(Open::Array) if self.take(']') => true,
                Some(Open::Object) => {
                    return self.refuse("Expected ',' or '}' after property value").map(|()| false);
                }
                Some(Open::Array) => return self.refuse("Expected ',' or ']' after array element").map(|()| false),
            };
            if closed {
                open.pop();
                continue;
            }
            if matches!(open.last(), Some(Open::Object)) {
                self.key("Expected double-quoted property name")?;
            }
            return Ok(false);
        }
    }

    fn key(&mut self, expected: &str) -> Scanned {
        self.skip_blanks();
        if self.peek() != Some('"') {
            return self.refuse(expected);
        }
        self.string()?;
        self.skip_blanks();
        if self.take(':') { Ok(()) } else { self.refuse("Expected ':' after property name") }
    }

    fn scalar(&mut self) -> Scanned {
        match self.peek() {
            Some('"') => self.string(),
            Some('-' | '0'..='9') => self.number(),
            Some('t') => self.literal("true"),
            Some('f') => self.literal("false"),
            Some('n') => self.literal("null"),
            _ => Err(self.unexpected()),
        }
    }

    fn literal(&mut self, word: &str) -> Scanned {
        for expected in word.chars() {
            if !self.take(expected) {
                return Err(self.unexpected());
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Scanned {
        self.at += 1;
        loop {
            match self.peek() {
                None => return self.refuse("Unterminated string"),
                Some('"') => break,
                Some('\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some('\0'..='\u{1f}') => return self.refuse("Bad control character in string literal"),
                Some(_) => {}
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(())
    }

    /// Ends on the escape's last unit.
    fn escape(&mut self) -> Scanned {
        match self.peek() {
            None => self.refuse("Unterminated string"),
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => Ok(()),
            Some('u') => {
                for _ in 0..4 {
                    self.at += 1;
                    if !self.peek().is_some_and(|digit| digit.is_ascii_hexdigit()) {
                        return self.refuse("Bad Unicode escape");
                    }
                }
                Ok(())
            }
            Some(_) => self.refuse("Bad escaped character"),
        }
    }

    fn number(&mut self) -> Scanned {
        if self.take('-') && !self.is_at_digit() {
            return self.refuse("No number after minus sign");
        }
        if self.take('0') {
            if self.is_at_digit() {
                return self.refuse("Unexpected number");
            }
        } else {
            self.skip_while(|digit| digit.is_ascii_digit());
        }
        if self.take('.') {
            self.digits("Unterminated fractional number")?;
        }
        if self.take('e') || self.take('E') {
            let _sign = self.take('+') || self.take('-');
            self.digits("Exponent part is missing a number")?;
        }
        Ok(())
    }

    fn digits(&mut self, lacking: &str) -> Scanned {
        if !self.is_at_digit() {
            return self.refuse(lacking);
        }
        self.skip_while(|digit| digit.is_ascii_digit());
        Ok(())
    }

    fn is_at_digit(&self) -> bool {
        self.peek().is_some_and(|digit| digit.is_ascii_digit())
    }

    fn unexpected(&self) -> String {
        match self.peek() {
            Some('-' | '0'..='9') => format!("Unexpected number in JSON at position {}", self.at),
            Some('"') => format!("Unexpected string in JSON at position {}", self.at),
            _ => self.unexpected_token(),
        }
    }

    /// Shows what was not expected with a little of what is around it.
    fn unexpected_token(&self) -> String {
        let Some(unit) = self.units.get(self.at) else { return "Unexpected end of JSON input".to_owned() };
        let (length, at) = (self.units.len(), self.at);
        let is_short = length <= 2 * CONTEXT_UNITS;
        let start = if is_short || at < CONTEXT_UNITS { 0 } else { at - CONTEXT_UNITS };
        let end = if is_short || at >= length - CONTEXT_UNITS { length } else { at + CONTEXT_UNITS };
        let (before, after) = (if start > 0 { "..." } else { "" }, if end < length { "..." } else { "" });
        let shown = String::from_utf16_lossy(&self.units[start..end]);
        let token = String::from_utf16_lossy(&[*unit]);
        format!("Unexpected token '{token}', {before}\"{shown}\"{after} is not valid JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_the_engines_words() {
        for (text, sentence) in [
            ("{\"name\":", "Unexpected end of JSON input"),
            ("{name:1}", "Expected property name or '}' in JSON at position 1"),
            ("{", "Expected property name or '}' in JSON at position 1"),
            ("{\"a\":1,}", "Expected double-quoted property name in JSON at position 7"),
            ("{\"a\" 1}", "Expected ':' after property name in JSON at position 5"),
            ("{\"a\":1 \"b\":2}", "Expected ',' or '}' after property value in JSON at position 7"),
            ("[1 2]", "Expected ',' or ']' after array element in JSON at position 3"),
            ("[1,]", "Unexpected token ']', \"[1,]\" is not valid JSON"),
            ("{\"a\":1}}", "Unexpected non-whitespace character after JSON at position 7"),
            ("{\"a\":\"x", "Unterminated string in JSON at position 7"),
            ("{\"é😀\":tru}", "Unexpected token '}', \"{\"é😀\":tru}\" is not valid JSON"),
            ("{\"a\":\"\n\"}", "Bad control character in string literal in JSON at position 6"),
            ("{\"a\":\"\\x\"}", "Bad escaped character in JSON at position 7"),
            ("{\"a\":\"\\u12g4\"}", "Bad Unicode escape in JSON at position 10"),
            ("{\"a\":01}", "Unexpected number in JSON at position 6"),
            ("{\"a\":-}", "No number after minus sign in JSON at position 6"),
            ("{\"a\":1.}", "Unterminated fractional number in JSON at position 7"),
            ("{\"a\":1e}", "Exponent part is missing a number in JSON at position 7"),
            (
                "{\"content\":\"before\",\"x\":undefined,\"y\":\"after\"}",
                "Unexpected token 'u', ...\"fore\",\"x\":undefined,\"... is not valid JSON",
            ),
            ("{\"a\":'12345678901234567890'}", "Unexpected token ''', \"{\"a\":'123456789\"... is not valid JSON"),
        ] {
            assert_eq!(fault(text).as_deref(), Some(sentence), "{text}");
        }
    }

    #[test]
    fn scalars_are_no_bodies() {
        let sentence = "Unexpected token '\"', \"\"x\"\" is not valid JSON";
        assert_eq!(fault_of_start("\"x\"").as_deref(), Some(sentence));
        assert_eq!(fault_of_start(" 12").as_deref(), Some("Unexpected token '1', \" 12\" is not valid JSON"));
        assert_eq!(fault_of_start(" ").as_deref(), Some("Unexpected end of JSON input"));
        assert_eq!(fault_of_start(" [1"), None);
    }

    #[test]
    fn what_the_engine_takes_has_no_fault() {
        for text in ["{}", " [ ] ", "{\"a\":[1,-0.5e+3,\"\\u00e9\\n\",true,false,null,{}],\"b\":{\"c\":[[]]}}", "1e999"]
        {
            assert_eq!(fault(text), None, "{text}");
        }
        assert_eq!(fault(&"[".repeat(100_000)).as_deref(), Some("Unexpected end of JSON input"));
    }
}
