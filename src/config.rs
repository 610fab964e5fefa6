//! What was asked, validated: flag over environment over default, each value with a type.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use log::LevelFilter;

use crate::assignment::Generation;
use crate::cli::{self, Flag, Values};
use crate::endpoint::{Address, AddressError};
use crate::negotiation::Pins;

/// The settings of one daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to ask.
    pub cp_address: Address,
    /// `node.id`.
    pub name: String,
    /// What negotiation may not decide.
    pub pins: Pins,
    /// The file to keep up to date.
    pub output_file: PathBuf,
    /// Its permission bits.
    pub file_mode: u32,
    /// How much to log.
    pub log_level: LevelFilter,
}

/// A value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The flag or the environment variable that gave the value.
    origin: String,
    value: OsString,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    Address(AddressError),
    NotUnicode,
    Empty,
    NotAMode,
    NotOneOf(&'static str),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value of an address with a password in it must not end up in a log.
        if self.problem == Problem::Address(AddressError::Credentials) {
            return write!(formatter, "{}: {}", self.origin, self.problem);
        }
        write!(
            formatter,
            "{} {:?}: {}",
            self.origin,
            self.value.to_string_lossy(),
            self.problem
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(formatter),
            Self::NotUnicode => formatter.write_str("not UTF-8"),
            Self::Empty => formatter.write_str("must not be empty"),
            Self::NotAMode => formatter.write_str("not permission bits in octal, such as 0644"),
            Self::NotOneOf(values) => write!(formatter, "not one of {values}"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// One value and where it comes from.
struct Setting {
    origin: String,
    value: OsString,
}

impl Setting {
    /// Flag over environment over default; an empty variable counts as unset.
    fn find(flag: &Flag, values: &Values, environment: &impl Fn(&str) -> Option<OsString>) -> Self {
        if let Some(value) = values.get(flag) {
            return Self {
                origin: format!("--{}", flag.name),
                value: value.clone(),
            };
        }
        for variable in flag.environment {
            if let Some(value) = environment(variable).filter(|value| !value.is_empty()) {
                return Self {
                    origin: format!("${variable}"),
                    value,
                };
            }
        }
        Self {
            origin: format!("--{}", flag.name),
            value: flag.default.into(),
        }
    }

    fn error(&self, problem: Problem) -> ConfigError {
        ConfigError {
            origin: self.origin.clone(),
            value: self.value.clone(),
            problem,
        }
    }

    fn text(&self) -> Result<&str, ConfigError> {
        match self.value.to_str() {
            None => Err(self.error(Problem::NotUnicode)),
            Some("") => Err(self.error(Problem::Empty)),
            Some(text) => Ok(text),
        }
    }

    fn address(&self) -> Result<Address, ConfigError> {
        self.text()?
            .parse()
            .map_err(|error| self.error(Problem::Address(error)))
    }

    fn path(&self) -> Result<PathBuf, ConfigError> {
        if self.value.is_empty() {
            return Err(self.error(Problem::Empty));
        }
        Ok(PathBuf::from(&self.value))
    }

    fn mode(&self) -> Result<u32, ConfigError> {
        let text = self.text()?;
        let is_octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        match u32::from_str_radix(text, 8) {
            Ok(mode) if is_octal && mode <= 0o777 => Ok(mode),
            _ => Err(self.error(Problem::NotAMode)),
        }
    }

    /// The meaning of the value, one of the words that the flag's table entry lists.
    fn one_of<T: Copy>(&self, flag: &Flag, meanings: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text()?;
        meanings
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| self.error(Problem::NotOneOf(flag.value)))
    }
}

/// The words of `--api-version`; `None` leaves the generation to negotiation.
const API_VERSIONS: [(&str, Option<Generation>); 3] = [
    ("auto", None),
    ("v1", Some(Generation::V1)),
    ("v1alpha1", Some(Generation::V1alpha1)),
];

/// The words of `--log-level`.
const LOG_LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::Off),
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];

impl Config {
    /// Makes the settings from what was typed and from the environment.
    ///
    /// # Errors
    /// The first value that cannot be used, with where it comes from.
    pub fn new(
        values: &Values,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ConfigError> {
        let setting = |flag| Setting::find(flag, values, &environment);
        let generation = setting(&cli::API_VERSION).one_of(&cli::API_VERSION, &API_VERSIONS)?;
        Ok(Self {
            cp_address: setting(&cli::CP_ADDRESS).address()?,
            name: setting(&cli::NAME).text()?.to_owned(),
            pins: Pins {
                generation,
                transport: None,
            },
            output_file: setting(&cli::OUTPUT_FILE).path()?,
            file_mode: setting(&cli::FILE_MODE).mode()?,
            log_level: setting(&cli::LOG_LEVEL).one_of(&cli::LOG_LEVEL, &LOG_LEVELS)?,
        })
    }
}
