//! What the daemon is made of: licences that allow it, nothing that it is not to have, each crate in
//! one version. That none wants a newer Rust than is promised, `make minimum-rust` shows.
//!
//! A look at `cargo metadata` instead of a tool for this, which would take longer to build than the
//! daemon itself.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;

/// Licences under which a part of a binary may be given away under Apache-2.0, with a notice at most.
const ALLOWED_LICENCES: [&str; 9] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
];

/// What must not come in by some dependency, and why.
const BANNED: [(&str, &str); 6] = [
    ("openssl-sys", "TLS is rustls: a static binary, no TLS stack in C"),
    ("native-tls", "the same"),
    ("aws-lc-sys", "ring is the cryptography: one library, and less C to compile"),
    ("tokio", "blocking threads, no async runtime"),
    ("async-std", "the same"),
    ("chrono", "jiff knows the time, and is there by the log's library"),
];

/// Crates that are there in more than one version, and why that is borne.
const DUPLICATES: [(&str, &str); 6] = [
    ("getrandom", "0.2 for ring; newer only for the generator of wire types, at build time"),
    ("linux-raw-sys", "an older one for the generator of wire types, at build time"),
    ("rustix", "the same"),
    ("syn", "for macros, at build time; the crates are moving from 2 to 3"),
    ("thiserror", "1 for protobuf, 2 for x509-parser; macros, which leave nothing in the binary"),
    ("thiserror-impl", "the same"),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) manifest_path: PathBuf,
    source: Option<String>,
    targets: Vec<Target>,
    dependencies: Vec<Declared>,
}

/// A dependency as `Cargo.toml` has it.
#[derive(Deserialize)]
struct Declared {
    name: String,
    kind: Option<String>,
    optional: bool,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

impl Package {
    pub(crate) fn is_ours(&self) -> bool {
        self.name == env!("CARGO_PKG_NAME")
    }

    /// Whether it only helps to build others.
    fn is_macro(&self) -> bool {
        let mut kinds = self.targets.iter().flat_map(|target| &target.kind);
        kinds.any(|kind| kind == "proc-macro")
    }
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// What the daemon could be made of.
fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        let output = Command::new(env::var_os("CARGO").expect("cargo runs the tests"))
            .args(["metadata", "--format-version=1", "--locked", "--offline"])
            .args(["--filter-platform", "x86_64-unknown-linux-musl"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo can be run");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    })
}

/// The daemon and all that it is built with and from, tests left out.
fn parts() -> Vec<&'static Package> {
    reach(|_, kind| kind != Some("dev"))
}

/// The daemon and all whose code is in the binary.
pub(crate) fn linked() -> Vec<&'static Package> {
    reach(|package, kind| kind.is_none() && !package.is_macro())
}

/// The packages that the daemon leads to, by dependencies that are to be followed.
fn reach(is_to_follow: impl Fn(&Package, Option<&str>) -> bool) -> Vec<&'static Package> {
    let metadata = metadata();
    let package = |id: &str| metadata.packages.iter().find(|package| package.id == id);
    let daemon = metadata.packages.iter().find(|package| package.is_ours());
    let mut used = BTreeSet::new();
    let mut to_visit = vec![daemon.unwrap().id.as_str()];
    while let Some(id) = to_visit.pop() {
        if !used.insert(id) {
            continue;
        }
        let node = metadata.resolve.nodes.iter().find(|node| node.id == id);
        let is_part = |dependency: &&Dependency| {
            let package = package(&dependency.pkg).unwrap();
            let mut kinds = dependency.dep_kinds.iter();
            kinds.any(|kind| is_to_follow(package, kind.kind.as_deref()))
        };
        let parts = node.unwrap().deps.iter().filter(is_part);
        to_visit.extend(parts.map(|dependency| dependency.pkg.as_str()));
    }
    let packages = metadata.packages.iter();
    packages.filter(|package| used.contains(package.id.as_str())).collect()
}

/// Whether an SPDX expression can be met with the allowed licences.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    if let Some((before, rest)) = expression.split_once('(') {
        let (inner, after) = rest.split_once(')').expect("a bracket is closed");
        // What stands in brackets is as good as one licence, allowed or not.
        let stand_in = if is_allowed(inner) { "MIT" } else { "forbidden" };
        return is_allowed(&format!("{before}{stand_in}{after}"));
    }
    expression.split(" OR ").any(|alternative| {
        let mut licences = alternative.split(" AND ");
        licences.all(|licence| ALLOWED_LICENCES.contains(&licence.trim()))
    })
}

#[test]
fn an_expression_is_met_by_one_alternative_in_full() {
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("Unlicense/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("(GPL-3.0 AND MIT) OR LGPL-2.1", false),
        ("MIT AND (GPL-3.0 OR AGPL-3.0)", false),
    ] {
        assert_eq!(is_allowed(expression), expected, "{expression}");
    }
}

#[test]
fn every_licence_is_allowed() {
    for package in parts() {
        let licence = package.license.as_deref().unwrap_or("none");
        assert!(is_allowed(licence), "{}: {licence}", package.name);
    }
}

/// The fuzzers are a workspace of their own, whose lock file no other build looks at.
#[test]
fn the_fuzzers_lock_file_has_what_the_daemon_depends_on() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/Cargo.lock");
    let lock = fs::read_to_string(path).unwrap();
    let daemon = format!("name = \"{}\"\n", env!("CARGO_PKG_NAME"));
    let (_, daemon) = lock.split_once(&daemon).unwrap();
    let (daemon, _) = daemon.split_once("\n]\n").unwrap();
    let locked: BTreeSet<&str> = daemon
        .lines()
        .filter_map(|line| line.strip_prefix(" \"")?.split(['"', ' ']).next())
        .collect();
    let metadata = metadata();
    let ours = metadata.packages.iter().find(|package| package.is_ours());
    let expected: BTreeSet<&str> = ours
        .unwrap()
        .dependencies
        .iter()
        .filter(|dependency| !dependency.optional && dependency.kind.as_deref() != Some("dev"))
        .map(|dependency| dependency.name.as_str())
        .collect();
    assert_eq!(locked, expected, "renew it: `cd fuzz && cargo update -w`");
}

#[test]
fn nothing_banned_comes_in() {
    for (name, reason) in BANNED {
        let comes_in = parts().iter().any(|package| package.name == name);
        assert!(!comes_in, "{name}: {reason}");
    }
}

#[test]
fn everything_comes_from_the_registry() {
    for package in parts() {
        let source = package.source.as_deref().unwrap_or("this repo");
        assert!(package.is_ours() || source.starts_with("registry+"), "{}: {source}", package.name);
    }
}

#[test]
fn every_crate_is_there_in_one_version_but_for_some() {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in parts() {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let found: Vec<_> = versions.keys().copied().collect();
    let expected = DUPLICATES.map(|(name, _)| name);
    assert_eq!(found, expected, "{versions:?}");
}
