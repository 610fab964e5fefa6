//! `check`: tests the connection to the control plane once, and shows each step to a person.
//!
//! It runs the daemon's own state machine, so that what it shows is what the daemon would do.

use std::env;
use std::io::Write;
use std::time::{Duration, Instant};

use x509_parser::parse_x509_certificate;

use crate::cli::config::Config;
use crate::common::machine::{self, Effects, Machine};
use crate::common::sanitize::sanitize;
use crate::mads::connection::{Action, Connection, Event};
use crate::mads::endpoint::LocationUnknown;
use crate::mads::report::{EndpointWarning, Report};
use crate::mads::session::Session;
use crate::mads::transport::address::Security;
use crate::mads::transport::background::{BackgroundDied, done_by};
use crate::mads::transport::diagnosis::{self, peer_certificate};
use crate::mads::transport::network::Network;
use crate::output::file::{self, ClaimError, Warning};

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

/// What the connection's actions are done with here: each step is shown.
struct Check<'a, W> {
    network: Network,
    /// The server whose certificate was shown last.
    shown: Option<(String, u16)>,
    is_connected: bool,
    /// Whether the API server refuses the token. The daemon goes on then, where it can.
    is_token_refused: bool,
    /// Whose answer there is none of yet.
    waiting_for: String,
    /// When to give up.
    limit: Instant,
    /// Whether the control plane passes; `None` until that is known.
    outcome: Option<bool>,
    out: &'a mut W,
}

/// Tests the connection to the control plane once; says whether it passes.
fn connect(config: Config, out: &mut impl Write) -> bool {
    let address = config.resolver.address.clone();
    show!(out, "control plane {address}, as {:?}", config.name);
    for warning in config.warnings(env::vars_os().map(|(name, _)| name)) {
        show!(out, "{warning}");
    }
    let limit = Instant::now() + LIMIT;
    let settings = config.clone();
    let look_limit = limit.min(Instant::now() + LOOK_LIMIT);
    let warning = done_by("tls-files", look_limit, move || {
        settings.tls_files_warning()
    });
    if let Ok(Some(warning)) = warning {
        show!(out, "{warning}");
    }
    if let Some(warning) = Warning::about_name(&config.output_file) {
        show!(out, "{warning}");
    }
    let session = Session::new(config.name, config.label_style);
    let connection = Connection::new(session, config.pins, address.security(), Instant::now());
    let mut check = Check {
        network: Network::new(config.resolver),
        shown: None,
        is_connected: false,
        is_token_refused: false,
        waiting_for: format!("the API server at {address}"),
        limit,
        outcome: None,
        out,
    };
    check.show_certificate(&address.host, address.port, address.security());
    match check.run(connection.single_attempt()) {
        Ok(is_connected) => is_connected && !check.is_token_refused,
        Err(error) => {
            show!(check.out, "{error}; please report this");
            false
        }
    }
}

impl<W: Write> Check<'_, W> {
    fn run(&mut self, mut connection: Connection) -> Result<bool, BackgroundDied> {
        loop {
            let is_busy = machine::turn(&mut connection, self, None)?;
            if let Some(outcome) = self.outcome.take() {
                return Ok(outcome);
            }
            if !is_busy && self.is_over_after_waiting(connection.deadline()) {
                return Ok(self.give_up());
            }
        }
    }

    /// Waits for the network or for the machine's deadline. Says whether the end of the check came
    /// before either.
    fn is_over_after_waiting(&self, deadline: Option<Instant>) -> bool {
        let wake_at = deadline.map_or(self.limit, |deadline| deadline.min(self.limit));
        let is_woken = self.network.woken().recv_deadline(wake_at).is_ok();
        !is_woken && wake_at == self.limit
    }

    fn give_up(&mut self) -> bool {
        let seconds = LIMIT.as_secs();
        if self.is_connected {
            show!(
                self.out,
                "no list has come within {seconds} s; with named MeshMetric backends that \
                     are all for other clients this is normal, see --name"
            );
            return true;
        }
        let waiting_for = &self.waiting_for;
        show!(self.out, "{waiting_for}: no answer within {seconds} s");
        false
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Disconnected { error, .. } => {
                show!(self.out, "no connection: {error}");
                self.outcome = Some(false);
            }
            // The failure of a probe is shown with the failure of the attempt.
            Report::ProbeFinished(probe) if !probe.is_answered => {}
            Report::Rejected { reason, .. } => {
                let reason = sanitize(&reason.to_string());
                show!(self.out, "the list cannot be used: {reason}");
                self.outcome = Some(false);
            }
            Report::Opening { ref endpoint, .. } => {
                self.waiting_for = format!("MADS at {}", endpoint.authority());
                show!(self.out, "{report}");
                self.show_certificate(&endpoint.host, endpoint.port, endpoint.security);
            }
            Report::Accepted {
                assignments,
                targets,
                skipped,
                ..
            } => {
                show!(
                    self.out,
                    "a list has come: {assignments} assignments with {targets} targets, {skipped} skipped"
                );
                if targets == 0 {
                    show!(
                        self.out,
                        "the list is empty: either nothing is to be scraped, or no MeshMetric backend has \
                         this client name; see --name and the mesh's metrics settings",
                    );
                }
            }
            Report::Received { .. } => {}
            other => {
                self.is_connected |= matches!(other, Report::Connected { .. });
                self.is_token_refused |= is_of_a_refused_token(&other);
                show!(self.out, "{other}");
            }
        }
    }

    fn show_certificate(&mut self, host: &str, port: u16, security: Security) {
        let server = Some((host.to_owned(), port));
        let can_be_seen = security == Security::Tls && self.network.is_direct(host, port, security);
        if !can_be_seen || self.shown == server {
            return;
        }
        self.shown = server;
        // Where there is no handshake at all, the steps that follow say why.
        let deadline = self.limit.min(Instant::now() + diagnosis::LIMIT);
        if let Ok(certificate) = peer_certificate(host, port, deadline) {
            show!(self.out, "{}", describe_certificate(host, &certificate));
        }
    }
}

impl<W: Write> Effects<Connection> for Check<'_, W> {
    type Error = BackgroundDied;

    fn poll(&mut self) -> Result<Option<Event>, BackgroundDied> {
        self.network.poll()
    }

    fn perform(&mut self, action: Action) -> Vec<Event> {
        match action {
            // Nothing that follows is of interest.
            _ if self.outcome.is_some() => {}
            Action::Network(action) => return self.network.perform(action).into_iter().collect(),
            Action::HandOver(_) => self.outcome = Some(true),
            Action::Report(report) => self.report(report),
        }
        Vec::new()
    }
}

fn is_of_a_refused_token(report: &Report) -> bool {
    matches!(
        report,
        Report::EndpointWarning(EndpointWarning::Guessed {
            why: LocationUnknown::TokenRefused { .. },
            ..
        })
    )
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
