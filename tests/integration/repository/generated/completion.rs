//! The completions for shells, as they are installed, and as `completion bash|zsh|fish` prints them.

use std::fmt::Write as _;

use kuma_prometheus_sd::cli::flags::{FLAGS, Flag, SUBCOMMANDS, SWITCHES};

/// For GNU bash, with or without its package of completions.
pub(super) fn bash() -> String {
    let names: Vec<_> = SUBCOMMANDS.iter().map(|subcommand| subcommand.name).collect();
    let flags = FLAGS.iter().map(|flag| match flag.bare {
        Some(_) => format!("--{}", flag.name),
        None => format!("--{}=", flag.name),
    });
    let switches = SWITCHES.iter().map(|(name, _)| format!("--{name}"));
    let flags: Vec<_> = flags.chain(switches).collect();
    let mut values = String::new();
    for subcommand in SUBCOMMANDS.iter().filter(|subcommand| !subcommand.arguments.is_empty()) {
        let words = subcommand.arguments.join(" ");
        let _ = writeln!(
            values,
            "        {}) _kuma_prometheus_sd_offer '{words}'; return ;;",
            subcommand.name
        );
    }
    for flag in FLAGS.iter().filter(|flag| flag.bare.is_none()) {
        let words: Vec<_> = choices(flag).collect();
        let offer = match (words.is_empty(), takes_path(flag)) {
            (false, _) => format!("_kuma_prometheus_sd_offer '{}'; ", words.join(" ")),
            (true, true) => "_kuma_prometheus_sd_offer_files; ".to_owned(),
            (true, false) => String::new(),
        };
        let _ = writeln!(values, "        --{}) {offer}return ;;", flag.name);
    }
    include_str!("completion.bash")
        .replace("@values@\n", &values)
        .replace("@flags@", &flags.join(" "))
        .replace("@subcommands@", &names.join(" "))
}

/// For zsh, from a folder in its `fpath` or sourced.
pub(super) fn zsh() -> String {
    let mut arguments = String::new();
    for flag in FLAGS {
        let value = match (flag.value, takes_path(flag)) {
            (_, true) => "_files".to_owned(),
            (value, _) if value.contains('|') => format!("({})", value.replace('|', " ")),
            _ => String::new(),
        };
        let _ = match flag.bare {
            Some(_) => writeln!(arguments, "        '--{}[{}]' \\", flag.name, zsh_text(flag.help)),
            None => writeln!(
                arguments,
                "        '--{}=[{}]:value:{value}' \\",
                flag.name,
                zsh_text(flag.help)
            ),
        };
    }
    for (name, purpose) in SWITCHES {
        let _ = writeln!(arguments, "        '--{name}[{}]' \\", zsh_text(purpose));
    }
    let mut names = String::new();
    let mut words = String::new();
    for subcommand in SUBCOMMANDS {
        let _ = writeln!(names, "                '{}:{}'", subcommand.name, subcommand.help);
        if !subcommand.arguments.is_empty() {
            let of_this = subcommand.arguments.join(" ");
            let _ = writeln!(words, "                {}) compadd {of_this} ;;", subcommand.name);
        }
    }
    include_str!("completion.zsh")
        .replace("@arguments@\n", &arguments)
        .replace("@subcommands@\n", &names)
        .replace("@words@\n", &words)
}

/// A bracket would end the text, and a quote the word that it stands in.
fn zsh_text(text: &str) -> String {
    text.replace(']', "\\]").replace('\'', "'\\''")
}

/// For fish.
pub(super) fn fish() -> String {
    const COMMAND: &str = "complete -c kuma-prometheus-sd";
    let mut text = format!(
        "# Completions of kuma-prometheus-sd for fish.\n\
         \n\
         {COMMAND} -f\n"
    );
    for subcommand in SUBCOMMANDS {
        let _ = writeln!(
            text,
            "{COMMAND} -n __fish_use_subcommand -a {} -d {}",
            subcommand.name,
            fish_text(subcommand.help)
        );
        if !subcommand.arguments.is_empty() {
            let _ = writeln!(
                text,
                "{COMMAND} -n '__fish_seen_subcommand_from {}' -a '{}'",
                subcommand.name,
                subcommand.arguments.join(" ")
            );
        }
    }
    for flag in FLAGS {
        let words: Vec<_> = choices(flag).collect();
        let value = match (flag.bare, takes_path(flag), words.is_empty()) {
            (Some(_), ..) => String::new(),
            (None, true, _) => " -r -F".to_owned(),
            (None, false, true) => " -x".to_owned(),
            (None, false, false) => format!(" -x -a '{}'", words.join(" ")),
        };
        let help = fish_text(flag.help);
        let _ = writeln!(text, "{COMMAND} -l {}{value} -d {help}", flag.name);
    }
    for (name, purpose) in SWITCHES {
        let _ = writeln!(text, "{COMMAND} -l {name} -d {}", fish_text(purpose));
    }
    text
}

fn fish_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The words that the value is one of; none where it may be anything.
fn choices(flag: &Flag) -> impl Iterator<Item = &'static str> {
    let is_choice = flag.value.contains('|');
    flag.value.split('|').filter(move |_| is_choice)
}

/// Whether the value is the path of a file.
fn takes_path(flag: &Flag) -> bool {
    flag.value == "PATH"
}
