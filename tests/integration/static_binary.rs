//! The binary that is shipped: small, linked to nothing, and at home in a root with nothing else in
//! it. `make test-static` says which binary, and lets all other tests of the daemon run on it too.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kuma_stand_in::{Authority, ControlPlane, KumaVersion, Tls, Validity};

use crate::support::name_server::{Answer, NameServer};
use crate::support::{own_process, secure};

/// What an operator may copy to any machine without a thought.
const SIZE_LIMIT: u64 = 6_000_000;

/// A name that no name server is asked for.
const IN_HOSTS: &str = "kuma-control-plane.internal";

/// The binary; `None` where there is none to test.
fn binary() -> Option<PathBuf> {
    let binary = env::var_os("KUMA_PROMETHEUS_SD_BINARY").map(PathBuf::from);
    if binary.is_none() {
        println!("left to `make test-static`, which names a binary");
    }
    binary
}

#[test]
fn it_is_small_and_stripped_and_linked_to_nothing_and_names_its_crates() {
    let Some(binary) = binary() else {
        return;
    };
    let size = fs::metadata(&binary).unwrap().len();
    println!("{size} bytes");
    assert!(size <= SIZE_LIMIT, "{size} bytes");

    let output = Command::new("readelf")
        .args(["--wide", "--program-headers", "--dynamic", "--sections"])
        .arg(&binary)
        .output()
        .expect("readelf is where a linker is");
    assert!(output.status.success(), "{output:?}");
    let facts = String::from_utf8(output.stdout).unwrap();
    assert!(facts.contains("LOAD"), "{facts}");
    assert!(facts.contains(".dep-v0"), "no list of crates for scanners: {facts}");
    for unwanted in ["INTERP", "(NEEDED)", ".symtab", ".debug"] {
        assert!(!facts.contains(unwanted), "{unwanted} in:\n{facts}");
    }
}

#[test]
fn it_runs_in_an_empty_root_with_names_and_certificates() {
    let Some(binary) = binary() else {
        return;
    };
    let test = it_runs_in_an_empty_root_with_names_and_certificates;
    let side = own_process::in_namespaces(&["--mount", "--net"], "ip link set lo up", test);
    let Some(root) = side.inside() else {
        return;
    };
    let authority = Authority::new("the authority");
    fs::copy(binary, root.join("kuma-prometheus-sd")).unwrap();
    put(&root, "etc/hosts", &format!("127.0.0.1 localhost {IN_HOSTS}\n"));
    put(&root, "etc/resolv.conf", "nameserver 127.0.0.1\n");
    put(&root, "etc/ssl/certs/ca-certificates.crt", &authority.pem());
    let names = NameServer::start();

    let old = ControlPlane::start(KumaVersion::V2_6);
    let new = ControlPlane::start(KumaVersion::V2_12);
    let identity = authority.server(&[IN_HOSTS], Validity::Valid);
    let secure = secure::plane(&Tls::new(&identity));
    let [http_port, https_port] = [&new, &secure].map(|plane| plane.api().address().port());
    for (scheme, host, port, told) in [
        ("grpc", IN_HOSTS, old.port(), "over gRPC v1"),
        ("grpc", "in.dns.test", old.port(), "over gRPC v1"),
        ("http", IN_HOSTS, http_port, "over HTTP v1"),
        ("http", "in.dns.test", http_port, "over HTTP v1"),
        ("https", IN_HOSTS, https_port, "over HTTP v1 with TLS"),
    ] {
        let address = format!("{scheme}://{host}:{port}");
        let output = check(&root, &address);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{address}: {output:?}");
        assert!(stdout.contains(told), "{address}: {stdout}");
    }

    // musl compares a name with the hosts file's as it is written.
    names.set(Answer::NoSuchName);
    for address in
        [format!("grpc://LOCALHOST:{}", old.port()), format!("http://LocalHost:{http_port}")]
    {
        let output = check(&root, &address);
        assert!(output.status.success(), "{address}: {output:?}");
    }

    for answer in [Answer::Silence, Answer::Failure] {
        names.set(answer);
        let output = check(&root, &format!("http://in.dns.test:{http_port}"));
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.contains("no name server gives an answer"), "{stdout}");
    }
}

/// Tries an address from within the root.
fn check(root: &Path, address: &str) -> Output {
    Command::new("chroot")
        .arg(root)
        .args(["/kuma-prometheus-sd", "check", "--cp-address", address])
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .output()
        .expect("chroot can be run")
}

fn put(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}
