//! The table of flags in `README.md`.

use std::fmt::Write as _;

use kuma_prometheus_sd::cli::flags::{FLAGS, Flag};

/// The whole table, in Markdown.
pub(super) fn readme_table() -> String {
    let mut text = String::from("| flag | default | environment | |\n|---|---|---|---|\n");
    for flag in FLAGS {
        let default = match flag.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let variables: Vec<_> =
            flag.environment.iter().map(|variable| format!("`{variable}`")).collect();
        let _ = writeln!(
            text,
            "| `{}` | {default} | {} | {} |",
            head(flag),
            variables.join(", "),
            purpose(flag)
        );
    }
    text
}

fn head(flag: &Flag) -> String {
    let head = match flag.bare {
        Some(_) => format!("--{}", flag.name),
        None => format!("--{}={}", flag.name, flag.value),
    };
    head.replace('|', "\\|")
}

/// The words of the help, and the sentences that the help has no room for.
fn purpose(flag: &Flag) -> String {
    match flag.details {
        "" => flag.help.to_owned(),
        details => format!("{}. {details}", flag.help),
    }
}
