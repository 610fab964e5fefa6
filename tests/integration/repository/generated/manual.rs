//! The man page, `kuma-prometheus-sd(1)`: prose from `manual.mdoc`, the flags from the table.

use std::fmt::Write as _;

use kuma_prometheus_sd::cli::flags::{FLAGS, Flag, GROUPS, SUBCOMMANDS, SWITCHES};

/// The whole page, in the language of `mdoc(7)`.
pub(super) fn manual() -> String {
    let mut subcommands = String::new();
    for subcommand in SUBCOMMANDS {
        let _ =
            writeln!(subcommands, ".It Cm {}{}", subcommand.name, arguments(subcommand.arguments));
        let _ = writeln!(subcommands, "{}.", sentence(subcommand.help));
    }
    let mut flags = String::new();
    for group in GROUPS {
        let _ = writeln!(flags, ".Ss {group}\n.Bl -tag -width Ds");
        for flag in FLAGS.iter().filter(|flag| flag.group == group) {
            describe(flag, &mut flags);
        }
        flags.push_str(".El\n");
    }
    flags.push_str(".Ss Words about the program\n.Bl -tag -width Ds\n");
    for (name, purpose) in SWITCHES {
        let _ = writeln!(flags, ".It Fl \\-{name}\n{}.", sentence(purpose));
    }
    flags.push_str(".El\n");
    include_str!("manual.mdoc")
        .replace("@subcommands@\n", &subcommands)
        .replace("@flags@\n", &flags)
}

fn arguments(words: &[&str]) -> String {
    if words.is_empty() {
        return String::new();
    }
    format!(" {}", words.join(" | "))
}

fn describe(flag: &Flag, text: &mut String) {
    let name = flag.name.replace('-', "\\-");
    let value = flag.value.replace('|', " | ");
    let kind = if flag.value.contains('|') { "" } else { "Ar " };
    let _ = match flag.bare {
        Some(_) => writeln!(text, ".It Fl \\-{name} Ns Op = Ns {kind}{value}"),
        None => writeln!(text, ".It Fl \\-{name} Ns = Ns {kind}{value}"),
    };
    let _ = writeln!(text, "{}.", sentence(flag.help));
    for sentence in flag.details.split_inclusive(". ") {
        wrap(&plain(sentence), text);
    }
    if !flag.default.is_empty() {
        let _ = writeln!(text, "The default is\n.Ql {} .", plain(flag.default));
    }
    let Some(last) = flag.environment.len().checked_sub(1) else {
        return;
    };
    let _ = writeln!(text, ".Pp\nEnvironment:");
    for (index, variable) in flag.environment.iter().enumerate() {
        let mark = if index == last { "." } else { "," };
        let _ = writeln!(text, ".Ev {variable} {mark}");
    }
}

/// Lines of the source should be as short as those of any text, and one sentence begins on each.
fn wrap(sentence: &str, text: &mut String) {
    const WIDTH: usize = 78;
    let mut line = String::new();
    for word in sentence.split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(text, "{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(text, "{line}");
    }
}

/// Words of the table, as a sentence begins.
fn sentence(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(plain(characters.as_str()).chars()).collect()
}

/// A backslash and a dash mean something to the formatter, and quotes are not needed.
fn plain(text: &str) -> String {
    text.replace('`', "").replace('\\', "\\e").replace('-', "\\-")
}
