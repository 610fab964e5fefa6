//! What happened in a story, to understand a failure. A story is only kept when
//! its seed is played again: that is cheaper than keeping all of them.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// So much of the end of a story is enough to understand it.
const KEPT_LINES: usize = 120;

/// The last lines, where they are wanted at all.
#[derive(Debug, Default)]
pub(crate) struct Story {
    is_kept: bool,
    lines: VecDeque<String>,
}

impl Story {
    pub(crate) fn new(is_kept: bool) -> Self {
        Self { is_kept, lines: VecDeque::new() }
    }

    /// Notes a line about `now`; the words are made only where somebody will read them.
    pub(crate) fn log(&mut self, now: Duration, words: impl FnOnce() -> String) {
        if !self.is_kept {
            return;
        }
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{:12.3}  {}", now.as_secs_f64(), words()));
    }
}

impl fmt::Display for Story {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(formatter, "{line}")?;
        }
        Ok(())
    }
}
