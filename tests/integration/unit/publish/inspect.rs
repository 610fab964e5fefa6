//! Whether the file is still ours.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use kuma_prometheus_sd::output::state_machine::Inspection;

use super::{claim, folder, list};

use crate::support::files::{mode, names};

#[test]
fn an_inspection_distinguishes_same_different_and_missing() {
    let (_folder, path) = folder();
    let mut output = claim(&path);
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Missing);
    output.replace(&list(1)).unwrap();
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Same);
    let bytes = list(1).bytes().to_vec();
    assert_eq!(output.inspect(&list(2)).unwrap(), Inspection::Different(bytes));
    fs::remove_file(&path).unwrap();
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Missing);
}

#[test]
fn a_new_daemon_knows_an_equal_file_as_the_same() {
    let (_folder, path) = folder();
    claim(&path).replace(&list(1)).unwrap();
    let mut output = claim(&path);
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Same);
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Same);
}

#[test]
fn an_inspection_sees_every_foreign_change() {
    let (folder, path) = folder();
    let content = list(3);
    let mut output = claim(&path);
    type Change = fn(&Path);
    let changes: [(&str, Change); 5] = [
        ("written anew", |path| fs::write(path, "[]\n").unwrap()),
        ("emptied", |path| drop(File::create(path).unwrap())),
        ("longer", |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes.push(b'\n');
            fs::write(path, bytes).unwrap();
        }),
        ("of the same length and age", |path| {
            let modified = fs::metadata(path).unwrap().modified().unwrap();
            let mut bytes = fs::read(path).unwrap();
            bytes[20] ^= 1;
            fs::write(path, bytes).unwrap();
            File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
        }),
        ("another file of the same length", |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[20] ^= 1;
            let other = path.with_extension("other");
            fs::write(&other, bytes).unwrap();
            fs::set_permissions(&other, Permissions::from_mode(0o644)).unwrap();
            fs::rename(other, path).unwrap();
        }),
    ];
    for (name, change) in changes {
        output.replace(&content).unwrap();
        assert_eq!(output.inspect(&content).unwrap(), Inspection::Same);
        // The clock of a file system may tick only every few milliseconds.
        thread::sleep(Duration::from_millis(20));
        change(&path);
        let found = fs::read(&path).unwrap();
        assert_ne!(found, content.bytes());
        for _ in 0..2 {
            let expected = Inspection::Different(found.clone());
            assert_eq!(output.inspect(&content).unwrap(), expected, "{name}");
        }
    }
    assert_eq!(names(folder.path()), [".kuma.json.lock", "kuma.json"]);
}

#[test]
fn another_mode_is_a_foreign_change_too() {
    let (_folder, path) = folder();
    let mut output = claim(&path);
    output.replace(&list(1)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let expected = Inspection::OtherMode(0o600);
    assert_eq!(output.inspect(&list(1)).unwrap(), expected);
    output.replace(&list(1)).unwrap();
    assert_eq!(mode(&path), 0o644);
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Same);
}

#[test]
fn a_touched_file_with_the_same_content_is_the_same() {
    let (_folder, path) = folder();
    let mut output = claim(&path);
    output.replace(&list(1)).unwrap();
    thread::sleep(Duration::from_millis(20));
    fs::write(&path, list(1).bytes()).unwrap();
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Same);
}
