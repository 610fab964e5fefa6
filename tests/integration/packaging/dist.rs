//! `make dist`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::packaging::install::TREE;
use crate::packaging::tree::{self, files};
use crate::support::command::{command, repository, run};

const TARGET: &str = "x86_64-unknown-linux-musl";

/// Packs a program, under a umask, and returns the folder with the tarball.
#[track_caller]
fn pack(program: &Path, umask: &str, target_folder: &Path) -> PathBuf {
    let mut pack = command("sh");
    pack.args(["-c", &format!("umask {umask}; exec make --silent dist")])
        .current_dir(repository())
        .env("BINARY", program)
        .env("CARGO_TARGET_DIR", target_folder)
        .env("TARGET", TARGET)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .env("MAINTAINER", "Nobody <nobody@localhost>");
    run(&mut pack).successfully();
    target_folder.join("dist")
}

fn tarball() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("kuma-prometheus-sd-{version}-{TARGET}.tar.gz")
}

#[test]
fn the_same_program_packed_twice_gives_the_same_bytes() {
    let folder = tree::folder();
    let program = tree::program(folder.path());
    let first = pack(&program, "022", &folder.path().join("the first"));
    // As built again: the same bytes at another time, by somebody with another umask.
    tree::program(folder.path());
    let second = pack(&program, "077", &folder.path().join("the second"));
    for file in [&tarball(), "SHA256SUMS"] {
        let [first, second] =
            [&first, &second].map(|folder| fs::read(folder.join(file)).expect("it was packed"));
        assert!(first == second, "{file}");
    }
}

#[test]
fn what_is_packed_has_a_checksum_the_given_time_no_owner_and_an_order() {
    let folder = tree::folder();
    let packed = pack(&tree::program(folder.path()), "022", folder.path());
    let mut list = command("tar");
    list.args(["--list", "--verbose", "--utc", "--full-time", "--numeric-owner"])
        .args(["--file", &tarball()]);
    let ended = run(list.current_dir(&packed)).successfully();
    let mut names = Vec::new();
    for line in ended.output.lines() {
        let [_, owner, _, date, time, name] = line
            .split_whitespace()
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_else(|_| panic!("six columns: {line}"));
        assert_eq!([owner, date, time], ["0/0", "2023-11-14", "22:13:20"], "{line}");
        names.push(name);
    }
    assert!(names.is_sorted(), "{names:#?}");
    let mut check = command("sha256sum");
    check.args(["--check", "--strict", "SHA256SUMS"]);
    let ended = run(check.current_dir(packed)).successfully();
    assert_eq!(ended.output, format!("{}: OK\n", tarball()));
}

#[test]
fn the_checksums_name_only_what_was_packed_from_this_commit() {
    let folder = tree::folder();
    let packed = folder.path().join("dist");
    fs::create_dir(&packed).expect("a folder can be made");
    let version = env!("CARGO_PKG_VERSION");
    let old = packed.join(format!("kuma-prometheus-sd-{version}-of-yesterday.tar.gz"));
    fs::write(&old, "").expect("a file can be written");
    pack(&tree::program(folder.path()), "022", folder.path());
    // What is packed later from the same commit comes in addition.
    let new = packed.join(format!("kuma-prometheus-sd-{version}-of-now.tar.gz"));
    fs::write(&new, "").expect("a file can be written");
    // A signature does not outlive the checksums that it is of.
    let signature = packed.join("SHA256SUMS.sig");
    fs::write(&signature, "").expect("a file can be written");
    pack(&tree::program(folder.path()), "022", folder.path());
    let sums = fs::read_to_string(packed.join("SHA256SUMS")).expect("it was written");
    let names: Vec<_> = sums.lines().filter_map(|line| line.split("  ").nth(1)).collect();
    let new = new.file_name().and_then(|name| name.to_str());
    assert_eq!(names, [new.expect("it has a name"), &tarball()]);
    assert!(!old.exists() && !signature.exists());
}

#[test]
fn the_tarball_installs_the_same_tree_without_make() {
    let folder = tree::folder();
    let packed = pack(&tree::program(folder.path()), "022", folder.path());
    run(command("tar").args(["xzf", &tarball()]).current_dir(&packed)).successfully();
    let unpacked = packed.join(tarball().trim_end_matches(".tar.gz"));
    for file in ["LICENSE", "README.md", "CHANGELOG.md", "docs", "packaging/Containerfile"] {
        assert!(unpacked.join(file).exists(), "{file}");
    }
    let root = folder.path().join("root");
    let mut install = command("sh");
    install.args(["packaging/install.sh", "install"]).current_dir(&unpacked).env("DESTDIR", &root);
    run(&mut install).successfully();
    assert_eq!(files(&root), TREE);
}

#[test]
fn where_nothing_is_built_the_command_is_named() {
    let folder = tree::folder();
    for format in ["tarball", "deb", "rpm"] {
        let mut pack = command(repository().join("scripts/dist.sh"));
        pack.args([format, TARGET]).env("CARGO_TARGET_DIR", folder.path());
        let ended = run(&mut pack);
        assert_eq!(ended.code, Some(2), "{}", ended.output);
        assert!(ended.output.contains("`make static TARGET="), "{}", ended.output);
    }
}
