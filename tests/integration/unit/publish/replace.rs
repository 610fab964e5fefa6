//! The file is replaced as a whole, or not at all, and comes back after others have been at it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::thread;

use kuma_prometheus_sd::output::file::{ClaimError, OutputFile};
use kuma_prometheus_sd::output::state_machine::Inspection;

use super::{claim, folder, list};

use crate::support::files::names;

#[test]
fn a_replaced_file_holds_the_content_and_nothing_lies_beside_it() {
    let (folder, path) = folder();
    let mut output = claim(&path);
    for targets in [3, 1000, 0, 1] {
        output.replace(&list(targets)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), list(targets).bytes());
        assert_eq!(names(folder.path()), [".kuma.json.lock", "kuma.json"]);
    }
}

#[test]
fn a_reader_sees_whole_contents_only() {
    let (folder, path) = folder();
    let contents = [list(2000), list(1000), list(0)];
    let mut output = claim(&path);
    output.replace(&contents[0]).unwrap();
    let (seen, in_between) = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..150 {
                output.replace(&contents[round % 3]).unwrap();
            }
        });
        let mut seen = [0; 3];
        let mut in_between = 0;
        while !writer.is_finished() {
            let bytes = fs::read(&path).unwrap();
            let which = contents.iter().position(|content| content.bytes() == bytes);
            seen[which.expect("a part, or a mixture")] += 1;
            // What a glob of Prometheus could find.
            let names = names(folder.path());
            let is_ours = |name: &String| name == "kuma.json";
            assert_eq!(names.iter().filter(|name| is_ours(name)).count(), 1);
            let others = names.into_iter().filter(|name| !is_ours(name));
            let others: Vec<_> = others.filter(|name| name != ".kuma.json.lock").collect();
            assert!(others.iter().all(|name| name.ends_with(".tmp")), "{others:?}");
            in_between += others.len();
        }
        (seen, in_between)
    });
    assert!(seen.iter().all(|count| *count > 0), "the reader was too slow: {seen:?}");
    assert!(in_between > 0, "the temporary file was never seen");
}

#[test]
fn a_reader_that_has_the_old_file_open_keeps_it_whole() {
    let (_folder, path) = folder();
    let mut output = claim(&path);
    output.replace(&list(5)).unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    let open = File::open(&path).unwrap();
    output.replace(&list(1)).unwrap();
    assert_ne!(fs::metadata(&path).unwrap().ino(), before);
    assert_eq!(std::io::read_to_string(open).unwrap().as_bytes(), list(5).bytes());
}

#[test]
fn a_directory_that_was_removed_is_made_anew_and_locked_again() {
    let (folder, _) = folder();
    let directory = folder.path().join("run/sd");
    let path = directory.join("kuma.json");
    let mut output = claim(&path);
    output.replace(&list(1)).unwrap();
    fs::remove_dir_all(folder.path().join("run")).unwrap();
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Missing);
    output.replace(&list(1)).unwrap();
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Same);
    assert_eq!(names(&directory), [".kuma.json.lock", "kuma.json"]);
    assert!(matches!(OutputFile::claim(&path, 0o644), Err(ClaimError::Held { .. })));
}

#[test]
fn an_output_replaced_by_a_directory_is_an_error_until_it_is_gone() {
    let (folder, path) = folder();
    let mut output = claim(&path);
    output.replace(&list(1)).unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let is_a_directory =
        |act| format!("cannot {act} {}: Is a directory (os error 21)", path.display());
    let error = output.inspect(&list(1)).unwrap_err();
    assert_eq!(error.to_string(), is_a_directory("read"));
    let error = output.replace(&list(1)).unwrap_err();
    assert_eq!(error.to_string(), is_a_directory("replace"));
    assert_eq!(names(folder.path()), [".kuma.json.lock", "kuma.json"]);
    fs::remove_dir(&path).unwrap();
    output.replace(&list(1)).unwrap();
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Same);
}
