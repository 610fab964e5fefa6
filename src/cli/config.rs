//! What was asked, validated: flag over environment over default, each value with a type.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::LevelFilter;

use crate::cli::arguments::{Values, nearest};
use crate::cli::flags::{self, FLAGS, Flag};
use crate::cli::listen_address::ListenAddress;
pub use crate::cli::setting::ConfigError;
use crate::cli::setting::{Problem, Setting};
use crate::common::fields::{Field, text};
use crate::common::logging::Format;
use crate::mads::api_version::ApiVersion;
use crate::mads::labels::LabelStyle;
use crate::mads::negotiation::{Pins, Transport};
use crate::mads::transport::address::{Address, Scheme, Security};
use crate::mads::transport::http_client::HttpSettings;
use crate::mads::transport::proxy::Proxies;
use crate::mads::transport::resolver::Resolver;
use crate::mads::transport::tls::{ClientFiles, TlsSettings};

/// The settings of one daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to ask, and how.
    pub resolver: Resolver,
    /// `node.id`.
    pub name: String,
    /// What negotiation may not decide.
    pub pins: Pins,
    /// The file to keep up to date.
    pub output_file: PathBuf,
    /// Its permission bits.
    pub file_mode: u32,
    /// The labels of the targets.
    pub label_style: LabelStyle,
    /// Where metrics and the list are served; `None` for nowhere.
    pub listen_address: Option<ListenAddress>,
    /// Whether to end with the first list, and how; `None` for a daemon.
    pub once: Option<Once>,
    /// How much to log.
    pub log_level: LevelFilter,
    /// Whether to log the time; `None` leaves it to who reads the log.
    pub log_timestamps: Option<bool>,
    /// How a line of the log looks.
    pub log_format: Format,
}

/// How a run ends that ends with the first list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    /// How long all of it may take.
    pub timeout: Duration,
    /// Whether the list is printed, instead of written to the file.
    pub to_stdout: bool,
}

/// The words of `--api-version`; `None` leaves the API version to negotiation.
const API_VERSIONS: [(&str, Option<ApiVersion>); 3] =
    [("auto", None), ("v1", Some(ApiVersion::V1)), ("v1alpha1", Some(ApiVersion::V1alpha1))];

/// The words of `--transport`; `None` leaves the transport to negotiation.
const TRANSPORTS: [(&str, Option<Transport>); 3] =
    [("auto", None), ("grpc", Some(Transport::Grpc)), ("http", Some(Transport::Http))];

/// The words of `--label-style`.
const LABEL_STYLES: [(&str, LabelStyle); 2] =
    [("original", LabelStyle::Original), ("kuma_sd", LabelStyle::KumaSd)];

/// The words of a switch.
const TRUE_OR_FALSE: [(&str, bool); 2] = [("true", true), ("false", false)];

/// The output that is no file.
const STDOUT: &str = "-";

/// The words of `--log-timestamps`.
const LOG_TIMESTAMPS: [(&str, Option<bool>); 3] =
    [("auto", None), ("true", Some(true)), ("false", Some(false))];

/// The words of `--log-format`.
const LOG_FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];

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
        let setting = |flag: &Flag| Setting::find(flag, values, &environment);
        let address = setting(&flags::CP_ADDRESS).address()?;
        let pins = pins(&setting, &address)?;
        let proxies = Proxies::new(&environment);
        proxies.on_the_way_to(&address).map_err(ConfigError::Proxy)?;
        let http = HttpSettings { tls: tls_settings(&setting)?, proxies };
        let token_file = setting(&flags::CP_TOKEN_FILE).optional_path();
        let output_file = setting(&flags::OUTPUT_FILE);
        let once = once(&setting, values, &output_file)?;
        Ok(Self {
            resolver: Resolver { address, http, token_file },
            name: setting(&flags::NAME).text()?.to_owned(),
            pins,
            output_file: output_file.path()?,
            file_mode: setting(&flags::FILE_MODE).mode()?,
            label_style: setting(&flags::LABEL_STYLE).one_of(&flags::LABEL_STYLE, &LABEL_STYLES)?,
            listen_address: setting(&flags::LISTEN_ADDRESS).listen_address()?,
            once,
            log_level: setting(&flags::LOG_LEVEL).one_of(&flags::LOG_LEVEL, &LOG_LEVELS)?,
            log_timestamps: setting(&flags::LOG_TIMESTAMPS)
                .one_of(&flags::LOG_TIMESTAMPS, &LOG_TIMESTAMPS)?,
            log_format: setting(&flags::LOG_FORMAT).one_of(&flags::LOG_FORMAT, &LOG_FORMATS)?,
        })
    }

    /// What is unsafe or has no effect, in sentences for every start. `variables` are the names of
    /// all that are in the environment.
    #[must_use]
    pub fn warnings(&self, variables: impl Iterator<Item = OsString>) -> Vec<String> {
        let mut warnings: Vec<String> =
            variables.filter_map(|name| unknown_variable(&name)).collect();
        if self.resolver.http.tls.skip_verify {
            warnings.push(
                "--tls-skip-verify: any server is trusted, so anyone on the way can say what is \
                 scraped; give --ca-cert-file instead"
                    .to_owned(),
            );
        }
        let is_plaintext = self.resolver.address.security() == Security::Plaintext;
        if is_plaintext && self.resolver.token_file.is_some() {
            warnings.push(
                "--cp-token-file: the token is sent in plaintext, so anyone on the way can read \
                 it; give an https address"
                    .to_owned(),
            );
        }
        warnings
    }

    /// What the line at the start is made of.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        vec![
            text("program_version", crate::VERSION),
            text("control_plane", &self.resolver.address),
            text("client_name", &self.name),
        ]
    }

    /// What is wrong with the files for TLS, where the address is plaintext, so that nobody would
    /// notice until the control plane serves MADS over TLS. Reads them, so it may block.
    #[must_use]
    pub fn tls_files_warning(&self) -> Option<String> {
        if self.resolver.address.security() == Security::Tls {
            return None;
        }
        let error = self.resolver.http.tls.load().err()?;
        Some(format!(
            "{error}; not needed yet, as the address is plaintext, but the connection fails once \
             MADS is served over TLS"
        ))
    }
}

/// A warning, where a variable is named like a setting and is none.
fn unknown_variable(name: &OsStr) -> Option<String> {
    let name = name.to_string_lossy();
    let rest = name.strip_prefix(flags::ENVIRONMENT_PREFIX)?;
    let mut known = FLAGS.iter().flat_map(|flag| flag.environment);
    if known.any(|known| *known == name) {
        return None;
    }
    let word = rest.to_ascii_lowercase().replace('_', "-");
    let nearest = nearest(&word, FLAGS.iter().map(|flag| flag.name));
    let flag = FLAGS.iter().find(|flag| Some(flag.name) == nearest);
    let hint = flag.map_or(String::new(), |flag| match flag.environment.first() {
        Some(variable) => format!("; did you mean {variable}?"),
        None => format!("; give the flag --{}", flag.name),
    });
    Some(format!("the environment variable {name:?} is unknown and has no effect{hint}"))
}

/// What is pinned, where it can be had at all.
fn pins(setting: &impl Fn(&Flag) -> Setting, address: &Address) -> Result<Pins, ConfigError> {
    let api_version = setting(&flags::API_VERSION);
    let transport = setting(&flags::TRANSPORT);
    let pins = Pins {
        api_version: api_version.one_of(&flags::API_VERSION, &API_VERSIONS)?,
        transport: transport.one_of(&flags::TRANSPORT, &TRANSPORTS)?,
    };

    let contradiction =
        |setting: &Setting, reason| Err(setting.error(Problem::Contradiction(reason)));
    let is_v1alpha1 = pins.api_version == Some(ApiVersion::V1alpha1);
    if is_v1alpha1 && pins.transport == Some(Transport::Http) {
        return contradiction(&api_version, "v1alpha1 is served over gRPC only, not over HTTP");
    }
    if address.scheme == Scheme::Grpcs && is_v1alpha1 {
        return contradiction(&api_version, "v1alpha1 is not served over TLS; give grpc://");
    }
    if address.scheme == Scheme::Grpcs && pins.transport == Some(Transport::Grpc) {
        return contradiction(
            &transport,
            "over TLS MADS is reached by HTTPS only; leave out the pin",
        );
    }
    Ok(pins)
}

fn once(
    setting: &impl Fn(&Flag) -> Setting,
    values: &Values,
    output_file: &Setting,
) -> Result<Option<Once>, ConfigError> {
    let timeout = setting(&flags::TIMEOUT);
    let to_stdout = Path::new(&output_file.value) == Path::new(STDOUT);
    if setting(&flags::ONCE).one_of(&flags::ONCE, &TRUE_OR_FALSE)? {
        let timeout = timeout.duration()?;
        return Ok(Some(Once { timeout, to_stdout }));
    }
    let contradiction = |setting: &Setting, reason| {
        let problem = Problem::Contradiction(reason);
        Err(setting.error(problem))
    };
    if values.get(&flags::TIMEOUT).is_some() {
        return contradiction(&timeout, "goes with --once only");
    }
    if to_stdout {
        return contradiction(
            output_file,
            "means stdout, which only run --once writes to; give the path of the file, ./- for one of that name",
        );
    }
    Ok(None)
}

fn tls_settings(setting: &impl Fn(&Flag) -> Setting) -> Result<TlsSettings, ConfigError> {
    let cert_file = setting(&flags::CLIENT_CERT_FILE);
    let key_file = setting(&flags::CLIENT_KEY_FILE);
    let client = match (cert_file.optional_path(), key_file.optional_path()) {
        (Some(cert_file), Some(key_file)) => Some(ClientFiles { cert_file, key_file }),
        (None, None) => None,
        (Some(_), None) => {
            let reason = Problem::Contradiction("needs --client-key-file as well");
            return Err(cert_file.error(reason));
        }
        (None, Some(_)) => {
            let reason = Problem::Contradiction("needs --client-cert-file as well");
            return Err(key_file.error(reason));
        }
    };
    Ok(TlsSettings {
        ca_cert_file: setting(&flags::CA_CERT_FILE).optional_path(),
        client,
        skip_verify: setting(&flags::TLS_SKIP_VERIFY)
            .one_of(&flags::TLS_SKIP_VERIFY, &TRUE_OR_FALSE)?,
    })
}
