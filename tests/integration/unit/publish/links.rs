//! Outputs that are symbolic links: they stay links, and what they point to is replaced.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use kuma_prometheus_sd::output::file::{ClaimError, OutputFile};
use kuma_prometheus_sd::output::state_machine::Inspection;
use tempfile::TempDir;

use super::{claim, list, refusal};

use crate::support::files::names;

/// Writes through `link`, and sees that it is a link to `target` before and after.
#[track_caller]
fn assert_written_through(link: &Path, target: &Path) {
    let before = fs::read_link(link).unwrap();
    let mut output = claim(link);
    assert!(fs::read_link(link).unwrap() == before);
    for targets in [2, 1] {
        output.replace(&list(targets)).unwrap();
        assert_eq!(fs::read_link(link).unwrap(), before);
        assert_eq!(fs::read(target).unwrap(), list(targets).bytes());
        assert!(fs::symlink_metadata(target).unwrap().is_file());
    }
    // Temporary file and lock lie beside the target, so that a rename reaches it.
    let name = target.file_name().unwrap().to_str().unwrap();
    let lock = format!(".{name}.lock");
    assert!(target.with_file_name(&lock).exists());
    assert!(link.parent() == target.parent() || !link.with_file_name(lock).exists());
}

#[test]
fn a_link_stays_a_link_and_its_target_is_replaced() {
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("data/real.json");
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(&target, "old").unwrap();
    let link = folder.path().join("kuma.json");
    symlink(&target, &link).unwrap();
    assert_written_through(&link, &target);
    assert_eq!(names(folder.path()), ["data", "kuma.json"]);
    assert_eq!(names(&folder.path().join("data")), [".real.json.lock", "real.json"]);
}

#[test]
fn a_dangling_link_gets_its_target_with_missing_directories() {
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("a/b/real.json");
    let link = folder.path().join("kuma.json");
    symlink(&target, &link).unwrap();
    assert_written_through(&link, &target);
}

#[test]
fn a_relative_link_is_taken_from_its_own_directory() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("etc")).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let link = folder.path().join("etc/kuma.json");
    symlink("../data/real.json", &link).unwrap();
    assert_written_through(&link, &folder.path().join("data/real.json"));
    let link = folder.path().join("etc/neighbour.json");
    symlink("real.json", &link).unwrap();
    assert_written_through(&link, &folder.path().join("etc/real.json"));
}

#[test]
fn a_chain_of_links_is_followed_to_its_end() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    let link = folder.path().join("kuma.json");
    symlink("a/second.json", &link).unwrap();
    symlink("../third.json", folder.path().join("a/second.json")).unwrap();
    symlink(folder.path().join("real.json"), folder.path().join("third.json")).unwrap();
    assert_written_through(&link, &folder.path().join("real.json"));
    assert!(fs::read_link(folder.path().join("third.json")).is_ok());
}

#[test]
fn a_link_among_the_directories_is_followed_too() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("real")).unwrap();
    symlink("real", folder.path().join("current")).unwrap();
    claim(&folder.path().join("current/kuma.json")).replace(&list(1)).unwrap();
    let real = folder.path().join("real");
    assert_eq!(names(&real), [".kuma.json.lock", "kuma.json"]);
}

#[test]
fn a_link_that_changes_is_followed_at_each_look_and_each_write() {
    let folder = TempDir::new().unwrap();
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    for directory in [&old, &new] {
        fs::create_dir(directory).unwrap();
    }
    let leftover = new.join(".real.json.0123456789abcdef.tmp");
    fs::write(&leftover, "half a li").unwrap();
    let link = folder.path().join("kuma.json");
    symlink("old/real.json", &link).unwrap();
    let mut output = claim(&link);
    output.replace(&list(1)).unwrap();
    assert_eq!(output.take_moved(), None);

    fs::remove_file(&link).unwrap();
    symlink("new/real.json", &link).unwrap();
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Missing);
    let moved = output.take_moved().unwrap();
    assert_eq!(moved.from, old.join("real.json").display().to_string());
    assert_eq!(moved.to, new.join("real.json").display().to_string());
    assert_eq!(output.take_moved(), None);
    output.replace(&list(2)).unwrap();
    assert_eq!(output.path(), new.join("real.json"));
    assert_eq!(fs::read(old.join("real.json")).unwrap(), list(1).bytes());
    assert_eq!(fs::read(&link).unwrap(), list(2).bytes());
    // The lock and the leftovers go with the file.
    assert_eq!(names(&new), [".real.json.lock", "real.json"]);
    let other = claim(&old.join("real.json"));
    assert!(matches!(
        OutputFile::claim(&new.join("real.json"), 0o644),
        Err(ClaimError::Held { .. })
    ));

    // It is not written where another daemon writes.
    fs::remove_file(&link).unwrap();
    symlink("old/real.json", &link).unwrap();
    let error = output.replace(&list(3)).unwrap_err().to_string();
    assert!(error.contains("another kuma-prometheus-sd"), "{error}");
    drop(other);

    // A file in the place of the link is the output then.
    fs::remove_file(&link).unwrap();
    fs::write(&link, "by hand").unwrap();
    output.replace(&list(3)).unwrap();
    assert_eq!(output.take_moved().unwrap().to, link.display().to_string());
    assert_eq!(output.path(), link);
    assert_eq!(fs::read(&link).unwrap(), list(3).bytes());
    assert_eq!(fs::read(old.join("real.json")).unwrap(), list(1).bytes());
}

#[test]
fn a_link_that_leads_to_a_device_later_does_not_replace_it() {
    let folder = TempDir::new().unwrap();
    let link = folder.path().join("kuma.json");
    symlink("real.json", &link).unwrap();
    let mut output = claim(&link);
    output.replace(&list(1)).unwrap();
    fs::remove_file(&link).unwrap();
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    symlink("socket", &link).unwrap();
    let what = "it is a device, a pipe or a socket";
    let text = format!("cannot read {}: {what}", socket.display());
    assert_eq!(output.inspect(&list(1)).unwrap_err().to_string(), text);
    let text = format!("cannot replace {}: {what}", socket.display());
    assert_eq!(output.replace(&list(1)).unwrap_err().to_string(), text);
    assert!(!fs::symlink_metadata(&socket).unwrap().is_file());
}

#[test]
fn two_links_to_one_file_are_one_output() {
    let folder = TempDir::new().unwrap();
    for name in ["a.json", "b.json"] {
        symlink("real.json", folder.path().join(name)).unwrap();
    }
    let _first = claim(&folder.path().join("a.json"));
    for name in ["b.json", "real.json"] {
        let second = OutputFile::claim(&folder.path().join(name), 0o644);
        assert!(matches!(second, Err(ClaimError::Held { .. })));
    }
}

#[test]
fn links_in_a_circle_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.json");
    symlink("b.json", &path).unwrap();
    symlink("a.json", folder.path().join("b.json")).unwrap();
    let text = format!("cannot follow the symbolic link {}: too many of them", path.display());
    assert_eq!(refusal(&path), text);
}

#[test]
fn a_link_to_a_directory_is_refused() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("directory")).unwrap();
    let path = folder.path().join("kuma.json");
    symlink("directory", &path).unwrap();
    let resolved = folder.path().join("directory");
    let text = format!("the output {} is a directory, not a file", resolved.display());
    assert_eq!(refusal(&path), text);
}
