//! The runit directory as a test holds it: installed below a folder of its own with the program
//! itself, for the user who runs the test, under a `runsv` of its own, whose end is certain.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread;

use tempfile::TempDir;

use crate::packaging::tree;
use crate::support::command::{Ended, command, repository, run};
use crate::support::harness::{SOON, program, read_if_there, wait_until};

/// A service under `runsv`. Dropping it ends both.
pub(crate) struct Supervised {
    folder: Arc<TempDir>,
    /// The name of its directory, of its settings and of its log.
    name: String,
    /// The name of its list.
    list: String,
    runsv: Option<Child>,
}

impl Supervised {
    /// Installed, but not started.
    pub(crate) fn install() -> Supervised {
        let folder = tree::folder();
        let user = run(command("id").arg("-un")).successfully().output;
        let program = program();
        let variables = [
            ("BINARY", program.as_ref()),
            ("user", user.trim().as_ref()),
            ("prefix", folder.path()),
            ("sysconfdir", &folder.path().join("etc")),
            ("localstatedir", &folder.path().join("var")),
        ];
        run(&mut tree::installer("install", &variables)).successfully();
        Supervised {
            folder: Arc::new(folder),
            name: "kuma-prometheus-sd".to_owned(),
            list: "kuma.file_sd.json".to_owned(),
            runsv: None,
        }
    }

    /// One more service beside this one, for another control plane, by the command of the guide.
    pub(crate) fn copy_for(&self, instance: &str) -> Supervised {
        let guide = fs::read_to_string(repository().join("docs/operators-guide.md"));
        let guide = guide.expect("it is there");
        let line = guide.lines().find(|line| line.contains(" cp --parents "));
        let folder = self.path("etc/sv").display().to_string();
        let line = line
            .expect("the guide has the command")
            .replace("/etc/sv", &folder)
            .replace("-east", &format!("-{instance}"));
        run(command("sh").args(["-ec", &line])).successfully();
        let name = format!("{}-{instance}", self.name);
        Supervised {
            folder: Arc::clone(&self.folder),
            name,
            list: format!("{instance}.file_sd.json"),
            runsv: None,
        }
    }

    /// Something below the folder that stands for `/`.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file, and the folder it is in.
    pub(crate) fn put(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("it is below a folder")).expect("a folder");
        fs::write(path, content).expect("a file can be written");
    }

    /// Replaces the environment file.
    pub(crate) fn settings(&self, lines: &[&str]) {
        let text = lines.join("\n");
        self.put(&format!("etc/default/{}", self.name), &format!("{text}\n"));
    }

    /// Starts `runsv`, as `runsvdir` would.
    pub(crate) fn start(&mut self) {
        let runsv = command("runsv")
            .arg(self.service())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("runsv can be started");
        self.runsv = Some(runsv);
        self.wait_for("runsv listens to sv", || self.sv("status", 1).code == Some(0));
    }

    fn service(&self) -> PathBuf {
        self.path("etc/sv").join(&self.name)
    }

    /// `sv WORD`, which waits so many seconds for what that is to bring about.
    pub(crate) fn sv(&self, word: &str, seconds: u32) -> Ended {
        let seconds = seconds.to_string();
        run(command("sv").args(["-w", &seconds, word]).arg(self.service()))
    }

    /// What `sv` says of the service: whether it is there, and whether it is to be.
    pub(crate) fn status(&self) -> String {
        let ended = self.sv("status", 1);
        let (service, _log) = ended.output.split_once(';').unwrap_or((&ended.output, ""));
        service.to_owned()
    }

    /// Whether it is down and stays so.
    pub(crate) fn is_down_for_good(&self) -> bool {
        let status = self.status();
        status.starts_with("down: ") && !status.contains("want up")
    }

    /// The number of the process that `run` is, or has become; `None` where there is none.
    pub(crate) fn process(&self) -> Option<u32> {
        let status = self.status();
        let (_, rest) = status.strip_prefix("run: ")?.split_once("(pid ")?;
        rest.split_once(')')?.0.parse().ok()
    }

    /// The list.
    pub(crate) fn list(&self) -> Option<String> {
        read_if_there(&self.path("var/lib/kuma-prometheus-sd").join(&self.list))
    }

    /// What svlogd has written to its current file.
    pub(crate) fn log(&self) -> String {
        let log = self.path("var/log").join(&self.name).join("current");
        read_if_there(&log).unwrap_or_default()
    }

    /// Waits until a condition holds that nothing announces.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, condition: impl FnMut() -> bool) {
        assert!(wait_until(SOON, condition), "not within {SOON:?}: {what}");
    }

    /// Waits until a text is in the log.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        self.wait_for(text, || self.log().contains(text));
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let Some(mut runsv) = self.runsv.take() else {
            return;
        };
        // SIGTERM makes it end its service and its log service, then itself. Where the test fails
        // already, nothing here may panic.
        let _ = command("kill").arg(runsv.id().to_string()).status();
        let mut has_ended = || !matches!(runsv.try_wait(), Ok(None));
        if !wait_until(SOON, &mut has_ended) {
            println!("runsv does not end; it is killed, and may leave its service behind");
            let _ = runsv.kill();
            let _ = runsv.wait();
        }
        if thread::panicking() {
            println!("--- the log:\n{}---", self.log());
        }
    }
}
