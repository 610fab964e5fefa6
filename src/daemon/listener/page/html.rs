//! Text and times within HTML. All untrusted text is escaped here.

use std::fmt::{self, Display, Write};

use jiff::Timestamp;

/// Whatever displays itself, as text within an element or a quoted attribute.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(formatter), "{}", self.0)
    }
}

struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| match character {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            // HTML has no way to write most of them.
            _ if character.is_control() => self.0.write_char(char::REPLACEMENT_CHARACTER),
            _ => self.0.write_char(character),
        })
    }
}

/// A time, and how long before `now` that was.
pub(super) struct Moment {
    pub(super) time: Timestamp,
    pub(super) now: Timestamp,
}

impl Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, now } = self;
        // A clock may have been set back since.
        let seconds = now.duration_since(*time).as_secs().max(0);
        let (count, unit) = match seconds {
            0..120 => (seconds, "s"),
            120..7200 => (seconds / 60, "min"),
            7200..172_800 => (seconds / 3600, "h"),
            _ => (seconds / 86_400, "days"),
        };
        write!(formatter, "{} <span class=\"age\">({count} {unit} ago)</span>", Utc(*time))
    }
}

/// A time.
pub(super) struct Utc(pub(super) Timestamp);

impl Display for Utc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "<time datetime=\"{}\">{}</time>",
            self.0.strftime("%Y-%m-%dT%H:%M:%SZ"),
            self.0.strftime("%Y-%m-%d %H:%M:%S UTC")
        )
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{Escaped, Moment};

    #[test]
    fn text_cannot_become_markup() {
        let text = "<b title='x' id=\"y\">a & b\u{0}\u{1b}é</b>";
        assert_eq!(
            Escaped(text).to_string(),
            "&lt;b title=&#39;x&#39; id=&quot;y&quot;&gt;a &amp; b\u{fffd}\u{fffd}é&lt;/b&gt;"
        );
    }

    #[test]
    fn a_time_says_how_long_ago_it_was() {
        let time = Timestamp::from_second(1_700_000_000).unwrap();
        let rows = [
            (-5, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7199, "119 min"),
            (7200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ];
        for (seconds, age) in rows {
            let now = time + SignedDuration::from_secs(seconds);
            assert_eq!(
                Moment { time, now }.to_string(),
                format!(
                    "<time datetime=\"2023-11-14T22:13:20Z\">2023-11-14 22:13:20 UTC</time> \
                     <span class=\"age\">({age} ago)</span>"
                )
            );
        }
    }
}
