//! The command line: what was typed, by the table of flags.
//!
//! It knows which flags and subcommands there are. What a value means is for `config`.

use std::ffi::OsString;
use std::fmt;
use std::fmt::Write as _;

use lexopt::{Arg, Parser, ValueExt};

use crate::cli::flags::{COMPLETIONS, FLAGS, Flag, ONCE, SUBCOMMANDS, SWITCHES};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Run the daemon with what was typed.
    Run(Values),
    /// Try everything once with what was typed.
    Check(Values),
    /// Print the version.
    Version {
        /// With how this binary was built.
        detailed: bool,
    },
    /// Print the completions for a shell: these.
    Completion(&'static str),
    /// Print the help.
    Help,
}

/// The values that were typed. Where a flag is repeated, the last one counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Values(Vec<(&'static str, OsString)>);

impl Values {
    /// The value of a flag, if it was typed.
    #[must_use]
    pub fn get(&self, flag: &Flag) -> Option<&OsString> {
        self.0.iter().rev().find(|(name, _)| *name == flag.name).map(|(_, value)| value)
    }
}

/// Why the command line cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub enum CommandLineError {
    /// There is no such flag.
    UnknownFlag {
        /// As it was typed.
        flag: String,
        /// The one that was perhaps meant.
        nearest: Option<String>,
    },
    /// There is no such subcommand.
    UnknownSubcommand {
        /// As it was typed.
        name: String,
        /// The one that was perhaps meant.
        nearest: Option<String>,
    },
    /// Something after the subcommand that is no flag.
    SuperfluousArgument(String),
    /// `completion` without a shell, or with one that there are no completions for.
    UnknownShell(Option<String>),
    /// Nothing says what is to be done.
    MissingSubcommand,
    /// `--detailed` with another subcommand than `version`.
    DetailedWithoutVersion,
    /// `--once` with another subcommand than `run`.
    OnceWithoutRun,
    /// A flag without its value, or a value for a flag that takes none.
    Malformed(String),
}

impl fmt::Display for CommandLineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let did_you_mean = |nearest: &Option<String>| match nearest {
            Some(nearest) => format!("; did you mean {nearest}?"),
            None => "; see --help".to_owned(),
        };
        match self {
            Self::UnknownFlag { flag, nearest } => {
                write!(formatter, "unknown flag {flag}{}", did_you_mean(nearest))
            }
            Self::UnknownSubcommand { name, nearest } => {
                write!(formatter, "unknown subcommand {name:?}{}", did_you_mean(nearest))
            }
            Self::SuperfluousArgument(argument) => {
                write!(formatter, "superfluous argument {argument:?}; see --help")
            }
            Self::UnknownShell(None) => {
                formatter.write_str("completion needs the name of a shell: bash, zsh or fish")
            }
            Self::UnknownShell(Some(name)) => {
                write!(
                    formatter,
                    "no completions for {name:?}; there are some for bash, zsh and fish"
                )
            }
            Self::MissingSubcommand => {
                formatter.write_str("no subcommand; \"run\" starts the daemon, see --help")
            }
            Self::DetailedWithoutVersion => {
                formatter.write_str("--detailed goes with the subcommand version only")
            }
            Self::OnceWithoutRun => formatter.write_str("--once goes with the subcommand run only"),
            Self::Malformed(reason) => write!(formatter, "{reason}; see --help"),
        }
    }
}

impl std::error::Error for CommandLineError {}

impl From<lexopt::Error> for CommandLineError {
    fn from(error: lexopt::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Reads the arguments after the program's name. Flags may stand before or after the subcommand;
/// whoever asks for help or the version gets it, also beside what cannot be understood.
///
/// # Errors
/// The first thing that cannot be understood.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Invocation, CommandLineError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    match parse_strictly(&arguments) {
        Err(_) if has("--help") || has("-h") => Ok(Invocation::Help),
        Err(_) if has("--version") => Ok(Invocation::Version { detailed: has("--detailed") }),
        result => result,
    }
}

fn parse_strictly(arguments: &[OsString]) -> Result<Invocation, CommandLineError> {
    let mut parser = Parser::from_args(arguments);
    let mut subcommand: Option<&'static str> = None;
    let mut shell = None;
    let mut values = Values::default();
    let mut is_version = false;
    let mut detailed = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Help),
            Arg::Long("version") => is_version = true,
            Arg::Long("detailed") => detailed = true,
            Arg::Long(name) => match FLAGS.iter().find(|flag| flag.name == name) {
                Some(flag) => {
                    let value = match flag.bare {
                        Some(bare) => parser.optional_value().unwrap_or_else(|| bare.into()),
                        None => parser.value()?,
                    };
                    values.0.push((flag.name, value));
                }
                None => return Err(unknown_flag(name)),
            },
            Arg::Short(letter) => {
                return Err(CommandLineError::UnknownFlag {
                    flag: format!("-{letter}"),
                    nearest: None,
                });
            }
            Arg::Value(word) if subcommand.is_none() => {
                subcommand = Some(find_subcommand(&word.string()?)?);
            }
            Arg::Value(word) if subcommand == Some("completion") && shell.is_none() => {
                shell = Some(word.to_string_lossy().into_owned());
            }
            // `help run` asks for the help of `run`, which is the one help there is.
            Arg::Value(_) if subcommand == Some("help") => {}
            Arg::Value(word) => {
                let word = word.to_string_lossy().into_owned();
                return Err(CommandLineError::SuperfluousArgument(word));
            }
        }
    }
    match subcommand {
        _ if is_version => Ok(Invocation::Version { detailed }),
        Some("help") => Ok(Invocation::Help),
        Some("version") => Ok(Invocation::Version { detailed }),
        _ if detailed => Err(CommandLineError::DetailedWithoutVersion),
        Some("completion") => {
            let mut known = COMPLETIONS.into_iter();
            match known.find(|(name, _)| shell.as_deref() == Some(name)) {
                Some((_, completions)) => Ok(Invocation::Completion(completions)),
                None => Err(CommandLineError::UnknownShell(shell)),
            }
        }
        Some("check") if values.get(&ONCE).is_some() => Err(CommandLineError::OnceWithoutRun),
        Some("check") => Ok(Invocation::Check(values)),
        Some(_) => Ok(Invocation::Run(values)),
        None => Err(CommandLineError::MissingSubcommand),
    }
}

fn find_subcommand(word: &str) -> Result<&'static str, CommandLineError> {
    let names = SUBCOMMANDS.iter().map(|subcommand| subcommand.name);
    names.clone().find(|name| *name == word).ok_or_else(|| CommandLineError::UnknownSubcommand {
        name: word.to_owned(),
        nearest: nearest(word, names).map(|name| format!("{name:?}")),
    })
}

fn unknown_flag(name: &str) -> CommandLineError {
    let names = FLAGS.iter().map(|flag| flag.name).chain(SWITCHES.iter().map(|(name, _)| *name));
    CommandLineError::UnknownFlag {
        flag: format!("--{name}"),
        nearest: nearest(name, names).map(|name| format!("--{name}")),
    }
}

/// The candidate that `word` is a plausible slip of.
pub(crate) fn nearest(
    word: &str,
    candidates: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(2))
        .min()
        .map(|(_, candidate)| candidate)
}

/// The version, as `version` prints it.
#[must_use]
pub fn version(detailed: bool) -> String {
    let mut text = format!("kuma-prometheus-sd {}\n", crate::VERSION);
    if detailed {
        let transports = if cfg!(feature = "grpc") { "gRPC, HTTP" } else { "HTTP" };
        let _ = writeln!(text, "target:       {}", env!("KUMA_PROMETHEUS_SD_TARGET"));
        let _ = writeln!(text, "compiler:     {}", env!("KUMA_PROMETHEUS_SD_COMPILER"));
        let _ = writeln!(text, "profile:      {}", env!("KUMA_PROMETHEUS_SD_PROFILE"));
        let _ = writeln!(text, "transports:   {transports}");
        let _ = writeln!(text, "API versions: v1, v1alpha1");
    }
    text
}
