//! From what was typed and the environment to settings: which source wins, what each value may be,
//! and the words for a value that cannot be used.

use std::collections::HashMap;
use std::ffi::OsString;
use std::iter;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Duration;

use kuma_prometheus_sd::cli::arguments::{Invocation, Values, parse};
use kuma_prometheus_sd::cli::config::{Config, ConfigError, Once};
use kuma_prometheus_sd::cli::flags::FLAGS;
use kuma_prometheus_sd::common::logging::Format;
use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::labels::LabelStyle;
use kuma_prometheus_sd::mads::negotiation::{Pins, Transport};
use log::LevelFilter;

const URL: &str = "KUMA_MONITORING_ASSIGNMENT_CLIENT_URL";
const OLD_URL: &str = "KUMA_CONTROL_PLANE_API_SERVER_URL";

fn values(flags: &[&str]) -> Values {
    let words = ["run"].iter().chain(flags).map(OsString::from);
    match parse(words) {
        Ok(Invocation::Run(values)) => values,
        other => panic!("{flags:?}: {other:?}"),
    }
}

fn config(flags: &[&str], environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment: HashMap<&str, &str> = environment.iter().copied().collect();
    Config::new(&values(flags), |name| environment.get(name).map(OsString::from))
}

#[track_caller]
fn good(flags: &[&str], environment: &[(&str, &str)]) -> Config {
    config(flags, environment).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn complaint(flags: &[&str], environment: &[(&str, &str)]) -> String {
    config(flags, environment).unwrap_err().to_string()
}

fn warnings(config: &Config) -> Vec<String> {
    config.warnings(iter::empty())
}

fn address(config: &Config) -> String {
    config.resolver.address.to_string()
}

#[test]
fn without_anything_the_defaults_hold() {
    let config = good(&[], &[]);
    assert_eq!(address(&config), "http://localhost:5681");
    assert_eq!(config.name, "kuma_sd");
    assert_eq!(config.pins, Pins::default());
    assert_eq!(config.output_file, Path::new("kuma.file_sd.json"));
    assert_eq!(config.file_mode, 0o644);
    assert_eq!(config.label_style, LabelStyle::Original);
    assert_eq!(config.listen_address, None);
    assert_eq!(config.log_level, LevelFilter::Info);
    assert_eq!(config.resolver.token_file, None);
    assert_eq!(config.resolver.http, Default::default());
    assert!(warnings(&config).is_empty());
}

#[test]
fn a_flag_wins_over_variables_and_these_over_the_default() {
    let flag = "--cp-address=http://flag";
    let (newer, older) = ((URL, "http://newer"), (OLD_URL, "http://older"));
    for (flags, environment, expected) in [
        (&[flag][..], &[newer, older][..], "http://flag:80"),
        (&[], &[newer, older], "http://newer:80"),
        (&[], &[older], "http://older:80"),
        (&[], &[(URL, ""), older], "http://older:80"),
        (&[], &[(URL, ""), (OLD_URL, "")], "http://localhost:5681"),
    ] {
        assert_eq!(address(&good(flags, environment)), expected);
    }
}

#[test]
fn every_variable_is_read_and_an_empty_one_counts_as_unset() {
    let defaults = good(&[], &[]);
    for flag in FLAGS {
        for variable in flag.environment {
            assert_eq!(good(&[], &[(variable, "")]), defaults, "${variable}");
            let text = match flag.name {
                "cp-address" => "http://other",
                "api-version" => "v1",
                "transport" => "http",
                "file-mode" => "0600",
                "label-style" => "kuma_sd",
                "listen-address" => "127.0.0.1:9467",
                "log-level" => "error",
                "log-format" => "json",
                "log-timestamps" | "tls-skip-verify" => "true",
                "client-cert-file" | "client-key-file" => {
                    assert!(complaint(&[], &[(variable, "a")]).starts_with('$'));
                    continue;
                }
                _ => "other",
            };
            let from_variable = good(&[], &[(variable, text)]);
            assert_ne!(from_variable, defaults, "${variable}");
            let flag = format!("--{}={text}", flag.name);
            assert_eq!(from_variable, good(&[&flag], &[]), "${variable}");
        }
    }
}

#[test]
fn a_flag_hides_a_variable_that_cannot_be_used() {
    let environment = &[("KUMA_PROMETHEUS_SD_FILE_MODE", "rw")];
    assert_eq!(good(&["--file-mode=600"], environment).file_mode, 0o600);
}

#[test]
fn every_word_has_its_meaning() {
    for (word, expected) in
        [("auto", None), ("v1", Some(ApiVersion::V1)), ("v1alpha1", Some(ApiVersion::V1alpha1))]
    {
        let config = good(&[&format!("--api-version={word}")], &[]);
        assert_eq!(config.pins.api_version, expected);
    }
    for (word, expected) in
        [("auto", None), ("grpc", Some(Transport::Grpc)), ("http", Some(Transport::Http))]
    {
        let config = good(&[&format!("--transport={word}")], &[]);
        assert_eq!(config.pins.transport, expected);
    }
    for (word, expected) in [
        ("off", LevelFilter::Off),
        ("error", LevelFilter::Error),
        ("warn", LevelFilter::Warn),
        ("info", LevelFilter::Info),
        ("debug", LevelFilter::Debug),
        ("trace", LevelFilter::Trace),
    ] {
        let config = good(&[&format!("--log-level={word}")], &[]);
        assert_eq!(config.log_level, expected);
    }
    for (word, expected) in [("original", LabelStyle::Original), ("kuma_sd", LabelStyle::KumaSd)] {
        let config = good(&[&format!("--label-style={word}")], &[]);
        assert_eq!(config.label_style, expected);
    }
    for (word, expected) in [("auto", None), ("true", Some(true)), ("false", Some(false))] {
        let config = good(&[&format!("--log-timestamps={word}")], &[]);
        assert_eq!(config.log_timestamps, expected);
    }
    for (word, expected) in [("text", Format::Text), ("json", Format::Json)] {
        let config = good(&[&format!("--log-format={word}")], &[]);
        assert_eq!(config.log_format, expected);
    }
    for (word, expected) in [("true", true), ("false", false)] {
        let config = good(&[&format!("--tls-skip-verify={word}")], &[]);
        assert_eq!(config.resolver.http.tls.skip_verify, expected);
    }
}

#[test]
fn a_single_run_has_a_timeout_and_may_print() {
    assert_eq!(good(&[], &[]).once, None);
    assert_eq!(good(&["--once=false"], &[]).once, None);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (text, expected) in [
        ("30s", seconds(30)),
        ("2m", seconds(120)),
        ("1m30s", seconds(90)),
        ("1.5s", Some(Duration::from_millis(1500))),
        ("500ms", Some(Duration::from_millis(500))),
        ("30", None),
        ("0s", None),
        ("-1s", None),
        ("soon", None),
        ("", None),
    ] {
        let timeout = format!("--timeout={text}");
        let once = config(&["--once", &timeout], &[]).map(|config| config.once);
        match expected {
            Some(timeout) => assert_eq!(once, Ok(Some(Once { timeout, to_stdout: false }))),
            None => assert!(once.is_err(), "{text}"),
        }
    }
    let once = good(&["--once", "--output-file=-"], &[]).once;
    let expected = Once { timeout: Duration::from_secs(30), to_stdout: true };
    assert_eq!(once, Some(expected));
    let once = good(&["--once", "--output-file=./-"], &[]).once;
    assert!(once.is_some_and(|once| !once.to_stdout));
    for (flags, environment, expected) in [
        (&["--timeout=3s"][..], &[][..], "--timeout \"3s\": goes with --once only"),
        (
            &["--output-file=-"],
            &[],
            "--output-file \"-\": means stdout, which only run --once writes to; give the path of the file, ./- for one of that name",
        ),
        (
            &[],
            &[("KUMA_PROMETHEUS_OUTPUT_FILE", "-")],
            "$KUMA_PROMETHEUS_OUTPUT_FILE \"-\": means stdout, which only run --once writes to; give the path of the file, ./- for one of that name",
        ),
        (
            &["--once", "--timeout=0s"],
            &[],
            "--timeout \"0s\": not a duration above zero, such as 30s or 2m",
        ),
    ] {
        assert_eq!(complaint(flags, environment), expected);
    }
}

#[test]
fn a_mode_is_permission_bits_in_octal() {
    for (text, expected) in [
        ("0644", 0o644),
        ("644", 0o644),
        ("0", 0),
        ("600", 0o600),
        ("0777", 0o777),
        ("00640", 0o640),
    ] {
        assert_eq!(good(&[&format!("--file-mode={text}")], &[]).file_mode, expected);
    }
    for text in ["1000", "01777", "888", "rw-r--r--", "-644", "+644", "0o644", "0x1a", "6 4", "é"]
    {
        let expected = format!("--file-mode {text:?}: not permission bits in octal, such as 0644");
        assert_eq!(complaint(&[&format!("--file-mode={text}")], &[]), expected);
    }
}

#[test]
fn a_value_that_cannot_be_used_is_named_with_where_it_comes_from() {
    for (flags, environment, expected) in [
        (
            &["--cp-address=localhost"][..],
            &[][..],
            "--cp-address \"localhost\": not an address of the form http://HOST:PORT, https://…, \
             grpc://… or grpcs://…",
        ),
        (
            &[],
            &[(OLD_URL, "ftp://a")],
            "$KUMA_CONTROL_PLANE_API_SERVER_URL \"ftp://a\": unknown scheme \"ftp\"; use http, \
             https, grpc or grpcs",
        ),
        (&["--cp-address="], &[], "--cp-address \"\": must not be empty"),
        (&["--name="], &[], "--name \"\": must not be empty"),
        (&["--output-file="], &[], "--output-file \"\": must not be empty"),
        (&["--file-mode="], &[], "--file-mode \"\": must not be empty"),
        (&["--api-version=v2"], &[], "--api-version \"v2\": not one of auto|v1|v1alpha1"),
        (&["--transport=HTTP"], &[], "--transport \"HTTP\": not one of auto|grpc|http"),
        (
            &[],
            &[("KUMA_PROMETHEUS_SD_LOG_LEVEL", "loud\n")],
            "$KUMA_PROMETHEUS_SD_LOG_LEVEL \"loud\\n\": not one of \
             off|error|warn|info|debug|trace",
        ),
        (&["--tls-skip-verify=yes"], &[], "--tls-skip-verify \"yes\": not one of true|false"),
        (
            &["--client-cert-file=a.pem"],
            &[],
            "--client-cert-file \"a.pem\": needs --client-key-file as well",
        ),
        (
            &["--client-key-file=a.pem"],
            &[],
            "--client-key-file \"a.pem\": needs --client-cert-file as well",
        ),
        (
            &["--cp-address=https://cp.example.org"],
            &[("HTTPS_PROXY", "socks5://a")],
            "$HTTPS_PROXY: not the address of a proxy of the form http://HOST:PORT",
        ),
    ] {
        assert_eq!(complaint(flags, environment), expected);
    }
}

#[test]
fn pins_that_exclude_every_way_are_refused() {
    for (flags, expected) in [
        (
            &["--api-version=v1alpha1", "--transport=http"][..],
            "--api-version \"v1alpha1\": v1alpha1 is served over gRPC only, not over HTTP",
        ),
        (
            &["--api-version=v1alpha1", "--cp-address=grpcs://a"],
            "--api-version \"v1alpha1\": v1alpha1 is not served over TLS; give grpc://",
        ),
        (
            &["--transport=grpc", "--cp-address=grpcs://a"],
            "--transport \"grpc\": over TLS MADS is reached by HTTPS only; leave out the pin",
        ),
    ] {
        assert_eq!(complaint(flags, &[]), expected);
    }
    for flags in [
        &["--api-version=v1alpha1", "--transport=grpc"][..],
        &["--api-version=v1", "--transport=http"],
        &["--api-version=v1", "--transport=http", "--cp-address=grpcs://a"],
        // Where the API server is reached by TLS, MADS need not be.
        &["--api-version=v1alpha1", "--cp-address=https://a"],
        &["--transport=grpc", "--cp-address=https://a"],
    ] {
        good(flags, &[]);
    }
}

#[test]
fn what_is_unsafe_is_warned_of() {
    for (flags, expected) in [
        (&["--tls-skip-verify"][..], &["--tls-skip-verify: "][..]),
        (&["--cp-token-file=t"], &["--cp-token-file: "]),
        (&["--cp-token-file=t", "--cp-address=https://a"], &[]),
        (
            &["--cp-token-file=t", "--tls-skip-verify"],
            &["--tls-skip-verify: ", "--cp-token-file: "],
        ),
    ] {
        let warnings = warnings(&good(flags, &[]));
        assert_eq!(warnings.len(), expected.len(), "{flags:?}");
        for (warning, expected) in warnings.iter().zip(expected) {
            assert!(warning.starts_with(expected), "{warning}");
        }
    }
}

#[test]
fn a_variable_that_is_named_like_a_setting_and_is_none_is_warned_of() {
    let known = FLAGS.iter().flat_map(|flag| flag.environment);
    let foreign = ["HOME", "KUMA_DNS_ENABLED", "KUMA_PROMETHEUS_SDX"];
    let harmless = known.copied().chain(foreign).map(OsString::from);
    assert_eq!(good(&[], &[]).warnings(harmless), [""; 0]);

    for (name, expected) in [
        ("KUMA_PROMETHEUS_SD_LOGLEVEL", "; did you mean KUMA_PROMETHEUS_SD_LOG_LEVEL?"),
        ("KUMA_PROMETHEUS_SD_OUTPUT_FILE", "; did you mean KUMA_PROMETHEUS_OUTPUT_FILE?"),
        ("KUMA_PROMETHEUS_SD_CP_ADDRESS", "; did you mean KUMA_MONITORING_ASSIGNMENT_CLIENT_URL?"),
        // Neither is a setting of a service.
        ("KUMA_PROMETHEUS_SD_TIMEOUT", "; give the flag --timeout"),
        ("KUMA_PROMETHEUS_SD_ONCE", "; give the flag --once"),
        ("KUMA_PROMETHEUS_SD_METHUSALEM", ""),
    ] {
        let warnings = good(&[], &[]).warnings(iter::once(name.into()));
        let expected =
            format!("the environment variable {name:?} is unknown and has no effect{expected}");
        assert_eq!(warnings, [expected]);
    }
}

#[test]
fn a_path_need_not_be_unicode_but_a_name_must() {
    let not_unicode = || OsString::from_vec(b"a\xff".to_vec());
    let with = |wanted: &'static str| {
        Config::new(&values(&[]), move |name| (name == wanted).then(not_unicode))
    };
    let config = with("KUMA_PROMETHEUS_OUTPUT_FILE").unwrap();
    assert_eq!(config.output_file.as_os_str(), not_unicode());
    let error = with("KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME").unwrap_err();
    let expected = "$KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME \"a\u{fffd}\": not UTF-8";
    assert_eq!(error.to_string(), expected);
}

/// A usage error ends up on a terminal and in a journal.
#[test]
fn a_password_in_an_address_is_never_shown() {
    let expected =
        "--cp-address: a user name or password does not belong in the address; it is not used";
    for address in [
        "http://user:secret@localhost:5681",
        "grpc://secret@a",
        "https://:secret@a/b",
        "http://user:sec#ret@localhost",
        "http://user:sec?ret@localhost",
        "http://user:sec/ret@localhost",
        "htp://user:secret@localhost",
        "user:secret@localhost:5681",
    ] {
        assert_eq!(complaint(&[&format!("--cp-address={address}")], &[]), expected);
    }
    let complaint = complaint(
        &["--cp-address=http://cp.example.org"],
        &[("HTTP_PROXY", "ftp://user:secret@a")],
    );
    assert!(!complaint.contains("secret"), "{complaint}");
}
