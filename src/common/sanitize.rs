//! Text from the network, made fit for a log line.
//!
//! Pure. A control plane, or whatever answers in its place, must not be able to move a terminal's
//! cursor, forge a log line or fill the journal.

/// How many characters of foreign text a message shows.
const SHOWN_CHARACTERS: usize = 300;

/// `text` on one line, its control characters escaped, and cut where it is long.
#[must_use]
pub(crate) fn sanitize(text: &str) -> String {
    let text = text.trim();
    let mut shown = String::new();
    for character in text.chars().take(SHOWN_CHARACTERS) {
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            '"' | '\'' | '\\' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN_CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::sanitize;

    #[test]
    fn control_characters_are_escaped_and_lines_are_joined() {
        assert_eq!(sanitize("a \"b\"\r\nc\u{1b}[2Jd\u{0}é"), "a \"b\"  c\\u{1b}[2Jd\\0é");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(sanitize(&"x".repeat(300)), "x".repeat(300));
        assert_eq!(sanitize(&"x".repeat(301)), format!("{}…", "x".repeat(300)));
    }
}
