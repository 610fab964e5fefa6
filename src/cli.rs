//! The command line: one table of flags, from which the parser and the help come.
//!
//! It knows which flags there are and what was typed. What a value means is for `config`.

use std::ffi::OsString;
use std::fmt;
use std::fmt::Write as _;

use lexopt::{Arg, Parser, ValueExt};

/// A flag that takes a value.
#[derive(Debug, PartialEq, Eq)]
pub struct Flag {
    /// The name after `--`.
    pub name: &'static str,
    /// What stands for the value in the help.
    pub value: &'static str,
    /// What the flag means when it is typed without a value; `None` where it needs one.
    pub bare: Option<&'static str>,
    /// The value where neither flag nor environment gives one; empty for none.
    pub default: &'static str,
    /// Environment variables that give it, the first that is set and not empty.
    pub environment: &'static [&'static str],
    /// The heading it stands under in the help.
    pub group: &'static str,
    /// What it is for.
    pub help: &'static str,
}

const CONTROL_PLANE: &str = "Control plane";
const TLS: &str = "TLS";
const FILE: &str = "File";
const GENERAL: &str = "General";

/// Where the control plane is.
pub const CP_ADDRESS: Flag = Flag {
    name: "cp-address",
    value: "URL",
    bare: None,
    default: "http://localhost:5681",
    environment: &[
        "KUMA_MONITORING_ASSIGNMENT_CLIENT_URL",
        "KUMA_CONTROL_PLANE_API_SERVER_URL",
    ],
    group: CONTROL_PLANE,
    help: "the API server (http://HOST:5681, https://...) or MADS itself \
           (grpc://HOST:5676, grpcs://...)",
};

/// The name of this client.
pub const NAME: Flag = Flag {
    name: "name",
    value: "NAME",
    bare: None,
    default: "kuma_sd",
    environment: &["KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME"],
    group: CONTROL_PLANE,
    help: "the client name that the control plane sees; a MeshMetric backend \
           may have it as its clientId",
};

/// The generation to speak.
pub const API_VERSION: Flag = Flag {
    name: "api-version",
    value: "auto|v1|v1alpha1",
    bare: None,
    default: "auto",
    environment: &["KUMA_MONITORING_ASSIGNMENT_CLIENT_API_VERSION"],
    group: CONTROL_PLANE,
    help: "the generation of MADS to speak",
};

/// The transport to use.
pub const TRANSPORT: Flag = Flag {
    name: "transport",
    value: "auto|grpc|http",
    bare: None,
    default: "auto",
    environment: &["KUMA_PROMETHEUS_SD_TRANSPORT"],
    group: CONTROL_PLANE,
    help: "the transport to use",
};

/// The token for the API server.
pub const CP_TOKEN_FILE: Flag = Flag {
    name: "cp-token-file",
    value: "PATH",
    bare: None,
    default: "",
    environment: &["KUMA_PROMETHEUS_SD_CP_TOKEN_FILE"],
    group: CONTROL_PLANE,
    help: "a bearer token for /config of the API server",
};

/// Whom to trust.
pub const CA_CERT_FILE: Flag = Flag {
    name: "ca-cert-file",
    value: "PATH",
    bare: None,
    default: "",
    environment: &["KUMA_PROMETHEUS_SD_CA_CERT_FILE"],
    group: TLS,
    help: "issuers to trust instead of the system's, in PEM",
};

/// What to show to a server.
pub const CLIENT_CERT_FILE: Flag = Flag {
    name: "client-cert-file",
    value: "PATH",
    bare: None,
    default: "",
    environment: &["KUMA_PROMETHEUS_SD_CLIENT_CERT_FILE"],
    group: TLS,
    help: "a certificate to show to the server, in PEM",
};

/// The key of what is shown.
pub const CLIENT_KEY_FILE: Flag = Flag {
    name: "client-key-file",
    value: "PATH",
    bare: None,
    default: "",
    environment: &["KUMA_PROMETHEUS_SD_CLIENT_KEY_FILE"],
    group: TLS,
    help: "its private key, in PEM",
};

/// Trust anyone.
pub const TLS_SKIP_VERIFY: Flag = Flag {
    name: "tls-skip-verify",
    value: "true|false",
    bare: Some("true"),
    default: "false",
    environment: &["KUMA_PROMETHEUS_SD_TLS_SKIP_VERIFY"],
    group: TLS,
    help: "trust any server, whatever it shows",
};

/// The file to write.
pub const OUTPUT_FILE: Flag = Flag {
    name: "output-file",
    value: "PATH",
    bare: None,
    default: "kuma.file_sd.json",
    environment: &["KUMA_PROMETHEUS_OUTPUT_FILE"],
    group: FILE,
    help: "the file that Prometheus reads; missing directories are made",
};

/// The permissions of the file.
pub const FILE_MODE: Flag = Flag {
    name: "file-mode",
    value: "MODE",
    bare: None,
    default: "0644",
    environment: &["KUMA_PROMETHEUS_SD_FILE_MODE"],
    group: FILE,
    help: "its permissions, in octal, whatever the umask",
};

/// How much to log.
pub const LOG_LEVEL: Flag = Flag {
    name: "log-level",
    value: "off|error|warn|info|debug|trace",
    bare: None,
    default: "info",
    environment: &["KUMA_PROMETHEUS_SD_LOG_LEVEL"],
    group: GENERAL,
    help: "how much to log",
};

/// Every flag that takes a value, in the order of the help.
pub const FLAGS: [&Flag; 12] = [
    &CP_ADDRESS,
    &NAME,
    &API_VERSION,
    &TRANSPORT,
    &CP_TOKEN_FILE,
    &CA_CERT_FILE,
    &CLIENT_CERT_FILE,
    &CLIENT_KEY_FILE,
    &TLS_SKIP_VERIFY,
    &OUTPUT_FILE,
    &FILE_MODE,
    &LOG_LEVEL,
];

/// The flags without a value, and what they are for.
const SWITCHES: [(&str, &str); 3] = [
    ("help", "show this help; also -h"),
    ("version", "show the version"),
    (
        "detailed",
        "with the subcommand version: how this binary was built",
    ),
];

/// The subcommands, and what they are for.
const SUBCOMMANDS: [(&str, &str); 4] = [
    (
        "run",
        "follow the control plane and keep the file up to date",
    ),
    (
        "check",
        "try the way to the control plane once and tell each step",
    ),
    (
        "version",
        "show the version; with --detailed, how it was built",
    ),
    ("help", "show this help"),
];

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
        self.0
            .iter()
            .rev()
            .find(|(name, _)| *name == flag.name)
            .map(|(_, value)| value)
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
    /// Nothing says what is to be done.
    MissingSubcommand,
    /// `--detailed` with another subcommand than `version`.
    DetailedWithoutVersion,
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
                write!(
                    formatter,
                    "unknown subcommand {name:?}{}",
                    did_you_mean(nearest)
                )
            }
            Self::SuperfluousArgument(argument) => {
                write!(formatter, "superfluous argument {argument:?}; see --help")
            }
            Self::MissingSubcommand => {
                formatter.write_str("no subcommand; \"run\" starts the daemon, see --help")
            }
            Self::DetailedWithoutVersion => {
                formatter.write_str("--detailed goes with the subcommand version only")
            }
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

/// Reads the arguments after the program's name. Flags may stand before or after the subcommand.
///
/// # Errors
/// The first thing that cannot be understood.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Invocation, CommandLineError> {
    let mut parser = Parser::from_args(arguments);
    let mut subcommand: Option<&'static str> = None;
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
        Some("check") => Ok(Invocation::Check(values)),
        Some(_) => Ok(Invocation::Run(values)),
        None => Err(CommandLineError::MissingSubcommand),
    }
}

fn find_subcommand(word: &str) -> Result<&'static str, CommandLineError> {
    let names = SUBCOMMANDS.iter().map(|(name, _)| *name);
    names
        .clone()
        .find(|name| *name == word)
        .ok_or_else(|| CommandLineError::UnknownSubcommand {
            name: word.to_owned(),
            nearest: nearest(word, names).map(|name| format!("{name:?}")),
        })
}

fn unknown_flag(name: &str) -> CommandLineError {
    let names = FLAGS
        .iter()
        .map(|flag| flag.name)
        .chain(SWITCHES.iter().map(|(name, _)| *name));
    CommandLineError::UnknownFlag {
        flag: format!("--{name}"),
        nearest: nearest(name, names).map(|name| format!("--{name}")),
    }
}

/// The candidate that `word` is a plausible slip of.
fn nearest(word: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(2))
        .min()
        .map(|(_, candidate)| candidate)
}

/// The help, as `--help` prints it.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "kuma-prometheus-sd keeps a file of scrape targets for Prometheus (file_sd)\n\
         up to date with the monitoring assignments of a Kuma control plane.\n\
         \n\
         Usage: kuma-prometheus-sd run [FLAGS]\n\
         \n\
         Subcommands:\n",
    );
    for (name, purpose) in SUBCOMMANDS {
        let _ = writeln!(text, "  {name:<9}{purpose}");
    }
    for group in [CONTROL_PLANE, TLS, FILE, GENERAL] {
        let _ = writeln!(text, "\n{group}:");
        for flag in FLAGS.iter().filter(|flag| flag.group == group) {
            help_for(flag, &mut text);
        }
    }
    for (name, purpose) in SWITCHES {
        two_columns(&format!("  --{name}"), purpose, &mut text);
    }
    text.push_str("\nA flag wins over the environment; an empty variable counts as unset.\n");
    text
}

/// A flag with its purpose, default and environment variables in a second column.
fn help_for(flag: &Flag, text: &mut String) {
    let mut notes = Vec::new();
    if !flag.default.is_empty() {
        notes.push(format!("default {}", flag.default));
    }
    notes.extend(
        flag.environment
            .iter()
            .map(|variable| format!("${variable}")),
    );
    let purpose = format!("{} [{}]", flag.help, notes.join(", "));
    let head = format!("  --{}={}", flag.name, flag.value);
    two_columns(&head, &purpose, text);
}

/// `head`, and beside it `purpose` in lines that end before the 80th column.
fn two_columns(head: &str, purpose: &str, text: &mut String) {
    const COLUMN: usize = 26;
    const WIDTH: usize = 79;
    let mut line = format!("{head:<COLUMN$}");
    if head.len() >= COLUMN {
        let _ = writeln!(text, "{head}");
        line = " ".repeat(COLUMN);
    }
    for word in purpose.split(' ') {
        if line.len() + word.len() > WIDTH {
            let _ = writeln!(text, "{}", line.trim_end());
            line = " ".repeat(COLUMN);
        }
        let _ = write!(line, "{word} ");
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

/// The version, as `version` prints it.
#[must_use]
pub fn version(detailed: bool) -> String {
    let mut text = format!("kuma-prometheus-sd {}\n", crate::VERSION);
    if detailed {
        let transports = if cfg!(feature = "grpc") {
            "gRPC, HTTP"
        } else {
            "HTTP"
        };
        let _ = writeln!(text, "target:      {}", env!("KUMA_PROMETHEUS_SD_TARGET"));
        let _ = writeln!(text, "compiler:    {}", env!("KUMA_PROMETHEUS_SD_COMPILER"));
        let _ = writeln!(text, "profile:     {}", env!("KUMA_PROMETHEUS_SD_PROFILE"));
        let _ = writeln!(text, "transports:  {transports}");
        let _ = writeln!(text, "generations: v1, v1alpha1");
    }
    text
}
