//! The table of flags and what follows from it: the parser, the help, the nearest flag to a
//! mistyped one, and the words for what cannot be understood.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use kuma_prometheus_sd::cli::arguments::{CommandLineError, Invocation, Values, parse};
use kuma_prometheus_sd::cli::config::Config;
use kuma_prometheus_sd::cli::flags::help::help;
use kuma_prometheus_sd::cli::flags::{self, FLAGS, Flag};

/// The flags without a value.
const SWITCHES: [&str; 3] = ["help", "version", "detailed"];

/// Flags that no service has, so they have no variable.
const OF_ONE_RUN: [&str; 2] = ["once", "timeout"];

const SUBCOMMANDS: [&str; 5] = ["run", "check", "completion", "version", "help"];

fn parse_words(words: &[&str]) -> Result<Invocation, CommandLineError> {
    parse(words.iter().map(OsString::from))
}

/// The text of an error.
#[track_caller]
fn complaint(words: &[&str]) -> String {
    parse_words(words).unwrap_err().to_string()
}

/// What was typed for `run`.
#[track_caller]
fn run(words: &[&str]) -> Values {
    match parse_words(words) {
        Ok(Invocation::Run(values)) => values,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn value<'a>(values: &'a Values, flag: &Flag) -> Option<&'a str> {
    values.get(flag).map(|value| value.to_str().unwrap())
}

#[test]
fn names_and_variables_are_unique_and_of_one_form() {
    let mut names: HashSet<&str> = SWITCHES.into();
    let mut variables = HashSet::new();
    for flag in FLAGS {
        assert!(names.insert(flag.name), "--{}", flag.name);
        let is_kebab_case = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        assert!(flag.name.bytes().all(is_kebab_case), "--{}", flag.name);
        assert_eq!(flag.environment.is_empty(), OF_ONE_RUN.contains(&flag.name), "--{}", flag.name);
        for variable in flag.environment {
            assert!(variables.insert(variable), "${variable}");
            assert!(variable.starts_with("KUMA_"), "${variable}");
        }
    }
}

/// What the original had keeps its name, its variable and its default.
#[test]
fn the_flags_of_the_original_are_as_they_were() {
    for (name, default, environment) in [
        (
            "cp-address",
            "http://localhost:5681",
            &["KUMA_MONITORING_ASSIGNMENT_CLIENT_URL", "KUMA_CONTROL_PLANE_API_SERVER_URL"][..],
        ),
        ("name", "kuma_sd", &["KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME"]),
        ("output-file", "kuma.file_sd.json", &["KUMA_PROMETHEUS_OUTPUT_FILE"]),
        ("api-version", "auto", &["KUMA_MONITORING_ASSIGNMENT_CLIENT_API_VERSION"]),
        // Where the original had no variable, it is the name that new settings have.
        ("log-level", "info", &["KUMA_PROMETHEUS_SD_LOG_LEVEL"]),
    ] {
        let flag = FLAGS.into_iter().find(|flag| flag.name == name).unwrap();
        assert_eq!(flag.default, default, "--{name}");
        assert_eq!(flag.environment, environment, "--{name}");
    }
}

#[test]
fn a_new_setting_has_the_variable_that_its_name_gives() {
    let originals = ["cp-address", "name", "output-file", "api-version"];
    let is_new_setting =
        |flag: &&Flag| !originals.contains(&flag.name) && !OF_ONE_RUN.contains(&flag.name);
    for flag in FLAGS.into_iter().filter(is_new_setting) {
        let expected = flag.name.to_uppercase().replace('-', "_");
        assert_eq!(flag.environment, [format!("KUMA_PROMETHEUS_SD_{expected}")]);
    }
}

#[test]
fn every_flag_has_help_and_a_name_for_its_value() {
    for flag in FLAGS {
        assert!(!flag.help.is_empty() && flag.help.trim() == flag.help, "--{}", flag.name);
        assert!(!flag.value.is_empty() && !flag.group.is_empty(), "--{}", flag.name);
    }
}

#[test]
fn every_default_can_be_typed() {
    for flag in FLAGS {
        let argument = format!("--{}={}", flag.name, flag.default);
        // That one has no meaning without the other.
        let words: &[&str] = match flag.name {
            "timeout" => &["run", "--once"],
            _ => &["run"],
        };
        let config = Config::new(&run(&[words, &[&argument]].concat()), |_| None);
        assert_eq!(config, Config::new(&run(words), |_| None), "{argument}");
        assert!(config.is_ok(), "{argument}");
    }
}

#[test]
fn a_value_that_is_one_of_several_words_can_be_each_of_them() {
    for flag in FLAGS.into_iter().filter(|flag| flag.value.contains('|')) {
        let words: Vec<_> = flag.value.split('|').collect();
        assert!(words.contains(&flag.default), "--{}", flag.name);
        assert!(flag.bare.is_none_or(|bare| words.contains(&bare)), "--{}", flag.name);
        for word in words {
            let argument = format!("--{}={word}", flag.name);
            let config = Config::new(&run(&["run", &argument]), |_| None);
            assert!(config.is_ok(), "{argument}: {config:?}");
        }
    }
}

#[test]
fn the_help_names_everything() {
    let help = help();
    // A line may end within what is looked for.
    let one_line = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for flag in FLAGS {
        let mut expected = vec![format!("--{}={}", flag.name, flag.value), flag.help.to_owned()];
        if !flag.default.is_empty() {
            expected.push(format!("default {}", flag.default));
        }
        for variable in flag.environment {
            expected.push(format!("${variable}"));
        }
        for expected in expected {
            assert!(one_line.contains(&expected), "{expected} in:\n{help}");
        }
        assert!(help.contains(&format!("\n{}:\n", flag.group)), "{help}");
    }
    for switch in SWITCHES {
        assert!(help.contains(&format!("\n  --{switch} ")), "--{switch}");
    }
    for subcommand in SUBCOMMANDS {
        assert!(help.contains(&format!("\n  {subcommand} ")), "{subcommand}");
    }
}

#[test]
fn the_help_fits_a_screen() {
    let help = help();
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert_eq!(line.trim_end(), line, "{line:?}");
        assert!(!line.contains('\t'), "{line:?}");
    }
    assert!(help.lines().count() <= 64, "{}", help.lines().count());
    assert!(help.ends_with('\n') && !help.ends_with("\n\n"));
}

#[test]
fn subcommands_and_switches_are_understood_anywhere() {
    let is_run = |invocation: &Invocation| matches!(invocation, Invocation::Run(_));
    assert!(is_run(&parse_words(&["run"]).unwrap()));
    let check = parse_words(&["check", "--name=a"]).unwrap();
    assert!(
        matches!(check, Invocation::Check(values) if value(&values, &flags::NAME) == Some("a"))
    );
    for words in [
        &["help"][..],
        &["help", "run"],
        &["--help"],
        &["-h"],
        &["run", "--help"],
        &["--name", "a", "-h"],
        &["run", "--name=a", "-h"],
        &["version", "--help"],
        // Also beside what cannot be understood.
        &["run", "extra", "--help"],
        &["run", "--bogus", "-h"],
    ] {
        assert_eq!(parse_words(words), Ok(Invocation::Help), "{words:?}");
    }
    for (words, detailed) in [
        (&["version"][..], false),
        (&["--version"], false),
        (&["run", "--version"], false),
        (&["--name=a", "--version"], false),
        (&["version", "--detailed"], true),
        (&["--detailed", "version"], true),
        (&["--detailed", "--version"], true),
        (&["--bogus", "--version"], false),
        (&["--bogus", "--version", "--detailed"], true),
    ] {
        assert_eq!(parse_words(words), Ok(Invocation::Version { detailed }), "{words:?}");
    }
}

#[test]
fn a_flag_may_stand_before_or_after_the_subcommand() {
    for words in [
        &["run", "--name=a b"][..],
        &["run", "--name", "a b"],
        &["--name=a b", "run"],
        &["--name", "a b", "run"],
    ] {
        assert_eq!(value(&run(words), &flags::NAME), Some("a b"), "{words:?}");
    }
    let values = run(&["--log-level", "debug", "run", "--output-file", "f"]);
    assert_eq!(value(&values, &flags::LOG_LEVEL), Some("debug"));
    assert_eq!(value(&values, &flags::OUTPUT_FILE), Some("f"));
    assert_eq!(value(&values, &flags::NAME), None);
}

#[test]
fn the_last_of_a_repeated_flag_counts() {
    let values = run(&["run", "--name=a", "--name", "b", "--name=c"]);
    assert_eq!(value(&values, &flags::NAME), Some("c"));
}

#[test]
fn a_value_may_look_like_anything() {
    for text in ["", "=", "a=b", "run", "-"] {
        let values = run(&["run", &format!("--name={text}")]);
        assert_eq!(value(&values, &flags::NAME), Some(text));
    }
    let values = run(&["run", "--name=--help"]);
    assert_eq!(value(&values, &flags::NAME), Some("--help"));
}

#[test]
fn a_value_need_not_be_unicode() {
    let argument = OsString::from_vec(b"--output-file=\xff".to_vec());
    let invocation = parse(["run".into(), argument]);
    let Ok(Invocation::Run(values)) = invocation else {
        panic!("{invocation:?}");
    };
    let expected = OsString::from_vec(vec![0xff]);
    assert_eq!(values.get(&flags::OUTPUT_FILE), Some(&expected));
}

#[test]
fn a_switch_among_the_flags_may_stand_without_a_value() {
    for (words, expected) in [
        (&["run"][..], None),
        (&["run", "--tls-skip-verify"], Some("true")),
        (&["--tls-skip-verify", "run"], Some("true")),
        (&["run", "--tls-skip-verify=false"], Some("false")),
    ] {
        assert_eq!(value(&run(words), &flags::TLS_SKIP_VERIFY), expected, "{words:?}");
    }
}

#[test]
fn a_mistyped_flag_names_the_nearest_one() {
    for (typed, nearest) in [
        ("--cp-adress=a", "--cp-address"),
        ("--cpaddress", "--cp-address"),
        ("--address", "--cp-address"),
        ("--out-file", "--output-file"),
        ("--output_file", "--output-file"),
        ("--nmae", "--name"),
        ("--loglevel=info", "--log-level"),
        ("--Name", "--name"),
        ("--hlep", "--help"),
        ("--versoin", "--version"),
        ("--detail", "--detailed"),
        ("--tls-skip", "--tls-skip-verify"),
    ] {
        let flag = typed.split('=').next().unwrap();
        let expected = format!("unknown flag {flag}; did you mean {nearest}?");
        assert_eq!(complaint(&["run", typed]), expected);
        assert_eq!(complaint(&[typed, "run"]), expected);
    }
}

#[test]
fn a_flag_that_is_like_none_leads_to_the_help() {
    for typed in ["--xyz", "--interval", "-n", "-c", "--0"] {
        let expected = format!("unknown flag {typed}; see --help");
        assert_eq!(complaint(&["run", typed]), expected);
    }
}

#[test]
fn a_mistyped_subcommand_names_the_nearest_one() {
    for (typed, expected) in [
        ("rnu", "; did you mean \"run\"?"),
        ("runn", "; did you mean \"run\"?"),
        ("Run", "; did you mean \"run\"?"),
        ("chekc", "; did you mean \"check\"?"),
        ("verison", "; did you mean \"version\"?"),
        ("hepl", "; did you mean \"help\"?"),
        ("start", "; see --help"),
        ("", "; see --help"),
        ("kuma.json", "; see --help"),
    ] {
        assert_eq!(complaint(&[typed]), format!("unknown subcommand {typed:?}{expected}"));
    }
}

#[test]
fn what_cannot_be_understood_is_told_in_one_line() {
    for (words, expected) in [
        (&[][..], "no subcommand; \"run\" starts the daemon, see --help"),
        (&["--name=a"], "no subcommand; \"run\" starts the daemon, see --help"),
        (&["run", "kuma.json"], "superfluous argument \"kuma.json\"; see --help"),
        (&["run", "run"], "superfluous argument \"run\"; see --help"),
        (&["run", "a\nb"], "superfluous argument \"a\\nb\"; see --help"),
        (&["version", "1"], "superfluous argument \"1\"; see --help"),
        (&["run", "--", "a"], "superfluous argument \"a\"; see --help"),
        (&["run", "--detailed"], "--detailed goes with the subcommand version only"),
        (&["--detailed"], "--detailed goes with the subcommand version only"),
        (&["run", "--name"], "missing argument for option '--name'; see --help"),
        (
            &["version", "--detailed=a"],
            "unexpected argument for option '--detailed': \"a\"; see --help",
        ),
    ] {
        assert_eq!(complaint(words), expected, "{words:?}");
    }
}

#[test]
fn completions_are_for_a_shell_that_is_known() {
    for (name, mark) in [
        ("bash", "complete -F _kuma_prometheus_sd "),
        ("zsh", "#compdef kuma-prometheus-sd\n"),
        ("fish", "complete -c kuma-prometheus-sd "),
    ] {
        let invocation = parse_words(&["completion", name]);
        let Ok(Invocation::Completion(completions)) = invocation else {
            panic!("{name}: {invocation:?}");
        };
        assert!(completions.contains(mark), "{name}: {completions}");
    }
    assert_eq!(
        complaint(&["completion"]),
        "completion needs the name of a shell: bash, zsh or fish"
    );
    assert_eq!(
        complaint(&["completion", "csh"]),
        "no completions for \"csh\"; there are some for bash, zsh and fish"
    );
    assert_eq!(
        complaint(&["completion", "bash", "zsh"]),
        "superfluous argument \"zsh\"; see --help"
    );
}

#[test]
fn a_subcommand_that_is_not_unicode_is_refused() {
    let error = parse([OsString::from_vec(b"r\xffn".to_vec())]).unwrap_err();
    assert!(matches!(error, CommandLineError::Malformed(_)), "{error:?}");
}
