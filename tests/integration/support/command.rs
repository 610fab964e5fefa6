//! Commands that are run to their end: the scripts of this repository, and the tools that judge
//! what they make; and what the command that runs the tests asks of them.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use crate::support::not_tried::not_tried;

/// How a command ended, and all that it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    /// Both streams, one after the other.
    pub(crate) output: String,
}

impl Ended {
    /// Sees that it succeeded.
    #[track_caller]
    pub(crate) fn successfully(self) -> Ended {
        assert_eq!(self.code, Some(0), "{}", self.output);
        self
    }
}

/// The folder of this repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command in an environment that holds nothing but the way to programs: a variable such as
/// `prefix` of whoever runs the tests, or the flags of a `make` around them, must not matter.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ended { code: output.status.code(), output: text }
}

/// A number that a variable of the environment gives.
pub(crate) fn from_environment<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Whether a program is here; reports where a test cannot be done without it.
pub(crate) fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_here = env::split_paths(&path).any(|folder: PathBuf| folder.join(program).is_file());
    if !is_here {
        not_tried(format_args!("this machine has no {program}"));
    }
    is_here
}

/// Runs a shell script that must succeed.
#[track_caller]
pub(crate) fn shell(script: &str) {
    let status = Command::new("sh").args(["-c", script]).status();
    assert!(status.expect("sh can be run").success(), "{script}");
}
