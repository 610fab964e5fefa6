//! The command line as a person types it: what is answered, word for word, on which stream, and
//! with which exit code.

use std::fs;

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::Launch;
use crate::support::mesh::EMPTY;

/// The command line, or what it names, can never work.
const USAGE: i32 = 2;

/// Anything else that ends the daemon.
const FAILURE: i32 = 1;

#[track_caller]
fn fails(arguments: &[&str], code: i32, line: &str) {
    let launch = Launch::bare().arguments(arguments.iter().copied());
    fs::create_dir(launch.folder().join("directory")).unwrap();
    fs::write(launch.folder().join("file"), "").unwrap();
    let finished = launch.run_to_its_end();
    assert_eq!(
        finished.stderr,
        format!("kuma-prometheus-sd: {line}\n"),
        "{arguments:?}"
    );
    assert_eq!(finished.stdout, "", "{arguments:?}");
    assert_eq!(finished.code, Some(code), "{arguments:?}");
}

#[test]
fn an_address_that_is_none_is_refused_with_the_reason() {
    let form = "not an address of the form http://HOST:PORT, https://…, grpc://… or grpcs://…";
    let cases = [
        ("http://", "the address has no host"),
        ("grpc://:5676", "the address has no host"),
        ("http:///path", "the address has no host"),
        (
            "ftp://host",
            "unknown scheme \"ftp\"; use http, https, grpc or grpcs",
        ),
        ("host:5676", form),
        ("http://[::1", form),
        (
            "grpc://host:70000",
            "port \"70000\" is not a number from 1 to 65535",
        ),
        (
            "grpc://host:0",
            "port \"0\" is not a number from 1 to 65535",
        ),
        (
            "http://host:-1",
            "port \"-1\" is not a number from 1 to 65535",
        ),
        (
            "http://host:http",
            "port \"http\" is not a number from 1 to 65535",
        ),
        (
            "grpc://host/path",
            "an address of gRPC has no path, but \"/path\"",
        ),
        (
            "http://host?query",
            "the address must not have a query or a fragment",
        ),
    ];
    for (address, reason) in cases {
        let flag = format!("--cp-address={address}");
        let line = format!("--cp-address {address:?}: {reason}");
        fails(&["run", &flag], USAGE, &line);
        let variable = "KUMA_MONITORING_ASSIGNMENT_CLIENT_URL";
        let finished = Launch::bare()
            .argument("run")
            .variable(variable, address)
            .run_to_its_end();
        let line = format!("kuma-prometheus-sd: ${variable} {address:?}: {reason}\n");
        assert_eq!(finished.stderr, line);
        assert_eq!(finished.code, Some(USAGE));
    }
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    fails(
        &["run", "--cp-address", "http://user:secret@host"],
        USAGE,
        "--cp-address: a user name or password does not belong in the address; it is not used",
    );
}

#[test]
fn what_is_mistyped_is_named_with_what_was_perhaps_meant() {
    let cases: [(&[&str], &str); 11] = [
        (&[], "no subcommand; \"run\" starts the daemon, see --help"),
        (
            &["--name=x"],
            "no subcommand; \"run\" starts the daemon, see --help",
        ),
        (
            &["rum"],
            "unknown subcommand \"rum\"; did you mean \"run\"?",
        ),
        (
            &["vresion"],
            "unknown subcommand \"vresion\"; did you mean \"version\"?",
        ),
        (
            &["entirely-else"],
            "unknown subcommand \"entirely-else\"; see --help",
        ),
        (
            &["run", "--cp-adress=x"],
            "unknown flag --cp-adress; did you mean --cp-address?",
        ),
        (
            &["run", "--outputfile=x"],
            "unknown flag --outputfile; did you mean --output-file?",
        ),
        (
            &["run", "--zzzzzzzzzzzz"],
            "unknown flag --zzzzzzzzzzzz; see --help",
        ),
        (&["run", "-x"], "unknown flag -x; see --help"),
        (
            &["run", "extra"],
            "superfluous argument \"extra\"; see --help",
        ),
        (
            &["version", "extra"],
            "superfluous argument \"extra\"; see --help",
        ),
    ];
    for (arguments, line) in cases {
        fails(arguments, USAGE, line);
    }
}

#[test]
fn a_value_that_cannot_be_used_is_refused_with_the_ones_that_can() {
    let mode = "not permission bits in octal, such as 0644";
    let level = "not one of off|error|warn|info|debug|trace";
    let cases: [(&[&str], String); 10] = [
        (
            &["run", "--file-mode=888"],
            format!("--file-mode \"888\": {mode}"),
        ),
        (
            &["run", "--file-mode=01777"],
            format!("--file-mode \"01777\": {mode}"),
        ),
        (
            &["run", "--file-mode=rw-r--r--"],
            format!("--file-mode \"rw-r--r--\": {mode}"),
        ),
        (
            &["run", "--log-level=loud"],
            format!("--log-level \"loud\": {level}"),
        ),
        (
            &["--log-level=", "run"],
            "--log-level \"\": must not be empty".to_owned(),
        ),
        (
            &["run", "--api-version=v2"],
            "--api-version \"v2\": not one of auto|v1|v1alpha1".to_owned(),
        ),
        (
            &["run", "--name="],
            "--name \"\": must not be empty".to_owned(),
        ),
        (
            &["run", "--output-file="],
            "--output-file \"\": must not be empty".to_owned(),
        ),
        (
            &["run", "--name"],
            "missing argument for option '--name'; see --help".to_owned(),
        ),
        (
            &["run", "--detailed"],
            "--detailed goes with the subcommand version only".to_owned(),
        ),
    ];
    for (arguments, line) in cases {
        fails(arguments, USAGE, &line);
    }
}

#[test]
fn an_output_that_can_never_be_written_is_refused_before_anything_connects() {
    let cases = [
        (
            "directory",
            USAGE,
            "the output directory is a directory, not a file",
        ),
        (
            "directory/",
            USAGE,
            "the output directory/ is a directory, not a file",
        ),
        (
            "missing/",
            USAGE,
            "the output missing/ is a directory, not a file",
        ),
        (
            "/dev/null",
            USAGE,
            "the output /dev/null is a device, a pipe or a socket, not a file",
        ),
        (
            "/proc/no-such/output.json",
            FAILURE,
            "cannot make the directory /proc/no-such: No such file or directory (os error 2)",
        ),
    ];
    for (output, code, line) in cases {
        fails(&["run", "--output-file", output], code, line);
    }
    let launch = Launch::bare().arguments(["run", "--output-file=file/output.json"]);
    fs::write(launch.folder().join("file"), "").unwrap();
    let finished = launch.run_to_its_end();
    assert_eq!(finished.code, Some(FAILURE));
    assert!(
        finished.stderr.ends_with("Not a directory (os error 20)\n"),
        "{}",
        finished.stderr
    );
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
}

#[test]
fn the_version_goes_to_stdout() {
    let version = format!("kuma-prometheus-sd {}\n", env!("CARGO_PKG_VERSION"));
    for arguments in [vec!["version"], vec!["--version"], vec!["run", "--version"]] {
        let finished = Launch::bare().arguments(arguments).run_to_its_end();
        assert_eq!(finished.stdout, version);
        assert_eq!(finished.stderr, "");
        assert_eq!(finished.code, Some(0));
    }
}

#[test]
fn the_detailed_version_says_how_it_was_built() {
    for arguments in [["version", "--detailed"], ["--detailed", "version"]] {
        let finished = Launch::bare().arguments(arguments).run_to_its_end();
        assert_eq!(finished.code, Some(0));
        let mut lines = finished.stdout.lines();
        let version = format!("kuma-prometheus-sd {}", env!("CARGO_PKG_VERSION"));
        assert_eq!(lines.next(), Some(version.as_str()));
        let names: Vec<&str> = lines
            .map(|line| {
                let (name, value) = line.split_once(':').expect("a name and a value");
                assert!(!value.trim().is_empty(), "{line}");
                name
            })
            .collect();
        assert_eq!(
            names,
            [
                "target",
                "compiler",
                "profile",
                "transports",
                "API versions"
            ]
        );
        assert!(
            finished.stdout.contains("gRPC, HTTP"),
            "{}",
            finished.stdout
        );
    }
}

#[test]
fn the_help_goes_to_stdout_wherever_it_is_asked_for() {
    let help = Launch::bare().argument("help").run_to_its_end();
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for word in [
        "Usage:",
        "run",
        "--cp-address=URL",
        "KUMA_MONITORING_ASSIGNMENT_CLIENT_URL",
    ] {
        assert!(help.stdout.contains(word), "{word}: {}", help.stdout);
    }
    let askings: [&[&str]; 6] = [
        &["--help"],
        &["-h"],
        &["run", "--help"],
        &["run", "--name=x", "-h"],
        &["help", "run"],
        &["version", "--help"],
    ];
    for arguments in askings {
        let finished = Launch::bare()
            .arguments(arguments.iter().copied())
            .run_to_its_end();
        assert_eq!(finished.stdout, help.stdout, "{arguments:?}");
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn flags_may_stand_before_and_after_the_subcommand_with_or_without_an_equals_sign() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let url = plane.grpc_url();
    let joined = format!("--cp-address={url}");
    let orders: [&[&str]; 3] = [
        &["--log-level=debug", "run", &joined],
        &["run", "--log-level", "debug", "--cp-address", &url],
        &[&joined, "--log-level", "debug", "run"],
    ];
    for arguments in orders {
        let daemon = Launch::bare().arguments(arguments.iter().copied()).start();
        daemon.wait_for_file(EMPTY);
        daemon.wait_for_log("DEBUG] ");
    }
}

#[test]
fn the_last_of_a_repeated_flag_counts() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let daemon = Launch::follow("grpc://does-not-resolve.invalid")
        .argument(format!("--cp-address={}", plane.grpc_url()))
        .start();
    daemon.wait_for_file(EMPTY);
}
