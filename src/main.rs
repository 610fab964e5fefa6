//! The program: arguments to settings, run, and the exit code.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use kuma_prometheus_sd::check;
use kuma_prometheus_sd::cli::arguments::{self, Invocation};
use kuma_prometheus_sd::cli::config::Config;
use kuma_prometheus_sd::cli::flags::help::help;
use kuma_prometheus_sd::common::logging;
use kuma_prometheus_sd::daemon::once;
use kuma_prometheus_sd::daemon::supervise::{self, RunError};
use kuma_prometheus_sd::output::file::ClaimError;

/// The command line, or what it names, can never work.
const USAGE: u8 = 2;

/// Anything else.
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    let invocation = match arguments::parse(env::args_os().skip(1)) {
        Ok(invocation) => invocation,
        Err(error) => return fail(USAGE, &error.to_string()),
    };
    let (values, is_check) = match invocation {
        Invocation::Help => return print(&help()),
        Invocation::Completion(completions) => return print(completions),
        Invocation::Version { detailed } => return print(&arguments::version(detailed)),
        Invocation::Run(values) => (values, false),
        Invocation::Check(values) => (values, true),
    };
    let config = match Config::new(&values, |name| env::var_os(name)) {
        Ok(config) => config,
        Err(error) => return fail(USAGE, &error.to_string()),
    };
    if is_check {
        let passed = check::run(config, &mut io::stdout().lock());
        return ExitCode::from(if passed { 0 } else { FAILURE });
    }
    let (level, timestamps) = (config.log_level, config.log_timestamps);
    if let Err(error) = logging::start(level, timestamps, config.log_format) {
        return fail(FAILURE, &format!("cannot start the log: {error}"));
    }
    let result = match config.once {
        Some(once) => once::run(config, once),
        None => supervise::run(config),
    };
    match result {
        Ok(()) => {
            logging::flush();
            ExitCode::SUCCESS
        }
        Err(error @ RunError::Claim(ClaimError::NotAFile { .. })) => {
            fail(USAGE, &error.to_string())
        }
        Err(error) => fail(FAILURE, &error.to_string()),
    }
}

/// A closed pipe, as behind `| head`, is no failure.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(FAILURE, &format!("cannot write to stdout: {error}"))
        }
        _ => ExitCode::SUCCESS,
    }
}

fn fail(code: u8, message: &str) -> ExitCode {
    logging::last_words(message);
    ExitCode::from(code)
}
