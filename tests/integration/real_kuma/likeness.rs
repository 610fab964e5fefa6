//! The stand-in held to the real thing: the same questions to both, on the same ports, get the same
//! answers.
//!
//! Where they differ, the stand-in is wrong.

use std::thread;
use std::time::{Duration, Instant};

use kuma_stand_in::{Authority, KumaVersion, Plan, Role, Tls, Validity};

use crate::real_kuma::addresses::CHANGED_WITHIN;
use crate::real_kuma::asking::{Question, send};
use crate::real_kuma::control_plane::{ControlPlane, Ports};
use crate::real_kuma::list::{Dataplane, METRICS, enable_metrics};
use crate::real_kuma::table::Table;
use crate::real_kuma::version::{Folder, Version};
use crate::support::harness::{Launch, wait_until};

/// The preface of HTTP/2, and settings.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Neither HTTP nor TLS, and longer than the preface of HTTP/2.
const GARBAGE: &[u8] = b"hello, hello, hello, is anybody there?\r\n\r\n";

const PLAINTEXT: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

const DISCOVERY: &str = "/v3/discovery:monitoringassignments";

const PATHS: [&str; 5] = ["/", "/catalog", "/config", DISCOVERY, "/nothing"];

const ACCEPTS: [&str; 5] =
    ["", "*/*", "application/json", "application/json, */*;q=0.1", "text/html"];

/// Bodies of polls without a version.
const BODIES: [&str; 12] = [
    r#"{"node":{"id":"a"},"type_url":"type.googleapis.com/kuma.observability.v1.MonitoringAssignment"}"#,
    r#"{"version_info":"","node":{"id":"a"}}"#,
    r#"{"versionInfo":"old","node":{"id":"a","cluster":"b"}}"#,
    r#"{"node":{"id":"a"},"more":1}"#,
    r#"{"node":{"id":"a","more":1}}"#,
    r#"{"node":{"id":"a"},"type_url":"another"}"#,
    r#"{"node":{"id":""}}"#,
    r#"{"node":{}}"#,
    "{}",
    "[]",
    "no JSON",
    "",
];

/// What the query of a poll says about how long it may be held.
const HOLDS: [&str; 6] = [
    "",
    "fetch-timeout=",
    "fetch-timeout=0s",
    "fetch-timeout=-1s",
    "fetch-timeout=1d",
    "fetch-timeout=30",
];

/// What `check` is told to use.
const PINS: [&[&str]; 4] = [
    &[],
    &["--transport=grpc", "--api-version=v1"],
    &["--transport=grpc", "--api-version=v1alpha1"],
    &["--transport=http"],
];

/// What kind of control plane is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plaintext,
    MadsTls,
    Global,
}

/// Questions and their answers, in words.
type Answers = Vec<(String, String)>;

#[test]
fn the_stand_in_answers_as_the_real_control_plane_does() {
    let Some(folder) = Folder::open("the_stand_in_answers_as_the_real_control_plane_does") else {
        return;
    };
    let mut table = Table::default();
    for version in folder.versions() {
        let Some(kuma) = version.stand_in() else {
            table.row(&version.to_string(), Ok("not played by the stand-in".to_owned()));
            continue;
        };
        for kind in [Kind::Plaintext, Kind::MadsTls, Kind::Global] {
            if kind == Kind::MadsTls && !version.has_mads_tls() {
                continue;
            }
            let ports = Ports::free();
            let real = ask_real(&folder, version, kind, ports);
            let played = ask_stand_in(kuma, version, kind, ports);
            compare(&format!("{version} {kind:?}"), &real, &played, &mut table);
        }
    }
    table.judge();
}

fn compare(what: &str, real: &Answers, played: &Answers, table: &mut Table) {
    assert_eq!(real.len(), played.len());
    let mut alike = 0;
    for ((question, real), (asked, played)) in real.iter().zip(played) {
        assert_eq!(question, asked);
        if real == played {
            alike += 1;
        } else {
            let reason = format!("\n  real:     {real}\n  stand-in: {played}");
            table.row(&format!("{what} | {question}"), Err(reason));
        }
    }
    table.row(what, Ok(format!("{alike} of {} answers are alike", real.len())));
}

fn ask_real(folder: &Folder, version: Version, kind: Kind, ports: Ports) -> Answers {
    let plane = match kind {
        Kind::Global => ControlPlane::start_global(folder, version, ports),
        _ => ControlPlane::start(folder, version, ports, kind == Kind::MadsTls),
    };
    if kind != Kind::Global {
        enable_metrics(&plane, "default");
        Dataplane::new("app-1", "10.0.0.1", "prod").put(&plane);
        wait_for_the_dataplane(&ports);
    }
    let mut answers = ask(kind, ports);
    answers.extend(ask_api_tls(version, ports));
    answers
}

/// Waits until the dataplane is in MADS.
fn wait_for_the_dataplane(ports: &Ports) {
    let address = format!("http://127.0.0.1:{}", ports.api);
    let daemon = Launch::follow(&address).argument("--tls-skip-verify").start();
    let has_it = || daemon.file().is_some_and(|file| file.contains("app-1"));
    assert!(wait_until(CHANGED_WITHIN, has_it), "{}", daemon.log());
}

fn ask_stand_in(kuma: KumaVersion, version: Version, kind: Kind, ports: Ports) -> Answers {
    let tls = || {
        let authority = Authority::new("an authority");
        Tls::new(&authority.server(&["127.0.0.1"], Validity::Valid))
    };
    let plan = Plan {
        port: Some(ports.mads),
        api_port: Some(ports.api),
        tls: (kind == Kind::MadsTls).then(tls),
        role: if kind == Kind::Global { Role::Global } else { Role::Zone },
        ..Plan::new(kuma)
    };
    let start = |plan: Plan| {
        let plane = plan.start().expect("the ports of the real one are free again");
        let address = format!("10.0.0.1:{}", METRICS.0);
        let dataplane = kuma_stand_in::Dataplane::new("app", "app-1", &address);
        plane.publish(&[dataplane.tag("env", "prod").tag("kuma.io/zone", "default")]);
        plane
    };
    let plane = start(plan.clone());
    let mut answers = ask(kind, ports);
    drop(plane);
    // The real one has both at once.
    let _plane = start(Plan { api_port: Some(ports.api_tls), api_tls: Some(tls()), ..plan });
    answers.extend(ask_api_tls(version, ports));
    answers
}

/// All that is asked of MADS and of the API server without TLS.
fn ask(kind: Kind, ports: Ports) -> Answers {
    let mut answers = ask_each_path("API server", ports.api, false);
    answers.extend(ask_openings("API server", ports.api));
    let is_tls = kind == Kind::MadsTls;
    if kind != Kind::Global {
        answers.extend(ask_each_path("MADS", ports.mads, is_tls));
        answers.extend(ask_openings("MADS", ports.mads));
        answers.extend(ask_polls(ports.mads, is_tls));
    }
    let addresses = [
        format!("http://127.0.0.1:{}", ports.api),
        format!("http://127.0.0.1:{}", ports.mads),
        format!("grpc://127.0.0.1:{}", ports.mads),
        format!("https://127.0.0.1:{}", ports.mads),
        format!("https://127.0.0.1:{}", ports.api),
    ];
    answers.extend(check(&addresses));
    answers
}

/// All that is asked of the API server over TLS, where there is one.
fn ask_api_tls(version: Version, ports: Ports) -> Answers {
    if !version.has_api_tls() {
        return Vec::new();
    }
    let mut answers = ask_each_path("API server over TLS", ports.api_tls, true);
    answers.extend(ask_openings("API server over TLS", ports.api_tls));
    let addresses = [
        format!("https://127.0.0.1:{}", ports.api_tls),
        format!("http://127.0.0.1:{}", ports.api_tls),
        format!("grpc://127.0.0.1:{}", ports.api_tls),
    ];
    answers.extend(check(&addresses));
    answers
}

fn ask_each_path(server: &str, port: u16, is_tls: bool) -> Answers {
    let question = |method, path: &str, accept| Question {
        is_tls,
        port,
        method,
        target: path.to_owned(),
        accept,
        content_type: "",
        body: None,
    };
    let mut answers = Answers::new();
    for path in PATHS {
        for accept in ACCEPTS {
            let name = format!("{server}: GET {path}, Accept {accept:?}");
            answers.push((name, question("GET", path, accept).ask()));
        }
        let name = format!("{server}: DELETE {path}");
        answers.push((name, question("DELETE", path, "").ask()));
    }
    answers
}

fn ask_openings(server: &str, port: u16) -> Answers {
    let openings = [("HTTP/2", HTTP_2), ("garbage", GARBAGE), ("plaintext", PLAINTEXT)];
    openings.map(|(name, bytes)| (format!("{server}: {name}"), send(port, bytes))).into()
}

fn ask_polls(port: u16, is_tls: bool) -> Answers {
    let poll = |query: &str, accept, body: &str| Question {
        is_tls,
        port,
        method: "POST",
        target: format!("{DISCOVERY}?{query}"),
        accept,
        content_type: "application/json",
        body: Some(body.to_owned()),
    };
    let hold = "fetch-timeout=1s";
    let mut answers = Answers::new();
    for body in BODIES {
        answers.push((format!("poll {body}"), poll(hold, "", body).ask()));
    }
    for accept in ACCEPTS {
        let answer = poll(hold, accept, BODIES[0]).ask();
        answers.push((format!("poll, Accept {accept:?}"), answer));
    }
    for query in HOLDS {
        answers.push((format!("poll ?{query}"), poll(query, "", BODIES[0]).ask()));
    }
    if let Some(version) = poll(hold, "", BODIES[0]).version() {
        let body = format!(r#"{{"version_info":"{version}","node":{{"id":"a"}}}}"#);
        for (query, least) in [("fetch-timeout=1s", 1000), ("fetch-timeout=1500ms", 1500)] {
            let asked = Instant::now();
            let answer = poll(query, "", &body).ask();
            let is_held = asked.elapsed() >= Duration::from_millis(least);
            let name = format!("poll ?{query} with the version of now");
            answers.push((name, format!("{answer}, held: {is_held}")));
        }
        let answer = poll("fetch-timeout=0s", "", &body).ask();
        answers.push(("poll without a hold".to_owned(), answer));
    }
    let mut untyped = poll(hold, "", BODIES[0]);
    untyped.content_type = "text/plain";
    answers.push(("poll of type text/plain".to_owned(), untyped.ask()));
    answers
}

/// What `check` says of each address, over each transport.
fn check(addresses: &[String]) -> Answers {
    let check = |address: &String, pins: &[&str]| {
        let launch = Launch::bare()
            .argument("check")
            .argument("--tls-skip-verify")
            .argument(format!("--cp-address={address}"))
            .arguments(pins.iter().copied());
        let told = launch.run_to_its_end().stdout;
        // Which certificate it is, is not the question.
        let lines = told.lines().filter(|line| !line.starts_with("the certificate of"));
        (
            format!("check {address} {}", pins.join(" ")),
            lines.map(|line| format!("\n    {line}")).collect(),
        )
    };
    thread::scope(|scope| {
        let threads: Vec<_> = addresses
            .iter()
            .flat_map(|address| PINS.map(|pins| (address, pins)))
            .map(|(address, pins)| scope.spawn(move || check(address, pins)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
