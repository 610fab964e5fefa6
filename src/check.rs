//! `check`: the same way to the control plane that the daemon goes, once, told step by step to a
//! person.
//!
//! It drives the daemon's own state machine, so that what it says is what the daemon would do.

use std::env;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{at, bounded, select};
use x509_parser::parse_x509_certificate;

use crate::cli::config::Config;
use crate::common::sanitize::sanitize;
use crate::mads::connection::{Action, Connection, Event};
use crate::mads::endpoint::Silence;
use crate::mads::report::{Report, WayNote};
use crate::mads::session::Session;
use crate::mads::transport::address::Security;
use crate::mads::transport::diagnosis::{self, peer_certificate};
use crate::mads::transport::network::Network;
use crate::output::file::{self, ClaimError, Warning};

/// The longest time for the way to the control plane.
const LIMIT: Duration = Duration::from_secs(10);

/// The longest time for a look at the files for TLS.
const LOOK_LIMIT: Duration = Duration::from_secs(3);

/// How the way to the control plane ended.
enum Outcome {
    /// With a list.
    Answered,
    /// With a stream on which nothing has come.
    Silent,
    /// With a failure, told already.
    Failed,
}

/// Checks the control plane and the output, and tells about it on `out`. Says whether both are
/// well.
pub fn run(config: Config, out: &mut impl Write) -> bool {
    let output = file::check(&config.output_file);
    let way = Check::new(config, out).run();
    match &output {
        Ok(path) => tell(
            out,
            &format!(
                "the output {} can probably be written: rights and room were looked at, nothing \
                 was written",
                path.display()
            ),
        ),
        Err(ClaimError::Held { process, .. }) => {
            let process =
                process.map_or_else(String::new, |process| format!(", process {process}"));
            tell(
                out,
                &format!("the output is held by a running daemon{process}"),
            );
        }
        Err(error) => tell(out, &error.to_string()),
    }
    let is_well = matches!(way, Outcome::Answered | Outcome::Silent)
        && matches!(output, Ok(_) | Err(ClaimError::Held { .. }));
    tell(
        out,
        if is_well {
            "check passed"
        } else {
            "check failed"
        },
    );
    is_well
}

/// Where nobody reads, the exit code still tells.
fn tell(out: &mut impl Write, line: &str) {
    let _ = writeln!(out, "{line}");
}

struct Check<'a, W> {
    connection: Connection,
    network: Network,
    /// The server whose certificate was told of last.
    shown: Option<(String, u16)>,
    address: (String, u16, Security),
    is_connected: bool,
    /// Whether the API server refuses the token. The daemon goes on then, where it can.
    is_token_refused: bool,
    /// Whose answer there is none of yet.
    waiting_for: String,
    /// When to give up.
    limit: Instant,
    out: &'a mut W,
}

impl<'a, W: Write> Check<'a, W> {
    fn new(config: Config, out: &'a mut W) -> Self {
        let address = &config.resolver.address;
        tell(
            out,
            &format!("control plane {address}, as {:?}", config.name),
        );
        for warning in config.warnings(env::vars_os().map(|(name, _)| name)) {
            tell(out, &warning);
        }
        let limit = Instant::now() + LIMIT;
        let settings = config.clone();
        if let Some(Some(warning)) = done_by(limit, move || settings.tls_files_warning()) {
            tell(out, &warning);
        }
        if let Some(warning) = Warning::about_name(&config.output_file) {
            tell(out, &warning.to_string());
        }
        let security = address.security();
        let waiting_for = format!("the API server at {address}");
        let address = (address.host.clone(), address.port, security);
        let session = Session::new(config.name);
        let connection = Connection::new(session, config.pins, security, Instant::now());
        Self {
            connection: connection.single_attempt(),
            network: Network::new(config.resolver),
            shown: None,
            address,
            is_connected: false,
            waiting_for,
            is_token_refused: false,
            limit,
            out,
        }
    }

    fn run(mut self) -> Outcome {
        let (host, port, security) = self.address.clone();
        self.show_certificate(&host, port, security);
        let mut outcome = self.step(Event::Time);
        while outcome.is_none() {
            outcome = match self.network.poll() {
                Ok(Some(event)) => self.step(event),
                Ok(None) => self.wait(),
                Err(error) => {
                    tell(self.out, &format!("{error}; please report this"));
                    Some(Outcome::Failed)
                }
            };
        }
        match outcome {
            Some(outcome) if !self.is_token_refused => outcome,
            _ => Outcome::Failed,
        }
    }

    /// Waits for the network, for the machine's deadline, or for the end of the check.
    fn wait(&mut self) -> Option<Outcome> {
        let limit = self.limit;
        let deadline = self
            .connection
            .deadline()
            .map_or(limit, |deadline| deadline.min(limit));
        select! {
            recv(self.network.woken()) -> _ => None,
            recv(at(deadline)) -> _ => {
                if deadline == limit { Some(self.give_up()) } else { self.step(Event::Time) }
            }
        }
    }

    fn give_up(&mut self) -> Outcome {
        let seconds = LIMIT.as_secs();
        if self.is_connected {
            tell(
                self.out,
                &format!(
                    "no list has come within {seconds} s; with named MeshMetric backends that \
                     are all for other clients this is normal, see --name"
                ),
            );
            return Outcome::Silent;
        }
        let waiting_for = &self.waiting_for;
        tell(
            self.out,
            &format!("{waiting_for}: no answer within {seconds} s"),
        );
        Outcome::Failed
    }

    /// One event, and all that follows from it; the outcome, where there is one now.
    fn step(&mut self, event: Event) -> Option<Outcome> {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            for action in self.connection.step(Instant::now(), fastrand::f64(), event) {
                match action {
                    Action::Resolve => next = self.network.resolve().or(next),
                    Action::Diagnose(endpoint) => next = self.network.diagnose(endpoint).or(next),
                    Action::Open(endpoint, protocol, request) => {
                        self.waiting_for = format!("MADS at {}", endpoint.authority());
                        self.show_certificate(&endpoint.host, endpoint.port, endpoint.security);
                        next = self.network.open(&endpoint, protocol, request).or(next);
                    }
                    Action::HandOver(_) => return Some(Outcome::Answered),
                    Action::Report(report) => {
                        if let Some(outcome) = self.report(report) {
                            return Some(outcome);
                        }
                    }
                    Action::Send(request) => self.network.send(request),
                    Action::Close => self.network.close(),
                }
            }
        }
        None
    }

    fn report(&mut self, report: Report) -> Option<Outcome> {
        match report {
            Report::Trouble { reason, .. } => {
                tell(self.out, &format!("no connection: {reason}"));
                Some(Outcome::Failed)
            }
            // The failure of a question is told with the failure of the attempt.
            Report::Asked(question) if !question.is_answered => None,
            Report::Rejected { reason, .. } => {
                let reason = sanitize(&reason.to_string());
                tell(self.out, &format!("the list cannot be used: {reason}"));
                Some(Outcome::Failed)
            }
            Report::Accepted {
                assignments,
                targets,
                skipped,
                ..
            } => {
                let line = format!(
                    "a list has come: {assignments} assignments with {targets} targets, \
                     {skipped} skipped"
                );
                tell(self.out, &line);
                if targets == 0 {
                    tell(
                        self.out,
                        "the list is empty: either nothing is to be scraped, or no MeshMetric backend has \
                         this client name; see --name and the mesh's metrics settings",
                    );
                }
                None
            }
            Report::Received { .. } => None,
            other => {
                self.is_connected |= matches!(other, Report::Connected { .. });
                self.is_token_refused |= is_of_a_refused_token(&other);
                tell(self.out, &other.to_string());
                None
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
            tell(self.out, &describe_certificate(host, &certificate));
        }
    }
}

fn is_of_a_refused_token(report: &Report) -> bool {
    matches!(
        report,
        Report::Way(WayNote::Guessed {
            silence: Silence::TokenRefused { .. },
            ..
        })
    )
}

/// The result of what knows no limit of its own, such as reading a file, and is left behind where it
/// takes too long.
fn done_by<T: Send + 'static>(
    limit: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = bounded(1);
    // Where the system refuses a thread, there is no result either.
    let _ = thread::Builder::new().spawn(move || sender.send(work()));
    let limit = limit.min(Instant::now() + LOOK_LIMIT);
    receiver.recv_deadline(limit).ok()
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
