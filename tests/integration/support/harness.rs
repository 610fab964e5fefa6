//! The daemon as a test holds it: started in a folder of its own with an environment of its own,
//! its streams collected, its end certain.
//!
//! Nothing here sleeps for as long as something might take: a wait ends with what it waits for, or
//! fails after `SOON`, and then the test's output shows the command, the file and both streams.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use kuma_stand_in::Authority;
use tempfile::TempDir;

use crate::support::hammer;
use crate::support::process::Figures;
use crate::support::streams::{Collected, excerpt};

/// Long enough for anything that is to happen, on a machine with better things to do.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The variable that says where the daemon listens.
const LISTEN_ADDRESS: &str = "KUMA_PROMETHEUS_SD_LISTEN_ADDRESS";

/// Signals end the daemon within this time, in any state.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(2);

/// How often a condition that nothing announces, such as a file's content, is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The address of a control plane that is away: nothing listens at port 1.
pub(crate) const NOTHING_THERE: &str = "grpc://127.0.0.1:1";

/// How a daemon is to be started.
#[derive(Clone)]
pub(crate) struct Launch {
    folder: Arc<TempDir>,
    output: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    /// What a shell does before it becomes the daemon.
    prelude: Option<String>,
}

/// The daemon that is tested: the one that was built with the tests, or another one that is to show
/// the same, such as the static binary.
pub(crate) fn program() -> OsString {
    env::var_os("KUMA_PROMETHEUS_SD_BINARY")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_kuma-prometheus-sd").into())
}

impl Launch {
    /// A process without arguments and environment, in an empty folder.
    pub(crate) fn bare() -> Launch {
        let folder = tempfile::Builder::new()
            .prefix("daemon-")
            .tempdir()
            .expect("a temporary folder can be made");
        Launch {
            output: folder.path().join("kuma.file_sd.json"),
            folder: Arc::new(folder),
            arguments: Vec::new(),
            environment: Vec::new(),
            prelude: None,
        }
    }

    /// A daemon that follows the control plane at an address, tells everything, and writes
    /// `kuma.file_sd.json` in a folder of its own.
    pub(crate) fn follow(address: &str) -> Launch {
        let launch = Launch::bare();
        let output = launch.output.clone();
        launch
            .argument("run")
            .argument("--log-level=debug")
            .argument(format!("--cp-address={address}"))
            .argument("--output-file")
            .argument(output)
    }

    /// One more argument.
    pub(crate) fn argument(mut self, argument: impl AsRef<OsStr>) -> Launch {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// More arguments.
    pub(crate) fn arguments<'a>(self, arguments: impl IntoIterator<Item = &'a str>) -> Launch {
        arguments.into_iter().fold(self, Launch::argument)
    }

    /// One variable of the environment, which is empty otherwise.
    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Launch {
        let value = value.as_ref().to_owned();
        self.environment.push((name.to_owned(), value));
        self
    }

    /// What a shell is to do before it becomes the daemon, such as `umask 077`.
    pub(crate) fn prelude(mut self, script: &str) -> Launch {
        self.prelude = Some(script.to_owned());
        self
    }

    /// Another output file, relative to the folder.
    pub(crate) fn output(mut self, path: impl AsRef<Path>) -> Launch {
        self.output = self.folder.path().join(path);
        let output = self.output.clone();
        self.argument("--output-file").argument(output)
    }

    /// Tells of another output file than the one that the arguments name, as one that a link or
    /// the environment names.
    pub(crate) fn expecting_output(mut self, path: impl AsRef<Path>) -> Launch {
        self.output = self.folder.path().join(path);
        self
    }

    /// The folder it runs in, which lives as long as any daemon or launch that knows it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The output file.
    pub(crate) fn output_path(&self) -> &Path {
        &self.output
    }

    /// Puts a file into the folder, in place of one that may be there.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder().join(name), content).expect("a file can be written");
    }

    /// The command that starts it, for whoever has other streams for it.
    pub(crate) fn command(&self) -> Command {
        let mut command = match &self.prelude {
            None => Command::new(program()),
            Some(prelude) => {
                let mut shell = Command::new("/bin/sh");
                let script = format!("{prelude}; exec \"$0\" \"$@\"");
                shell.arg("-c").arg(script).arg(program());
                shell
            }
        };
        command
            .args(&self.arguments)
            .env_clear()
            .env("SSL_CERT_FILE", system_trust_store())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Daemon {
        let (log, stderr) = io::pipe().expect("a pipe can be made");
        self.start_with_stderr(stderr, log)
    }

    /// Starts it with another stderr, and with what is to be collected of its log.
    pub(crate) fn start_with_stderr(
        &self,
        stderr: impl Into<Stdio>,
        log: impl Read + Send + 'static,
    ) -> Daemon {
        let socket = hammer::listener(&self.folder);
        let listener = socket.map(|socket| (LISTEN_ADDRESS, format!("unix:{}", socket.display())));
        let mut child = self
            .command()
            .envs(listener)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the daemon can be started");
        let stdout = child.stdout.take().expect("stdout is piped");
        Daemon {
            command: self.describe(),
            output: self.output.clone(),
            _folder: Arc::clone(&self.folder),
            started: Instant::now(),
            stdout: Collected::from(stdout),
            stderr: Collected::from(log),
            child,
            status: None,
        }
    }

    /// Starts it and waits for its end.
    #[track_caller]
    pub(crate) fn run_to_its_end(&self) -> Finished {
        self.start().finish()
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.environment {
            // Writing to a String cannot fail.
            let _ = write!(text, "{name}={value:?} ");
        }
        text.push_str("kuma-prometheus-sd");
        for argument in &self.arguments {
            let _ = write!(text, " {}", argument.to_string_lossy());
        }
        text
    }
}

/// How a process ended, and all that it said.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// From the start, or from the signal that was to end it.
    pub(crate) time: Duration,
}

impl Finished {
    /// Sees that it has said this on stderr.
    #[track_caller]
    pub(crate) fn told(&self, text: &str) {
        assert!(self.stderr.contains(text), "{text:?} in {}", self.stderr);
    }
}

/// A running daemon. Dropping it kills it.
pub(crate) struct Daemon {
    command: String,
    output: PathBuf,
    _folder: Arc<TempDir>,
    started: Instant,
    stdout: Collected,
    stderr: Collected,
    child: Child,
    status: Option<ExitStatus>,
}

impl Daemon {
    /// The content of the output file; `None` where there is none.
    pub(crate) fn file(&self) -> Option<String> {
        read_if_there(&self.output)
    }

    /// The output file.
    pub(crate) fn output_path(&self) -> &Path {
        &self.output
    }

    /// Its number.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Its figures, from the kernel.
    #[track_caller]
    pub(crate) fn figures(&self) -> Figures {
        Figures::of(self.process())
    }

    /// All that it has written to stderr by now.
    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }

    /// How many lines of its log have a text in them.
    pub(crate) fn lines_with(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Waits until the file has exactly this content.
    #[track_caller]
    pub(crate) fn wait_for_file(&self, expected: &str) {
        self.wait_for_file_within(expected, SOON);
    }

    /// As `wait_for_file`, for what may take another time.
    #[track_caller]
    pub(crate) fn wait_for_file_within(&self, expected: &str, timeout: Duration) {
        let read = || self.file().is_some_and(|file| file == expected);
        if !wait_until(timeout, read) {
            panic!("the file did not become, within {timeout:?}:\n{}", excerpt(expected));
        }
    }

    /// Waits until its log has a line with this text, and returns that line.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) -> String {
        self.wait_for_log_count(text, 1)
    }

    /// As `wait_for_log`, and sees that the line is a warning.
    #[track_caller]
    pub(crate) fn wait_for_warning(&self, text: &str) -> String {
        let line = self.wait_for_log(text);
        assert!(line.contains(" WARN ] "), "{line}");
        line
    }

    /// As `wait_for_log`, for what takes longer by its nature.
    #[track_caller]
    pub(crate) fn wait_for_log_within(&self, text: &str, timeout: Duration) -> String {
        self.stderr
            .wait_for(timeout, |line| line.contains(text), 1)
            .unwrap_or_else(|| panic!("not in the log within {timeout:?}: {text:?}"))
    }

    /// Waits until its log has so many lines with this text, and returns the last of these.
    #[track_caller]
    pub(crate) fn wait_for_log_count(&self, text: &str, count: usize) -> String {
        self.stderr
            .wait_for(SOON, |line| line.contains(text), count)
            .unwrap_or_else(|| panic!("not {count} times in the log within {SOON:?}: {text:?}"))
    }

    /// Waits until an attempt to connect has failed, and returns the log line of the first.
    #[track_caller]
    pub(crate) fn wait_for_trouble(&self) -> String {
        let line = self.wait_for_log("no connection to the control plane: ");
        assert!(line.contains("next attempt in"), "{line}");
        line
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.status.is_none() && self.try_wait().is_none()
    }

    /// Sends it a signal, by name, such as `TERM`.
    pub(crate) fn signal(&mut self, name: &str) {
        // The process is not waited for yet, so its number is still its own.
        assert!(self.status.is_none(), "it has ended already");
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .expect("kill can be run");
        assert!(status.success(), "kill -{name} failed");
    }

    /// Ends it by SIGTERM, and sees that it ends as it should.
    #[track_caller]
    pub(crate) fn terminate(self) -> Finished {
        self.end_by("TERM")
    }

    /// Ends it by a signal, and sees that this takes less than 2 s and is no failure.
    #[track_caller]
    pub(crate) fn end_by(mut self, signal: &str) -> Finished {
        self.signal(signal);
        self.started = Instant::now();
        let finished = self.finish();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert!(finished.time <= STOP_LIMIT, "ended after {:?}", finished.time);
        finished
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(mut self) {
        self.signal("KILL");
        self.finish();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Finished {
        let ended = wait_until(SOON, || self.try_wait().is_some());
        let time = self.started.elapsed();
        assert!(ended, "it did not end within {SOON:?}");
        self.stdout.wait_for_end();
        self.stderr.wait_for_end();
        let status = self.status.expect("it has ended");
        assert!(!status.core_dumped(), "it crashed: {status}");
        Finished {
            code: status.code(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            time,
        }
    }

    fn try_wait(&mut self) -> Option<ExitStatus> {
        self.status = self.child.try_wait().expect("a child can be waited for");
        self.status
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.status.is_none() {
            // It may have ended in this moment; either way it has ended then.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            let file = self.file().unwrap_or_else(|| "(there is none)".to_owned());
            println!(
                "--- {}\n--- the file:\n{}--- stdout:\n{}--- stderr:\n{}---",
                self.command,
                excerpt(&file),
                excerpt(&self.stdout.text()),
                excerpt(&self.stderr.text()),
            );
        }
    }
}

/// Waits until a condition holds that nothing announces; returns whether it came to hold.
pub(crate) fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// Brings something back to its port. The port is not free at once where another thread of this
/// process has just started a child: until that has become the new program, it holds a copy of
/// every listening socket.
#[track_caller]
pub(crate) fn on_its_port<T>(mut start: impl FnMut() -> io::Result<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        match start() {
            Ok(started) => return started,
            Err(error) if Instant::now() >= deadline => panic!("cannot listen again: {error}"),
            Err(_) => thread::sleep(LOOK_AGAIN),
        }
    }
}

/// The content of a file; `None` where there is none.
pub(crate) fn read_if_there(path: &Path) -> Option<String> {
    match fs::read(path) {
        Ok(bytes) => Some(String::from_utf8(bytes).expect("the file is UTF-8")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("cannot read {}: {error}", path.display()),
    }
}

/// What stands for the system's trust store, so that no test depends on whether the machine has
/// one: it trusts an authority that nobody else knows.
fn system_trust_store() -> &'static Path {
    static STORE: OnceLock<PathBuf> = OnceLock::new();
    STORE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let store = folder.join("system-trust-store.pem");
        let temporary = folder.join(format!("system-trust-store.{}", std::process::id()));
        fs::write(&temporary, Authority::new("nobody's").pem()).expect("a file can be written");
        fs::rename(&temporary, &store).expect("a file can be renamed");
        store
    })
}
