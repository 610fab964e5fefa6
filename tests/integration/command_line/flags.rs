//! The command line as a person types it: what is answered, word for word, on which stream, and with
//! which exit code. What can be typed, and what it means, is in `unit::cli` and `unit::config`.

use std::fs;

use crate::support::harness::{Finished, Launch};

const URL: &str = "KUMA_MONITORING_ASSIGNMENT_CLIENT_URL";

/// The command line, or what it names, can never work.
const USAGE: i32 = 2;

/// Anything else that ends the daemon.
const FAILURE: i32 = 1;

#[track_caller]
fn assert_failed(finished: &Finished, code: i32, line: &str) {
    let expected = format!("kuma-prometheus-sd: {line}\n");
    assert_eq!((&*finished.stderr, &*finished.stdout), (&*expected, ""));
    assert_eq!(finished.code, Some(code), "{line}");
}

#[test]
fn what_cannot_work_is_reported_in_one_line_with_its_exit_code() {
    let cases: [(&[&str], i32, &str); 5] = [
        (&["rum"], USAGE, "unknown subcommand \"rum\"; did you mean \"run\"?"),
        (
            &["run", "--cp-address=grpc://host:0"],
            USAGE,
            "--cp-address \"grpc://host:0\": port \"0\" is not a number from 1 to 65535",
        ),
        (&["check", "--once"], USAGE, "--once goes with the subcommand run only"),
        (
            &["run", "--output-file", "directory"],
            USAGE,
            "the output directory is a directory, not a file",
        ),
        (
            &["run", "--output-file", "/proc/no-such/output.json"],
            FAILURE,
            "cannot make the directory /proc/no-such: No such file or directory (os error 2)",
        ),
    ];
    for (arguments, code, line) in cases {
        let launch = Launch::bare().arguments(arguments.iter().copied());
        fs::create_dir(launch.folder().join("directory")).unwrap();
        assert_failed(&launch.run_to_its_end(), code, line);
    }
    let launch = Launch::bare().argument("run").variable(URL, "http://");
    let line = format!("${URL} \"http://\": the address has no host");
    assert_failed(&launch.run_to_its_end(), USAGE, &line);
}

#[test]
fn what_is_asked_for_goes_to_stdout() {
    let version = format!("kuma-prometheus-sd {}\n", env!("CARGO_PKG_VERSION"));
    let answer = |arguments: &[&str]| {
        let launch = Launch::bare().arguments(arguments.iter().copied());
        let finished = launch.run_to_its_end();
        assert_eq!((finished.code, &*finished.stderr), (Some(0), ""));
        finished.stdout
    };
    assert_eq!(answer(&["--version"]), version);
    let detailed = answer(&["version", "--detailed"]);
    let names: Vec<_> =
        detailed.lines().skip(1).filter_map(|line| line.split(':').next()).collect();
    let expected = "target, compiler, profile, transports, API versions";
    assert_eq!(names.join(", "), expected);
    assert!(detailed.contains("gRPC, HTTP"), "{detailed}");
    let help = answer(&["help"]);
    for word in ["Usage:", "--cp-address=URL", URL] {
        assert!(help.contains(word), "{word}: {help}");
    }
    assert_eq!(answer(&["run", "--name=x", "-h"]), help);
}
