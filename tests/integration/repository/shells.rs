//! The completions, in the shells that they are for. A shell that this machine does not have is not
//! tried, and says so.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use crate::support::not_tried::not_tried;
use kuma_prometheus_sd::cli::flags::{COMPLETIONS, FLAGS, SUBCOMMANDS, SWITCHES};

/// Fills in what bash would, and prints what is offered, one a line.
const ASK_BASH: &str = r#"
    . "$1"
    shift
    COMP_WORDS=("$@")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _kuma_prometheus_sd
    printf '%s\n' "${COMPREPLY[@]}"
"#;

/// zsh completes for a person only, so it is given a terminal; what it would offer goes to a file.
const ASK_ZSH: &str = r#"
    zmodload zsh/zpty
    TERM=dumb
    zpty shell zsh -f -i
    zpty -w shell "PS1=; autoload -Uz compinit && compinit -D -u; source $1"
    zpty -w shell "compadd() {
        case \" \$* \" in
        *' -O '* | *' -A '* | *' -D '*) ;;
        *) local -a words; builtin compadd -O words \"\$@\"; print -rl -- \$words >>$2 ;;
        esac
        builtin compadd \"\$@\"
    }"
    zpty -w shell "ask() { zle complete-word; print done >>$2.done; zle kill-whole-line }"
    zpty -w shell "zle -N ask; bindkey '^I' ask"
    zpty -n -w shell "$3"$'\t'
    repeat 3000; do [[ -e $2.done ]] && break; zpty -r -t shell ignored; sleep 0.01; done
    zpty -d shell
"#;

/// What a shell offers for the last of some words; `None` where it is not here.
fn offered(shell: &str, completions: &str, words: &[&str]) -> Option<BTreeSet<String>> {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("completion");
    let offers = folder.path().join("offers");
    fs::write(&script, completions).unwrap();
    let line = words.join(" ");
    let mut command = match shell {
        "bash" => {
            let mut command = Command::new("bash");
            command.args(["-c", ASK_BASH, "bash"]).arg(&script);
            command.args(words.iter().flat_map(|word| bash_words(word)));
            command
        }
        "zsh" => {
            let mut command = Command::new("zsh");
            command.args(["-f", "-c", ASK_ZSH, "zsh"]);
            command.arg(&script).arg(&offers).arg(&line);
            command
        }
        _ => {
            let mut command = Command::new("fish");
            let ask = "source $argv[1]; complete -C $argv[2]";
            command.args(["--no-config", "-c", ask]).arg(&script).arg(&line);
            command
        }
    };
    // What a shell remembers is none of its user's here.
    command.env("HOME", folder.path()).current_dir(folder.path());
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => {
            not_tried(format_args!("{shell}: {error}"));
            return None;
        }
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.is_empty(), "{shell}, {line}: {stderr}");
    let text = match shell {
        "zsh" => fs::read_to_string(&offers).unwrap_or_default(),
        _ => String::from_utf8(output.stdout).unwrap(),
    };
    // fish adds a description, and a value of its own to its flag.
    let words = text.lines().filter_map(|line| line.split('\t').next());
    let words = words.map(|word| match (shell, word.split_once('=')) {
        ("fish", Some((_, value))) => value,
        _ => word,
    });
    Some(words.filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

/// To bash an `=` is a word of its own.
fn bash_words(word: &str) -> Vec<&str> {
    match word.split_once('=') {
        Some((flag, "")) => vec![flag, "="],
        Some((flag, value)) => vec![flag, "=", value],
        None => vec![word],
    }
}

#[track_caller]
fn offers(words: &[&str], expected: &BTreeSet<String>) {
    for (shell, completions) in COMPLETIONS {
        let Some(offered) = offered(shell, completions, words) else {
            continue;
        };
        // A flag that wants a value may be offered with the sign that leads to it.
        let plain: BTreeSet<_> =
            offered.iter().map(|word| word.trim_end_matches('=').to_owned()).collect();
        assert_eq!(&plain, expected, "{shell}, {words:?}");
    }
}

fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_first_word_is_a_subcommand() {
    let names = SUBCOMMANDS.iter().map(|subcommand| subcommand.name);
    offers(&["kuma-prometheus-sd", ""], &set(names));
}

#[test]
fn a_dash_brings_every_flag() {
    let names = FLAGS.iter().map(|flag| flag.name);
    let names = names.chain(SWITCHES.iter().map(|(name, _)| *name));
    let expected = names.map(|name| format!("--{name}")).collect();
    offers(&["kuma-prometheus-sd", "run", "--"], &expected);
}

#[test]
fn a_flag_brings_its_words() {
    let words = set(["auto", "grpc", "http"]);
    offers(&["kuma-prometheus-sd", "run", "--transport="], &words);
    let words = set(["debug"]);
    offers(&["kuma-prometheus-sd", "run", "--log-level=d"], &words);
}

#[test]
fn completion_brings_the_shells() {
    let words = set(["bash", "zsh", "fish"]);
    offers(&["kuma-prometheus-sd", "completion", ""], &words);
}
