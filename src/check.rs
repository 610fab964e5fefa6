//! `check`: tests the connection to the control plane once, and shows each step to a person.
//!
//! It runs the daemon's own state machine, so that what it shows is what the daemon would do.

use std::env;
use std::io::Write;
use std::time::{Duration, Instant};

use x509_parser::parse_x509_certificate;

use crate::cli::config::Config;
use crate::common::sanitize::sanitize;
use crate::common::wording::{Targets, count};
use crate::mads::endpoint::{LocationUnknown, Origin};
use crate::mads::report::Report;
use crate::mads::transport::address::{Address, Security};
use crate::mads::transport::background::done_by;
use crate::mads::transport::diagnosis::{self, peer_certificate};
use crate::mads::transport::proxy::Proxies;
use crate::output::file::{self, ClaimError, Warning};
use crate::single_attempt::{NoList, receive_list};

/// The longest time for the check of the control plane.
const LIMIT: Duration = Duration::from_secs(10);

/// The longest time for a look at the files for TLS.
const LOOK_LIMIT: Duration = Duration::from_secs(3);

/// Prints a line. Where nobody reads, the exit code still says how the check went.
macro_rules! show {
    ($out:expr, $($line:tt)*) => {{
        let _ = writeln!($out, $($line)*);
    }};
}

/// Checks the control plane and the output, and shows each step on `out`. Says whether both are well.
pub fn run(config: Config, out: &mut impl Write) -> bool {
    let output = file::check(&config.output_file);
    let is_connected = connect(config, out);
    match &output {
        Ok(path) => show!(
            out,
            "the output {} can probably be written: rights and room were looked at, nothing \
                 was written",
            path.display(),
        ),
        Err(ClaimError::Held { process, .. }) => {
            let process =
                process.map_or_else(String::new, |process| format!(", process {process}"));
            show!(out, "the output is held by a running daemon{process}");
        }
        Err(error) => show!(out, "{error}"),
    }
    let is_well = is_connected && matches!(output, Ok(_) | Err(ClaimError::Held { .. }));
    show!(out, "check {}", if is_well { "passed" } else { "failed" });
    is_well
}

/// What is shown of the attempt.
struct Check<'a, W> {
    proxies: Proxies,
    /// The server whose certificate was shown last.
    shown: Option<(String, u16)>,
    /// Whether the API server refuses the token. The daemon goes on then, where it can.
    is_token_refused: bool,
    /// When to give up.
    deadline: Instant,
    out: &'a mut W,
}

/// Tests the connection to the control plane once; says whether it passes.
fn connect(config: Config, out: &mut impl Write) -> bool {
    let address = config.resolver.address.clone();
    show!(out, "control plane {address}, as {:?}", config.name);
    for warning in config.warnings(env::vars_os().map(|(name, _)| name)) {
        show!(out, "{warning}");
    }
    let start = Instant::now();
    let settings = config.clone();
    let warning = done_by("tls-files", start + LOOK_LIMIT, move || settings.tls_files_warning());
    if let Ok(Some(warning)) = warning {
        show!(out, "{warning}");
    }
    if let Some(warning) = Warning::about_name(&config.output_file) {
        show!(out, "{warning}");
    }
    let mut check = Check {
        proxies: config.resolver.http.proxies.clone(),
        shown: None,
        is_token_refused: false,
        deadline: start + LIMIT,
        out,
    };
    check.show_certificate(&address);
    // Whether a list comes at all is the question, not whether it is the newest.
    let newer_within = Duration::ZERO;
    let show = |report| check.report(report);
    let list = receive_list(config, start, LIMIT, newer_within, show);
    match list {
        Ok(_) => !check.is_token_refused,
        Err(error) => {
            show!(check.out, "{error}");
            matches!(error, NoList::NotSent(_)) && !check.is_token_refused
        }
    }
}

impl<W: Write> Check<'_, W> {
    fn report(&mut self, report: Report) {
        match report {
            // The failure of a probe is shown with the failure of the attempt.
            Report::ProbeFinished(probe) if !probe.is_answered => {}
            Report::Opening { ref endpoint, .. } => {
                show!(self.out, "{report}");
                self.is_token_refused |=
                    matches!(endpoint.origin, Origin::Guess(LocationUnknown::TokenRefused { .. }));
                self.show_certificate(&endpoint.address);
            }
            Report::Accepted { assignments, targets, skipped, .. } => {
                let assignments = count(assignments, "assignment", "assignments");
                let all = Targets(targets);
                show!(self.out, "a list has come: {assignments} with {all}, {skipped} skipped");
                if targets == 0 {
                    show!(
                        self.out,
                        "the list is empty: either nothing is to be scraped, or no MeshMetric backend has \
                         this client name; see --name and the mesh's metrics settings",
                    );
                }
            }
            Report::Received { .. } => {}
            other => show!(self.out, "{other}"),
        }
    }

    fn show_certificate(&mut self, address: &Address) {
        let server = Some((address.host.clone(), address.port));
        let can_be_seen = address.security() == Security::Tls && self.proxies.is_direct(address);
        if !can_be_seen || self.shown == server {
            return;
        }
        self.shown = server;
        // Where there is no handshake at all, the steps that follow say why.
        let deadline = self.deadline.min(Instant::now() + diagnosis::LIMIT);
        if let Ok(certificate) = peer_certificate(address, deadline) {
            show!(self.out, "{}", describe_certificate(&address.host, &certificate));
        }
    }
}

fn describe_certificate(host: &str, certificate: &[u8]) -> String {
    match parse_x509_certificate(certificate) {
        Ok((_, certificate)) => {
            let issuer = match certificate.issuer() {
                // Its name may be empty.
                own if own.as_raw() == certificate.subject().as_raw() => "itself".to_owned(),
                issuer => format!("{:?}", sanitize(&issuer.to_string())),
            };
            let end = certificate.validity().not_after;
            format!("the certificate of {host} is issued by {issuer} and valid until {end}")
        }
        Err(error) => format!("the certificate of {host} cannot be read: {error}"),
    }
}
