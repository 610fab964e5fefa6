//! The one table of flags and subcommands. The help is made from it at run time; the completions, the man
//! page, the environment file and the table in `README.md` by `make generate`.

pub mod help;

/// A flag that takes a value.
#[derive(Debug, PartialEq, Eq)]
pub struct Flag {
    /// The name after `--`.
    pub name: &'static str,
    /// What stands for the value in the help; words with `|` between them are all that it may be.
    pub value: &'static str,
    /// What the flag means when it is typed without a value; `None` where it needs one.
    pub bare: Option<&'static str>,
    /// The value where neither flag nor environment gives one; empty for none.
    pub default: &'static str,
    /// Environment variables that give it, the first that is set and not empty; none for what is no
    /// setting of a service.
    pub environment: &'static [&'static str],
    /// The heading it stands under in the help.
    pub group: &'static str,
    /// What it is for, in a few words.
    pub help: &'static str,
    /// What else there is to know, in sentences; empty for nothing. Words of the machine's stand in
    /// backquotes.
    pub details: &'static str,
}

/// How the variables of settings begin that the original tool did not have.
pub const ENVIRONMENT_PREFIX: &str = "KUMA_PROMETHEUS_SD_";

/// The headings of the flags, in the order of the help.
pub const GROUPS: [&str; 5] = [CONTROL_PLANE, TLS, FILE, MONITORING, GENERAL];

const CONTROL_PLANE: &str = "Control plane";
const TLS: &str = "TLS";
const FILE: &str = "File";
const MONITORING: &str = "Monitoring";
const GENERAL: &str = "General";

/// Where the control plane is.
pub const CP_ADDRESS: Flag = Flag {
    name: "cp-address",
    value: "URL",
    bare: None,
    default: "http://localhost:5681",
    environment: &["KUMA_MONITORING_ASSIGNMENT_CLIENT_URL", "KUMA_CONTROL_PLANE_API_SERVER_URL"],
    group: CONTROL_PLANE,
    help: "URL of the control plane's API server or MADS",
    details: "The API server is at `http://HOST:5681` or `https://HOST:5682`; MADS is at `grpc://HOST:5676`, `grpcs://HOST:5676`, `http://HOST:5676` or `https://HOST:5676`.",
};

/// The name of this client.
pub const NAME: Flag = Flag {
    name: "name",
    value: "NAME",
    bare: None,
    default: "kuma_sd",
    environment: &["KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME"],
    group: CONTROL_PLANE,
    help: "client name to send to the control plane",
    details: "A MeshMetric backend with this `clientId` applies to this client only.",
};

/// The API version to speak.
pub const API_VERSION: Flag = Flag {
    name: "api-version",
    value: "auto|v1|v1alpha1",
    bare: None,
    default: "auto",
    environment: &["KUMA_MONITORING_ASSIGNMENT_CLIENT_API_VERSION"],
    group: CONTROL_PLANE,
    help: "version of the MADS API to use",
    details: "",
};

/// The transport to use.
pub const TRANSPORT: Flag = Flag {
    name: "transport",
    value: "auto|grpc|http",
    bare: None,
    default: "auto",
    environment: &["KUMA_PROMETHEUS_SD_TRANSPORT"],
    group: CONTROL_PLANE,
    help: "transport to use",
    details: "",
};

/// The token for the API server.
pub const CP_TOKEN_FILE: Flag = Flag {
    name: "cp-token-file",
    value: "PATH",
    bare: None,
    default: "",
    environment: &["KUMA_PROMETHEUS_SD_CP_TOKEN_FILE"],
    group: CONTROL_PLANE,
    help: "file with a bearer token for the API server",
    details: "It is sent with requests for `/config` only.",
};

/// Whom to trust.
pub const CA_CERT_FILE: Flag = Flag {
    name: "ca-cert-file",
    value: "PATH",
    bare: None,
    default: "",
    environment: &["KUMA_PROMETHEUS_SD_CA_CERT_FILE"],
    group: TLS,
    help: "certificates to trust instead of the system's",
    details: "A PEM file with certificates of issuers, or with exactly the one that a control plane has generated for itself.",
};

/// What to show to a server.
pub const CLIENT_CERT_FILE: Flag = Flag {
    name: "client-cert-file",
    value: "PATH",
    bare: None,
    default: "",
    environment: &["KUMA_PROMETHEUS_SD_CLIENT_CERT_FILE"],
    group: TLS,
    help: "client certificate to present, in PEM",
    details: "",
};

/// The key of what is shown.
pub const CLIENT_KEY_FILE: Flag = Flag {
    name: "client-key-file",
    value: "PATH",
    bare: None,
    default: "",
    environment: &["KUMA_PROMETHEUS_SD_CLIENT_KEY_FILE"],
    group: TLS,
    help: "private key of the client certificate, in PEM",
    details: "",
};

/// Trust anyone.
pub const TLS_SKIP_VERIFY: Flag = Flag {
    name: "tls-skip-verify",
    value: "true|false",
    bare: Some("true"),
    default: "false",
    environment: &["KUMA_PROMETHEUS_SD_TLS_SKIP_VERIFY"],
    group: TLS,
    help: "do not verify the server's certificate",
    details: "The flag without a value means `true`.",
};

/// The file to write.
pub const OUTPUT_FILE: Flag = Flag {
    name: "output-file",
    value: "PATH",
    bare: None,
    default: "kuma.file_sd.json",
    environment: &["KUMA_PROMETHEUS_OUTPUT_FILE"],
    group: FILE,
    help: "file to write, for Prometheus' file_sd_configs",
    details: "Missing directories are created. With `--once`, `-` is stdout.",
};

/// The permissions of the file.
pub const FILE_MODE: Flag = Flag {
    name: "file-mode",
    value: "MODE",
    bare: None,
    default: "0644",
    environment: &["KUMA_PROMETHEUS_SD_FILE_MODE"],
    group: FILE,
    help: "permissions of the file, in octal",
    details: "The umask does not change them.",
};

/// The labels of the targets.
pub const LABEL_STYLE: Flag = Flag {
    name: "label-style",
    value: "original|kuma_sd",
    bare: None,
    default: "original",
    environment: &["KUMA_PROMETHEUS_SD_LABEL_STYLE"],
    group: FILE,
    help: "labels to give the targets",
    details: "`original` labels are final. `kuma_sd` labels are those of Prometheus' own `kuma_sd_configs`, for an existing relabelling.",
};

/// Where to serve metrics and the list.
pub const LISTEN_ADDRESS: Flag = Flag {
    name: "listen-address",
    value: "IP:PORT",
    bare: None,
    default: "",
    environment: &["KUMA_PROMETHEUS_SD_LISTEN_ADDRESS"],
    group: MONITORING,
    help: "address of metrics and a page, or unix:PATH",
    details: "Such as `127.0.0.1:9467`, or `unix:/run/kuma-prometheus-sd/sd.sock` for a Unix socket. Without it, and with `--once`, nothing listens. Whoever can connect can read the names of all hosts of the mesh.",
};

/// End with the first list.
pub const ONCE: Flag = Flag {
    name: "once",
    value: "true|false",
    bare: Some("true"),
    default: "false",
    environment: &[],
    group: FILE,
    help: "write the first list and end",
    details: "With `run` only. The exit code is 0 if the list is written, and 1 at the first error. The flag without a value means `true`.",
};

/// How long that may take.
pub const TIMEOUT: Flag = Flag {
    name: "timeout",
    value: "DURATION",
    bare: None,
    default: "30s",
    environment: &[],
    group: FILE,
    help: "how long --once may take",
    details: "Such as `30s`, `500ms` or `2m`.",
};

/// How much to log.
pub const LOG_LEVEL: Flag = Flag {
    name: "log-level",
    value: "off|error|warn|info|debug|trace",
    bare: None,
    default: "info",
    environment: &["KUMA_PROMETHEUS_SD_LOG_LEVEL"],
    group: GENERAL,
    help: "lowest level to log",
    details: "",
};

/// Whether to log the time.
pub const LOG_TIMESTAMPS: Flag = Flag {
    name: "log-timestamps",
    value: "auto|true|false",
    bare: None,
    default: "auto",
    environment: &["KUMA_PROMETHEUS_SD_LOG_TIMESTAMPS"],
    group: GENERAL,
    help: "whether log lines begin with the time",
    details: "With `auto`, they do unless stderr is connected to the systemd journal, which records the time itself.",
};

/// How a line of the log looks.
pub const LOG_FORMAT: Flag = Flag {
    name: "log-format",
    value: "text|json",
    bare: None,
    default: "text",
    environment: &["KUMA_PROMETHEUS_SD_LOG_FORMAT"],
    group: GENERAL,
    help: "format of the log",
    details: "With `json`, each line is a JSON object with `time`, `level`, `message` and the fields of the message; `--log-timestamps` has no effect on it.",
};

/// Every flag that takes a value, in the order of the help.
pub const FLAGS: [&Flag; 18] = [
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
    &LABEL_STYLE,
    &ONCE,
    &TIMEOUT,
    &LISTEN_ADDRESS,
    &LOG_LEVEL,
    &LOG_TIMESTAMPS,
    &LOG_FORMAT,
];

/// The flags without a value, and what they are for.
pub const SWITCHES: [(&str, &str); 3] = [
    ("help", "show this help; also -h"),
    ("version", "show the version"),
    ("detailed", "with version: how this binary was built"),
];

/// Something to do.
#[derive(Debug)]
pub struct Subcommand {
    /// As it is typed.
    pub name: &'static str,
    /// The words that may follow it; none where it takes no argument.
    pub arguments: &'static [&'static str],
    /// What it does.
    pub help: &'static str,
}

/// Every subcommand, in the order of the help.
pub const SUBCOMMANDS: [&Subcommand; 5] = [
    &Subcommand {
        name: "run",
        arguments: &[],
        help: "keep the file in sync with the control plane",
    },
    &Subcommand {
        name: "check",
        arguments: &[],
        help: "test the connection to the control plane and show each step",
    },
    &Subcommand {
        name: "completion",
        arguments: &["bash", "zsh", "fish"],
        help: "print completions for bash, zsh or fish",
    },
    &Subcommand {
        name: "version",
        arguments: &[],
        help: "show the version; with --detailed, how it was built",
    },
    &Subcommand { name: "help", arguments: &[], help: "show this help" },
];

/// The completions for each shell that has some, as they are installed.
pub const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", include_str!("../../../packaging/completions/kuma-prometheus-sd.bash")),
    ("zsh", include_str!("../../../packaging/completions/_kuma-prometheus-sd")),
    ("fish", include_str!("../../../packaging/completions/kuma-prometheus-sd.fish")),
];
