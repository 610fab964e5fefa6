//! Where the file system has no place for the output, or none at the moment, and what the process
//! brings along: outputs that are no files, paths that lead nowhere, a full disk, the umask.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use kuma_prometheus_sd::output::file::{ClaimError, OutputFile};
use kuma_prometheus_sd::output::state_machine::Inspection;
use tempfile::TempDir;

use super::{claim, claim_with_mode, list, refusal};
use crate::support::files::{fill, mode, names};
use crate::support::own_process;

#[test]
fn an_output_that_is_no_file_is_refused_with_what_it_is() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let device = "a device, a pipe or a socket";
    for (path, what) in [
        (folder.path().to_owned(), "a directory"),
        (folder.path().join("missing/"), "a directory"),
        (folder.path().join(".."), "a directory"),
        (PathBuf::from("/"), "a directory"),
        (PathBuf::from("."), "a directory"),
        (PathBuf::from("/dev/null"), device),
        (socket, device),
        (pipe, device),
    ] {
        let error = OutputFile::claim(&path, 0o644).unwrap_err();
        assert!(matches!(error, ClaimError::NotAFile { .. }), "{}", path.display());
        let text = format!("the output {} is {what}, not a file", path.display());
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(names(folder.path()), ["pipe", "socket"]);
}

/// Also as root, for whom no directory is unwritable.
#[test]
fn a_path_below_a_file_is_refused_with_what_failed() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for name in ["file/kuma.json", "file/a/kuma.json"] {
        let path = folder.path().join(name);
        let error = OutputFile::claim(&path, 0o644).unwrap_err();
        assert!(matches!(error, ClaimError::Failed(_)));
        let text = format!("cannot look at {}: Not a directory (os error 20)", path.display());
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_name_too_long_for_the_files_beside_it_is_refused_with_what_failed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x".repeat(253));
    let lock = folder.path().join(format!(".{}.lock", "x".repeat(253)));
    let text =
        format!("cannot open the lock file {}: File name too long (os error 36)", lock.display());
    assert_eq!(refusal(&path), text);
}

#[test]
fn a_lock_that_is_no_file_is_refused_with_what_failed() {
    let folder = TempDir::new().unwrap();
    let lock = folder.path().join(".kuma.json.lock");
    fs::create_dir(&lock).unwrap();
    let text =
        format!("cannot open the lock file {}: Is a directory (os error 21)", lock.display());
    assert_eq!(refusal(&folder.path().join("kuma.json")), text);
}

#[test]
fn a_directory_replaced_by_a_file_is_an_error_until_it_is_gone() {
    let folder = TempDir::new().unwrap();
    let directory = folder.path().join("sd");
    let path = directory.join("kuma.json");
    let mut output = claim(&path);
    output.replace(&list(1)).unwrap();
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "").unwrap();
    let text = format!("cannot look at {}: Not a directory (os error 20)", path.display());
    assert_eq!(output.inspect(&list(1)).unwrap_err().to_string(), text);
    let text =
        format!("cannot make the directory {}: File exists (os error 17)", directory.display());
    assert_eq!(output.replace(&list(1)).unwrap_err().to_string(), text);
    fs::remove_file(&directory).unwrap();
    output.replace(&list(1)).unwrap();
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Same);
}

#[test]
fn a_directory_without_the_right_to_write_is_refused_with_what_failed() {
    let test = a_directory_without_the_right_to_write_is_refused_with_what_failed;
    let Some(folder) = own_process::without_rights(test).inside() else {
        return;
    };
    let directory = folder.join("read-only");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o555)).unwrap();
    let denied = |act: &str, path: &Path| {
        format!("cannot {act} {}: Permission denied (os error 13)", path.display())
    };
    let lock = directory.join(".kuma.json.lock");
    assert_eq!(refusal(&directory.join("kuma.json")), denied("open the lock file", &lock));
    let missing = directory.join("missing");
    assert_eq!(refusal(&missing.join("kuma.json")), denied("make the directory", &missing));
}

#[test]
fn the_umask_has_no_say_in_the_mode() {
    for umask in ["000", "027", "077", "777"] {
        let script = format!("umask {umask} && exec \"$@\"");
        let side = own_process::after(&script, the_umask_has_no_say_in_the_mode);
        let Some(folder) = side.inside() else {
            continue;
        };
        for wanted in [0o600, 0o644, 0o664, 0o777] {
            let path = folder.join(format!("{wanted:o}.json"));
            let mut output = claim_with_mode(&path, wanted);
            output.replace(&list(1)).unwrap();
            assert_eq!(mode(&path), wanted);
            assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Same);
        }
        return;
    }
}

/// A disk of 64 KiB and six files, the folder itself included.
const SMALL: &str = "64k,nr_inodes=6";

/// Takes all the room for files that is left.
fn take_all_files(directory: &Path) -> Vec<PathBuf> {
    let fillers = (0..).map(|number| directory.join(format!("filler-{number}")));
    fillers.take_while(|filler| fs::write(filler, "").is_ok()).collect()
}

#[test]
fn a_disk_without_room_for_a_file_is_a_problem_that_may_pass() {
    let test = a_disk_without_room_for_a_file_is_a_problem_that_may_pass;
    let Some(directory) = own_process::with_disk(SMALL, test) else {
        return;
    };
    let path = directory.join("kuma.json");
    let mut fillers = take_all_files(&directory);

    // No room even for the lock.
    let (mut output, warnings) = OutputFile::claim(&path, 0o644).unwrap();
    let lock = directory.join(".kuma.json.lock");
    let text = format!(
        "cannot open the lock file {}: No space left on device (os error 28)",
        lock.display()
    );
    let warning = format!("{text}; starting nevertheless, as this may pass");
    assert_eq!(warnings[0].to_string(), warning);
    assert_eq!(output.replace(&list(1)).unwrap_err().to_string(), text);

    // Room for the lock, but not for a temporary file.
    fs::remove_file(fillers.pop().unwrap()).unwrap();
    let error = output.replace(&list(1)).unwrap_err().to_string();
    assert!(error.starts_with("cannot create "), "{error}");
    assert!(error.ends_with(": No space left on device (os error 28)"), "{error}");
    drop(output);
    let (mut output, warnings) = OutputFile::claim(&path, 0o644).unwrap();
    assert!(warnings[0].to_string().starts_with("cannot create "));
    assert!(matches!(OutputFile::claim(&path, 0o644), Err(ClaimError::Held { .. })));

    fs::remove_file(fillers.pop().unwrap()).unwrap();
    output.replace(&list(1)).unwrap();
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Same);
}

#[test]
fn a_disk_without_room_for_the_bytes_keeps_the_old_file() {
    let test = a_disk_without_room_for_the_bytes_keeps_the_old_file;
    let Some(directory) = own_process::with_disk(SMALL, test) else {
        return;
    };
    let path = directory.join("kuma.json");
    let mut output = claim(&path);
    output.replace(&list(1)).unwrap();
    let filler = fill(&directory).unwrap();
    let before = names(&directory);
    let error = output.replace(&list(100)).unwrap_err().to_string();
    assert!(error.starts_with("cannot write "), "{error}");
    assert!(error.ends_with(".tmp: No space left on device (os error 28)"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), list(1).bytes());
    assert_eq!(output.inspect(&list(1)).unwrap(), Inspection::Same);
    assert_eq!(names(&directory), before);
    fs::remove_file(&filler).unwrap();
    output.replace(&list(100)).unwrap();
    assert_eq!(fs::read(&path).unwrap(), list(100).bytes());
}
