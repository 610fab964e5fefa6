//! Each form of address, at each control plane: `check` passes and `run` writes the right list as
//! dataplanes come, change and go, or both refuse with the documented words.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use kuma_stand_in::Authority;

use crate::real_kuma::control_plane::{ControlPlane, Ports, hand_out_certificate};
use crate::real_kuma::form::{FORMS, Form, Verdict};
use crate::real_kuma::list::{Dataplane, Source, enable_metrics, list};
use crate::real_kuma::table::Table;
use crate::real_kuma::version::Folder;
use crate::support::harness::{Daemon, Launch, wait_until};

/// A control plane tells of a change within its refresh interval, a second or two.
pub(crate) const CHANGED_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn each_form_of_address_is_followed_or_refused() {
    let Some(folder) = Folder::open("each_form_of_address_is_followed_or_refused") else {
        return;
    };
    let mut table = Table::default();
    let mut another = Vec::new();
    for version in folder.versions() {
        for mads_tls in [false, true] {
            if mads_tls && !version.has_mads_tls() {
                continue;
            }
            let plane = ControlPlane::start(&folder, version, Ports::free(), mads_tls);
            follow(&plane, &another, &mut table);
            if version.has_api_tls() {
                another = fs::read(plane.certificate()).unwrap();
            }
        }
    }
    table.judge();
}

/// Lets a daemon follow a control plane by each form of address; `another` is the certificate of
/// another one.
fn follow(plane: &ControlPlane, another: &[u8], table: &mut Table) {
    let trust = tempfile::tempdir().unwrap();
    let [own, other] = ["own.pem", "another.pem"].map(|name| trust.path().join(name));
    fs::write(&own, Authority::new("of a later control plane").pem()).unwrap();
    hand_out_certificate(plane, &own);
    fs::write(&other, another).unwrap();
    enable_metrics(plane, "default");
    let mut mesh = vec![
        Dataplane::new("app-1", "10.0.0.1", "prod"),
        Dataplane::new("app-2", "10.0.0.2", "prod"),
    ];
    mesh.iter().for_each(|dataplane| dataplane.put(plane));

    // There is no other certificate yet where this is the first control plane that makes one.
    let forms: Vec<_> = FORMS
        .iter()
        .filter(|form| !another.is_empty() || !form.name().contains("another"))
        .collect();
    let expected = list(plane.version, Source::Enabled, &mesh);
    let tried: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = forms
            .iter()
            .map(|form| scope.spawn(|| attempt(plane, form, &own, &other, &expected)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut daemons = Vec::new();
    for (form, outcome) in forms.into_iter().zip(tried) {
        let what = row(plane, form);
        let told = match outcome {
            Ok(Tried::Followed(daemon)) => {
                daemons.push((what.clone(), daemon));
                Ok("followed".to_owned())
            }
            Ok(Tried::Refused(line)) => Ok(format!("refused: {line}")),
            Err(reason) => Err(reason),
        };
        table.row(&what, told);
    }

    let mut step = |told: &str, mesh: &[Dataplane]| {
        let expected = list(plane.version, Source::Enabled, mesh);
        for (what, daemon) in &daemons {
            let outcome = wait_for_list(daemon, &expected, CHANGED_WITHIN);
            if let Err(reason) = outcome {
                table.row(&format!("{what}, {told}"), Err(reason));
            }
        }
    };
    mesh.push(Dataplane::new("app-3", "10.0.0.3", "staging"));
    mesh[2].put(plane);
    step("one that has come", &mesh);
    mesh[0].env = "staging".to_owned();
    mesh[0].put(plane);
    mesh[1].address = "10.0.1.2".to_owned();
    mesh[1].put(plane);
    step("two that have changed", &mesh);
    mesh.remove(0).delete(plane);
    step("one that has gone", &mesh);
    mesh.drain(..).for_each(|dataplane| dataplane.delete(plane));
    step("an empty mesh", &[]);
}

/// What came of an address, as it must.
enum Tried {
    Followed(Daemon),
    /// In these words.
    Refused(String),
}

fn attempt(
    plane: &ControlPlane,
    form: &Form,
    own: &Path,
    another: &Path,
    expected: &str,
) -> Result<Tried, String> {
    let url = form.url(&plane.ports);
    let check = Launch::bare().argument("check").argument(format!("--cp-address={url}"));
    let check = form.trusting(check, own, another);
    let run = form.trusting(Launch::follow(&url), own, another);
    match form.verdict(plane.version, plane.mads_tls) {
        Verdict::Followed => {
            let daemon = run.start();
            wait_for_list(&daemon, expected, CHANGED_WITHIN)?;
            let checked = check.run_to_its_end();
            match checked.code {
                Some(0) => Ok(Tried::Followed(daemon)),
                _ => Err(format!("check: {}", checked.stdout)),
            }
        }
        Verdict::Refused(words) => {
            let checked = check.run_to_its_end();
            let is_refusal =
                |line: &&str| line.starts_with("no connection: ") && line.contains(words);
            let refusal = match checked.stdout.lines().find(is_refusal) {
                Some(refusal) if checked.code == Some(1) => plain_refusal(refusal)?,
                _ => return Err(format!("check is not refused: {}", checked.stdout)),
            };
            let daemon = run.start();
            let is_refused = wait_until(CHANGED_WITHIN, || daemon.lines_with(words) > 0);
            let log = plain_refusal(&daemon.log())?;
            match daemon.file() {
                None if is_refused => Ok(Tried::Refused(refusal)),
                None => Err(format!("run is not refused: {log}")),
                Some(file) => Err(format!("a list was written: {file}")),
            }
        }
    }
}

/// A text that is for people, unless it shows the form that Rust has for debugging.
fn plain_refusal(text: &str) -> Result<String, String> {
    match text.contains("Error(") || text.contains("Other(") {
        true => Err(format!("a debug form is shown: {text}")),
        false => Ok(text.to_owned()),
    }
}

fn row(plane: &ControlPlane, form: &Form) -> String {
    let mads = if plane.mads_tls { ", TLS for MADS" } else { "" };
    format!("{}{mads} | {}", plane.version, form.name())
}

/// Waits until the file has this list; says what is wrong where it does not come.
pub(crate) fn wait_for_list(
    daemon: &Daemon,
    expected: &str,
    timeout: Duration,
) -> Result<(), String> {
    let has_it = || daemon.file().as_deref() == Some(expected);
    if wait_until(timeout, has_it) {
        return Ok(());
    }
    let file = daemon.file().unwrap_or_else(|| "no file".to_owned());
    let log = daemon.log();
    let last = log.lines().count().saturating_sub(3);
    let last: Vec<_> = log.lines().skip(last).collect();
    Err(format!(
        "the file is not\n{expected}but\n{file}\nand the log ends with\n{}",
        last.join("\n")
    ))
}
