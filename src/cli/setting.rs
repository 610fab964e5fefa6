//! One setting: the value that counts, where it comes from, and what it means.
//!
//! Flag over environment over default; a value that cannot be used is an error that names its origin.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;

use crate::cli::arguments::Values;
use crate::cli::flags::Flag;
use crate::cli::listen_address::{ListenAddress, ListenAddressError};
use crate::mads::transport::address::{Address, AddressError};
use crate::mads::transport::proxy::ProxyError;

/// Something that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// The value of a setting.
    Value(ValueError),
    /// A variable that every program reads.
    Proxy(ProxyError),
}

/// A value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// The flag or the environment variable that gave the value.
    origin: String,
    value: OsString,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    Address(AddressError),
    ListenAddress(ListenAddressError),
    Contradiction(&'static str),
    NotUnicode,
    Empty,
    NotAMode,
    NotADuration,
    NotOneOf(&'static str),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(error) => error.fmt(formatter),
            Self::Proxy(error) => error.fmt(formatter),
        }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value of an address with a password in it must not end up in a log.
        if self.problem == Problem::Address(AddressError::Credentials) {
            return write!(formatter, "{}: {}", self.origin, self.problem);
        }
        write!(formatter, "{} {:?}: {}", self.origin, self.value.to_string_lossy(), self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(formatter),
            Self::ListenAddress(error) => error.fmt(formatter),
            Self::Contradiction(reason) => formatter.write_str(reason),
            Self::NotUnicode => formatter.write_str("not UTF-8"),
            Self::Empty => formatter.write_str("must not be empty"),
            Self::NotAMode => formatter.write_str("not permission bits in octal, such as 0644"),
            Self::NotADuration => {
                formatter.write_str("not a duration above zero, such as 30s or 2m")
            }
            Self::NotOneOf(values) => write!(formatter, "not one of {values}"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// One value and where it comes from.
pub(super) struct Setting {
    origin: String,
    pub(super) value: OsString,
}

impl Setting {
    /// Flag over environment over default; an empty variable counts as unset.
    pub(super) fn find(
        flag: &Flag,
        values: &Values,
        environment: &impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        if let Some(value) = values.get(flag) {
            return Self { origin: format!("--{}", flag.name), value: value.clone() };
        }
        for variable in flag.environment {
            if let Some(value) = environment(variable).filter(|value| !value.is_empty()) {
                return Self { origin: format!("${variable}"), value };
            }
        }
        Self { origin: format!("--{}", flag.name), value: flag.default.into() }
    }

    pub(super) fn error(&self, problem: Problem) -> ConfigError {
        ConfigError::Value(ValueError {
            origin: self.origin.clone(),
            value: self.value.clone(),
            problem,
        })
    }

    pub(super) fn text(&self) -> Result<&str, ConfigError> {
        match self.value.to_str() {
            None => Err(self.error(Problem::NotUnicode)),
            Some("") => Err(self.error(Problem::Empty)),
            Some(text) => Ok(text),
        }
    }

    pub(super) fn address(&self) -> Result<Address, ConfigError> {
        self.text()?.parse().map_err(|error| self.error(Problem::Address(error)))
    }

    /// `None` where nothing was given.
    pub(super) fn listen_address(&self) -> Result<Option<ListenAddress>, ConfigError> {
        if self.value.is_empty() {
            return Ok(None);
        }
        let address = self.text()?.parse();
        let address = address.map_err(|error| self.error(Problem::ListenAddress(error)))?;
        Ok(Some(address))
    }

    pub(super) fn path(&self) -> Result<PathBuf, ConfigError> {
        if self.value.is_empty() {
            return Err(self.error(Problem::Empty));
        }
        Ok(PathBuf::from(&self.value))
    }

    /// `None` where nothing was given.
    pub(super) fn optional_path(&self) -> Option<PathBuf> {
        (!self.value.is_empty()).then(|| PathBuf::from(&self.value))
    }

    pub(super) fn mode(&self) -> Result<u32, ConfigError> {
        let text = self.text()?;
        let is_octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        match u32::from_str_radix(text, 8) {
            Ok(mode) if is_octal && mode <= 0o777 => Ok(mode),
            _ => Err(self.error(Problem::NotAMode)),
        }
    }

    pub(super) fn duration(&self) -> Result<Duration, ConfigError> {
        let duration = self.text()?.parse().ok();
        duration
            .filter(SignedDuration::is_positive)
            .and_then(|duration| duration.try_into().ok())
            .ok_or_else(|| self.error(Problem::NotADuration))
    }

    /// The meaning of the value, one of the words that the flag's table entry lists.
    pub(super) fn one_of<T: Copy>(
        &self,
        flag: &Flag,
        meanings: &[(&str, T)],
    ) -> Result<T, ConfigError> {
        let text = self.text()?;
        meanings
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| self.error(Problem::NotOneOf(flag.value)))
    }
}
