//! One daemon holds an output: what a claim does, refuses, leaves alone and cleans up.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use kuma_prometheus_sd::output::file::{ClaimError, OutputFile, check};

use super::{claim, folder, list};

use crate::support::files::{mode, names};

#[test]
fn a_claim_leaves_nothing_but_the_lock_beside_the_output() {
    let (folder, path) = folder();
    let output = claim(&path);
    assert_eq!(output.path(), path);
    assert_eq!(names(folder.path()), [".kuma.json.lock"]);
    drop(output);
    assert_eq!(names(folder.path()), [".kuma.json.lock"]);
}

#[test]
fn a_claim_does_not_touch_the_output() {
    let (_folder, path) = folder();
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    let look = || {
        let metadata = fs::metadata(&path).unwrap();
        (metadata.ino(), metadata.mode(), metadata.ctime(), metadata.ctime_nsec())
    };
    let before = look();
    let _output = claim(&path);
    assert_eq!(look(), before);
}

#[test]
fn an_output_is_held_by_one_daemon() {
    let (folder, path) = folder();
    let first = claim(&path);
    let lock = folder.path().join(".kuma.json.lock");
    let error = OutputFile::claim(&path, 0o644).unwrap_err();
    assert!(matches!(&error, ClaimError::Held { lock: held, .. } if *held == lock));
    let text = format!(
        "another kuma-prometheus-sd writes this output (process {} holds {}); stop it, or give \
         another --output-file",
        std::process::id(),
        lock.display()
    );
    assert_eq!(error.to_string(), text);
    // Its neighbour is another output.
    let _other = claim(&folder.path().join("other.json"));
    drop(first);
    let _second = claim(&path);
}

#[test]
fn the_lock_is_for_its_owner_alone() {
    let (folder, path) = folder();
    let lock = folder.path().join(".kuma.json.lock");
    drop(claim(&path));
    assert_eq!(mode(&lock), 0o600);
}

#[test]
fn a_name_that_prometheus_does_not_take_is_warned_of() {
    let folder = tempfile::TempDir::new().unwrap();
    for (name, is_warned_of) in [
        ("a.json", false),
        ("a.yml", false),
        ("a.b.yaml", false),
        ("a.JSON", false),
        ("a.Json", true),
        ("a.jsonl", true),
        ("a", true),
        ("json", true),
    ] {
        let path = folder.path().join(name);
        let (_, warnings) = OutputFile::claim(&path, 0o644).unwrap();
        let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        let text = format!("the output {} does not end in .json, .yml or .yaml", path.display());
        assert_eq!(texts.iter().any(|found| found.starts_with(&text)), is_warned_of, "{texts:?}");
        assert_eq!(warnings.len(), usize::from(is_warned_of), "{texts:?}");
    }
}

#[test]
fn a_check_finds_what_a_claim_would_and_writes_nothing() {
    let (folder, path) = folder();
    assert_eq!(check(&path).unwrap(), path);
    let missing = folder.path().join("a/b/kuma.json");
    assert_eq!(check(&missing).unwrap(), missing);
    assert_eq!(names(folder.path()), [""; 0]);
    let below_a_file = path.join("kuma.json");
    let output = claim(&path);
    fs::write(&path, "").unwrap();
    for refused in [&path, folder.path(), &below_a_file] {
        let expected = OutputFile::claim(refused, 0o644).unwrap_err().to_string();
        assert_eq!(check(refused).unwrap_err().to_string(), expected);
    }
    drop(output);
    assert_eq!(check(&path).unwrap(), path);
    // It has not kept the lock either.
    let _output = claim(&path);
}

#[test]
fn leftovers_of_a_killed_daemon_are_removed_and_nothing_else() {
    let (folder, path) = folder();
    let stay = [
        ".kuma.json.0123456789abcde.tmp",
        ".kuma.json.0123456789abcdef",
        ".kuma.json.0123456789abcdef.tmp~",
        ".kuma.json.0123456789abcdef0.tmp",
        ".kuma.json.notes-of-someone.tmp",
        ".other.json.0123456789abcdef.tmp",
        "kuma.json",
        "kuma.json.0123456789abcdef.tmp",
    ];
    for name in stay {
        fs::write(folder.path().join(name), "").unwrap();
    }
    for name in [".kuma.json.0123456789abcdef.tmp", ".kuma.json.ffffffffffffffff.tmp"] {
        fs::write(folder.path().join(name), "half a li").unwrap();
    }
    let _output = claim(&path);
    let mut expected = stay.map(str::to_owned).to_vec();
    expected.push(".kuma.json.lock".to_owned());
    expected.sort();
    assert_eq!(names(folder.path()), expected);
}

#[test]
fn a_daemon_that_is_refused_removes_nothing() {
    let (folder, path) = folder();
    let _first = claim(&path);
    let temporary = folder.path().join(".kuma.json.0123456789abcdef.tmp");
    fs::write(&temporary, "being written").unwrap();
    assert!(OutputFile::claim(&path, 0o644).is_err());
    assert!(temporary.exists());
}

#[test]
fn an_output_that_another_daemon_has_taken_over_is_not_written() {
    let (folder, path) = folder();
    let mut output = claim(&path);
    let lock = folder.path().join(".kuma.json.lock");
    fs::remove_file(&lock).unwrap();
    let other = claim(&path);
    let text = format!(
        "cannot lock {lock}: another kuma-prometheus-sd writes this output (process {process} \
         holds {lock}); stop it, or give another --output-file",
        process = std::process::id(),
        lock = lock.display()
    );
    assert_eq!(output.replace(&list(1)).unwrap_err().to_string(), text);
    assert_eq!(names(folder.path()), [".kuma.json.lock"]);
    drop(other);
    output.replace(&list(1)).unwrap();
}
