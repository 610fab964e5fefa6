//! Words for people that more than one room needs: durations, numbers of targets, and how many messages
//! were not logged.
//!
//! Pure.

use std::fmt;
use std::time::Duration;

/// A duration in words.
pub(crate) struct Rounded(pub(crate) Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..10 => write!(formatter, "{:.1} s", self.0.as_secs_f64()),
            10..120 => write!(formatter, "{seconds} s"),
            120..7200 => write!(formatter, "{} min", seconds / 60),
            _ => write!(formatter, "{} h", seconds / 3600),
        }
    }
}

/// A number of targets in words.
pub(crate) struct Targets(pub(crate) usize);

impl fmt::Display for Targets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&count(self.0, "target", "targets"))
    }
}

/// A number of anything in words.
pub(crate) fn count(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// How many messages of a kind were held back, after the one that is logged.
pub(crate) fn write_suppressed(
    formatter: &mut fmt::Formatter<'_>,
    suppressed: Option<u32>,
    what: &str,
) -> fmt::Result {
    match suppressed {
        None | Some(0) => Ok(()),
        Some(1) => write!(formatter, "; 1 more {what} since the last such message"),
        Some(count) => write!(formatter, "; {count} more {what}s since the last such message"),
    }
}
