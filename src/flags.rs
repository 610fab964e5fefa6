//! The one table of flags and subcommands, and the help that is made from it.

use std::fmt::Write as _;

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
    help: "trust any server, whatever it shows; alone it means true",
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
pub const SWITCHES: [(&str, &str); 3] = [
    ("help", "show this help; also -h"),
    ("version", "show the version"),
    (
        "detailed",
        "with the subcommand version: how this binary was built",
    ),
];

/// The subcommands, and what they are for.
pub const SUBCOMMANDS: [(&str, &str); 4] = [
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

/// The help, as `--help` prints it.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "kuma-prometheus-sd keeps a file of scrape targets for Prometheus (file_sd)\n\
         up to date with the monitoring assignments of a Kuma control plane.\n\
         \n\
         Usage: kuma-prometheus-sd run|check [FLAGS]\n\
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
