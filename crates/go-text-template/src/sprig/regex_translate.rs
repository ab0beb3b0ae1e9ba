//! Translates Go's syntax of regular expressions to the syntax of the `regex` crate.
//!
//! Both descend from RE2, with these differences: in Go, classes such as `\d` contain ASCII only, and brackets in a
//! class and braces outside of a repetition are literal. Go has `\Q…\E` and octal escapes. The error messages differ.

/// Translates an expression. The error is Go's message after `error parsing regexp: `.
pub(crate) fn translate(pattern: &str) -> Result<String, String> {
    let mut translator = Translator { pattern, is_empty: true, ..Translator::default() };
    translator.run()?;
    Ok(translator.out)
}

#[derive(Default)]
struct Translator<'p> {
    pattern: &'p str,
    pos: usize,
    out: String,
    open_parens: usize,
    /// The offset of the repetition that was read last.
    repeated: Option<usize>,
    /// Whether a repetition operator is an error here, because no expression precedes it.
    is_empty: bool,
    /// The offset in the output of the flags that were read last.
    flags_at: Option<usize>,
}

// This is the limit of Go's `regexp/syntax`.
const MAX_REPEAT: u32 = 1000;

/// The names of POSIX classes such as `[:alpha:]`.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

impl<'p> Translator<'p> {
    fn rest(&self) -> &'p str {
        &self.pattern[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn literal(&mut self, c: char) {
        self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.peek() {
            // A brace that starts no repetition is literal in Go, and an error in the `regex` crate.
            if matches!(c, '*' | '+' | '?') || (c == '{' && repetition(self.rest()).is_some()) {
                self.repeat()?;
                continue;
            }
            self.repeated = None;
            if c == '(' {
                self.open()?;
                continue;
            }
            self.is_empty = false;
            self.flags_at = None;
            match c {
                ')' => {
                    self.bump();
                    if self.open_parens == 0 {
                        return Err(format!("unexpected ): `{}`", self.pattern));
                    }
                    self.open_parens -= 1;
                    self.out.push(')');
                }
                '|' => {
                    self.bump();
                    self.out.push('|');
                    self.is_empty = true;
                }
                '[' => self.class()?,
                '\\' => self.escape()?,
                '^' | '$' | '.' => {
                    self.bump();
                    self.out.push(c);
                }
                c => {
                    self.bump();
                    self.literal(c);
                }
            }
        }
        if self.open_parens > 0 {
            return Err(format!("missing closing ): `{}`", self.pattern));
        }
        Ok(())
    }

    fn repeat(&mut self) -> Result<(), String> {
        let start = self.pos;
        let length = repetition(self.rest()).map_or(1, |(length, _)| length);
        let lazy = usize::from(self.rest()[length..].starts_with('?'));
        let text = &self.rest()[..length + lazy];
        if let Some((_, false)) = repetition(self.rest()) {
            return Err(format!("invalid repeat count: `{}`", &text[..length]));
        }
        // `a**` is an error in Go, and valid in the `regex` crate.
        if let Some(first) = self.repeated {
            let nested = &self.pattern[first..start + length + lazy];
            return Err(format!("invalid nested repetition operator: `{nested}`"));
        }
        if self.is_empty {
            return Err(format!("missing argument to repetition operator: `{text}`"));
        }
        // Flags between an expression and its repetition cannot be repeated, so the repetition is inserted before them.
        self.out.insert_str(self.flags_at.unwrap_or(self.out.len()), text);
        self.pos += text.len();
        self.repeated = Some(start);
        Ok(())
    }

    fn open(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let Some(after) = rest.strip_prefix("(?") else {
            self.pos += 1;
            self.opened("(");
            return Ok(());
        };
        let name = after.strip_prefix("P<").or_else(|| after.strip_prefix('<'));
        // `(?<=` and `(?<!` start a lookbehind, which Go rejects as unknown syntax.
        if let Some(name) = name.filter(|name| !name.starts_with(['=', '!'])) {
            let missing = || format!("invalid named capture: `{rest}`");
            let end = name.find('>').ok_or_else(missing)?;
            let length = rest.len() - name.len() + end + 1;
            let valid = |c: char| c == '_' || c.is_ascii_alphanumeric();
            if end == 0 || !name[..end].chars().all(valid) {
                return Err(format!("invalid named capture: `{}`", &rest[..length]));
            }
            // The `regex` crate rejects a name that begins with a digit or occurs twice. Such a group gets no name.
            let group = format!("(?<{}>", &name[..end]);
            let named = !name.starts_with(|c: char| c.is_ascii_digit()) && !self.out.contains(&group);
            self.opened(if named { &group } else { "(" });
            self.pos += length;
            return Ok(());
        }
        let end = after.find([':', ')']).unwrap_or(after.len());
        let (flags, mark) = (&after[..end], after[end..].chars().next());
        let known =
            flags.trim_start_matches(['i', 'm', 's', 'U', '-']).is_empty() && flags.matches('-').count() < 2;
        let Some(mark) = mark.filter(|_| known && !flags.ends_with('-')) else {
            let shown = flags.trim_start_matches(['i', 'm', 's', 'U', '-']).chars().next();
            let upto = shown.and_then(|c| flags.find(c).map(|at| at + c.len_utf8())).unwrap_or(end);
            return Err(format!("invalid or unsupported Perl syntax: `(?{}`", &after[..upto]));
        };
        let group = &rest[..2 + end + 1];
        self.pos += group.len();
        if mark == ':' {
            self.opened(group);
        } else {
            self.flags_at.get_or_insert(self.out.len());
            // The `regex` crate rejects empty flags.
            self.out.push_str(if flags.is_empty() { "" } else { group });
        }
        Ok(())
    }

    /// Writes the start of a group.
    fn opened(&mut self, group: &str) {
        self.open_parens += 1;
        self.is_empty = true;
        self.flags_at = None;
        self.out.push_str(group);
    }

    fn escape(&mut self) -> Result<(), String> {
        let rest = self.rest();
        if let Some(quoted) = rest.strip_prefix("\\Q") {
            let end = quoted.find("\\E");
            self.pos += 2 + end.map_or(quoted.len(), |end| end + 2);
            self.out.push_str(&regex::escape(&quoted[..end.unwrap_or(quoted.len())]));
            return Ok(());
        }
        self.bump();
        match self.peek() {
            None => Err("trailing backslash at end of expression: ``".to_owned()),
            Some(c @ ('A' | 'z')) => {
                self.bump();
                self.out.extend(['\\', c]);
                Ok(())
            }
            // Word boundaries are those of ASCII in Go.
            Some(c @ ('b' | 'B')) => {
                self.bump();
                self.out.push_str(&format!("(?-u:\\{c})"));
                Ok(())
            }
            Some('d' | 's' | 'w' | 'D' | 'S' | 'W') => {
                let class = self.bump().map(perl_class).unwrap_or_default();
                self.out.push_str(class);
                Ok(())
            }
            Some('p' | 'P') => self.unicode_class(),
            Some(_) => {
                let c = self.escaped_char()?;
                self.literal(c);
                Ok(())
            }
        }
    }

    /// Translates a class such as `\pL` or `\p{Greek}`, whose backslash is consumed.
    fn unicode_class(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let length = if rest[1..].starts_with('{') {
            rest.find('}').map_or(rest.len(), |end| end + 1)
        } else {
            1 + rest[1..].chars().next().map_or(0, char::len_utf8)
        };
        let class = &rest[..length];
        self.pos += length;
        // The class is compiled alone, because the error about the complete expression would not name it.
        if regex::Regex::new(&format!("\\{class}")).is_err() {
            return Err(format!("invalid character class range: `\\{class}`"));
        }
        self.out.push_str(&format!("\\{class}"));
        Ok(())
    }

    /// Reads the character of an escape, whose backslash is consumed.
    fn escaped_char(&mut self) -> Result<char, String> {
        let start = self.pos - 1;
        let Some(c) = self.bump() else {
            return Err("trailing backslash at end of expression: ``".to_owned());
        };
        let code = match c {
            'a' => 7,
            'f' => 12,
            't' => 9,
            'n' => 10,
            'r' => 13,
            'v' => 11,
            '0'..='7' if c == '0' || self.peek().is_some_and(|next| ('0'..='7').contains(&next)) => {
                let length = self.rest().chars().take(2).take_while(|c| ('0'..='7').contains(c)).count();
                let digits = &self.pattern[self.pos - 1..self.pos + length];
                self.pos += length;
                u32::from_str_radix(digits, 8).unwrap_or(0)
            }
            'x' => self.hexadecimal(start)?,
            // Go counts the underscore as a word character, and a word character cannot be escaped.
            c if c.is_ascii_punctuation() && c != '_' => u32::from(c),
            _ => return Err(format!("invalid escape sequence: `{}`", &self.pattern[start..self.pos])),
        };
        char::from_u32(code)
            .ok_or_else(|| format!("invalid escape sequence: `{}`", &self.pattern[start..self.pos]))
    }

    fn hexadecimal(&mut self, start: usize) -> Result<u32, String> {
        let rest = self.rest();
        let (digits, length) = match rest.strip_prefix('{') {
            Some(inner) => inner.find('}').map_or(("", inner.len() + 1), |end| (&inner[..end], end + 2)),
            None => rest.get(..2).map_or(("", rest.chars().next().map_or(0, char::len_utf8)), |two| (two, 2)),
        };
        self.pos += length;
        let valid = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
        let code = u32::from_str_radix(digits, 16).ok().filter(|_| valid);
        code.ok_or_else(|| format!("invalid escape sequence: `{}`", &self.pattern[start..self.pos]))
    }

    fn class(&mut self) -> Result<(), String> {
        let start = self.pos;
        self.bump();
        self.out.push('[');
        if self.peek() == Some('^') {
            self.bump();
            self.out.push('^');
        }
        let mut first = true;
        loop {
            match self.peek() {
                None => return Err(format!("missing closing ]: `{}`", &self.pattern[start..])),
                // A bracket directly after the start is literal.
                Some(']') if !first => break,
                Some(_) => self.class_item(start)?,
            }
            first = false;
        }
        self.bump();
        self.out.push(']');
        Ok(())
    }

    fn class_item(&mut self, class_start: usize) -> Result<(), String> {
        let rest = self.rest();
        if let Some(end) = rest.strip_prefix("[:").and_then(|name| name.find(":]")) {
            let name = &rest[..end + 4];
            if !POSIX.contains(&name[2..end + 2].trim_start_matches('^')) {
                return Err(format!("invalid character class range: `{name}`"));
            }
            self.out.push_str(name);
            self.pos += name.len();
            return Ok(());
        }
        if let Some(escape) = rest.strip_prefix('\\') {
            match escape.chars().next() {
                Some(c @ ('d' | 's' | 'w' | 'D' | 'S' | 'W')) => {
                    self.pos += 2;
                    self.out.push_str(perl_class(c));
                    return Ok(());
                }
                Some('p' | 'P') => {
                    self.pos += 1;
                    return self.unicode_class();
                }
                _ => {}
            }
        }
        let start = self.pos;
        let low = self.class_char(class_start)?;
        self.literal_in_class(low);
        let mut after = self.rest().chars();
        // A hyphen before the closing bracket is literal.
        if after.next() == Some('-') && after.next().is_some_and(|next| next != ']') {
            self.bump();
            let high = self.class_char(class_start)?;
            if high < low {
                return Err(format!("invalid character class range: `{}`", &self.pattern[start..self.pos]));
            }
            self.out.push('-');
            self.literal_in_class(high);
        }
        Ok(())
    }

    fn class_char(&mut self, class_start: usize) -> Result<char, String> {
        match self.bump() {
            None => Err(format!("missing closing ]: `{}`", &self.pattern[class_start..])),
            Some('\\') => self.escaped_char(),
            Some(c) => Ok(c),
        }
    }

    fn literal_in_class(&mut self, c: char) {
        // The `regex` crate has operators such as `&&` and `~~` in classes, which are literal text in Go.
        if is_special_in_class(c) {
            self.out.push('\\');
        }
        self.out.push(c);
    }
}

/// Returns true for characters that have a meaning in a class.
fn is_special_in_class(c: char) -> bool {
    r"\[]^-&~".contains(c)
}

fn perl_class(letter: char) -> &'static str {
    match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\f\r ]",
        'S' => r"[^\t\n\f\r ]",
        'w' => "[0-9A-Za-z_]",
        _ => "[^0-9A-Za-z_]",
    }
}

/// Reads a repetition `{n}`, `{n,}` or `{n,m}`. Returns its length, and whether the numbers are valid.
fn repetition(text: &str) -> Option<(usize, bool)> {
    let inner = text.strip_prefix('{')?;
    let end = inner.find('}')?;
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (least, most) = inner[..end].split_once(',').unwrap_or((&inner[..end], &inner[..end]));
    if !is_number(least) || !(most.is_empty() || is_number(most)) {
        return None;
    }
    let least: u32 = least.parse().unwrap_or(u32::MAX);
    let most: u32 = if most.is_empty() { least } else { most.parse().unwrap_or(u32::MAX) };
    Some((end + 2, least <= most && most <= MAX_REPEAT))
}

#[cfg(test)]
mod tests {
    use super::translate;

    #[test]
    fn translates_classes_and_reports_errors_as_go() {
        assert_eq!(translate(r"\d+\b").unwrap(), r"[0-9]+(?-u:\b)");
        assert_eq!(translate(r"[[a&&\w]").unwrap(), r"[\[a\&\&[0-9A-Za-z_]]");
        assert_eq!(translate(r"a{,2}{").unwrap(), r"a\{,2\}\{");
        assert_eq!(translate(r"\Qa.b\E.").unwrap(), r"a\.b.");
        assert_eq!(translate(r"a**").unwrap_err(), "invalid nested repetition operator: `**`");
        assert_eq!(translate("[a").unwrap_err(), "missing closing ]: `[a`");
        assert_eq!(translate("a{2,1}").unwrap_err(), "invalid repeat count: `{2,1}`");
    }
}
