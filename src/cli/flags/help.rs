//! The help, as `--help` prints it: on one screen.

use std::fmt::Write as _;

use super::{FLAGS, Flag, GROUPS, SUBCOMMANDS, SWITCHES};

/// Where what a flag is for begins, where its default does, and where a line ends.
const COLUMN: usize = 32;
const NOTES_COLUMN: usize = 6;
const WIDTH: usize = 79;

/// The whole text.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "Prometheus service discovery for Kuma: keeps a file_sd file in sync with the\n\
         control plane.\n\
         \n\
         Usage: kuma-prometheus-sd run|check [FLAGS]\n\
         \n",
    );
    for subcommand in SUBCOMMANDS {
        let _ = writeln!(text, "  {:<12}{}", subcommand.name, subcommand.help);
    }
    for group in GROUPS {
        let _ = writeln!(text, "\n{group}:");
        for flag in FLAGS.iter().filter(|flag| flag.group == group) {
            help_for(flag, &mut text);
        }
    }
    for (name, purpose) in SWITCHES {
        let _ = writeln!(text, "{:<COLUMN$}{purpose}", format!("  --{name}"));
    }
    text.push_str(
        "\nA flag overrides its environment variable; an empty variable counts as unset.\n",
    );
    text
}

/// A flag and its purpose, and below it the default and the environment variables, where it has any.
fn help_for(flag: &Flag, text: &mut String) {
    let head = format!("  --{}={}", flag.name, flag.value);
    // A head that is too long for its column moves its purpose to the right.
    let head = format!("{head:<width$}", width = COLUMN.max(head.len() + 2));
    let Some(last) = flag.environment.len().checked_sub(1) else {
        let _ = writeln!(text, "{head}{} [default {}]", flag.help, flag.default);
        return;
    };
    let _ = writeln!(text, "{head}{}", flag.help);
    let default = match flag.default {
        "" => String::new(),
        default => format!("default {default}, "),
    };
    let mut line = format!("{:NOTES_COLUMN$}[{default}", "");
    for (index, variable) in flag.environment.iter().enumerate() {
        let word = format!("${variable}{}", if index == last { "]" } else { ", " });
        if line.len() + word.trim_end().len() > WIDTH {
            let _ = writeln!(text, "{}", line.trim_end());
            line = format!("{:NOTES_COLUMN$}", "");
        }
        line.push_str(&word);
    }
    let _ = writeln!(text, "{line}");
}
