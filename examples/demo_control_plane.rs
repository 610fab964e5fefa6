//! A control plane to try the daemon against, without Kuma.
//!
//! It plays a small story of dataplanes that come, change and go, or serves a JSON file that a
//! person edits while it runs; and it becomes another version of Kuma on command.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

use crossbeam_channel::{Receiver, RecvTimeoutError, never, unbounded};
use kuma_stand_in::{ControlPlane, Dataplane, KumaVersion, Plan};
use lexopt::prelude::{Long, Short, ValueExt};

const HELP: &str = "\
A control plane to try kuma-prometheus-sd against, without Kuma.

Usage: demo_control_plane [options]

  --port N           port of the monitoring assignments [default: 5676; 0: a free one]
  --api-port N       port of the API server [default: 5681; 0: a free one]
  --kuma VERSION     0.7, 1.1, 1.2, 2.6, 2.12, 2.14 or 3.0 [default: 1.2]
  --step-seconds N   time between two steps of the story [default: 5]
  --file FILE        serve this JSON file of dataplanes, which may be edited, in place of the story:
                     [{\"mesh\":\"default\",\"service\":\"backend\",\"name\":\"backend-01\",
                       \"address\":\"192.168.0.1:5670\",\"tags\":{\"env\":\"prod\"}}]
  -h, --help         this text

While it runs, it reads commands, one a line:

  kuma VERSION       become that version, as in an upgrade
  cut                cut all connections
  away, back         be gone, and come back";

/// How often the file is looked at.
const LOOK_AT_FILE: Duration = Duration::from_millis(200);

fn main() {
    let options = match Options::parse() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return;
        }
        Err(error) => {
            eprintln!("demo_control_plane: {error} (--help shows the options)");
            process::exit(2);
        }
    };
    if let Err(error) = run(&options) {
        eprintln!("demo_control_plane: {error}");
        process::exit(1);
    }
}

struct Options {
    port: u16,
    api_port: u16,
    kuma: KumaVersion,
    step: Duration,
    file: Option<PathBuf>,
}

impl Options {
    /// What the command line asks for; `None` if it asks for help.
    fn parse() -> Result<Option<Options>, lexopt::Error> {
        let mut options = Options {
            port: 5676,
            api_port: 5681,
            kuma: KumaVersion::V1_2,
            step: Duration::from_secs(5),
            file: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("port") => options.port = parser.value()?.parse()?,
                Long("api-port") => options.api_port = parser.value()?.parse()?,
                Long("kuma") => options.kuma = parser.value()?.parse()?,
                Long("step-seconds") => options.step = parser.value()?.parse_with(seconds)?,
                Long("file") => options.file = Some(parser.value()?.into()),
                Long("help") | Short('h') => return Ok(None),
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(Some(options))
    }
}

fn seconds(text: &str) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let free_if_zero = |port| (port != 0).then_some(port);
    let plan = Plan {
        port: free_if_zero(options.port),
        api_port: free_if_zero(options.api_port),
        ..Plan::new(options.kuma)
    };
    let plane = plan.start().map_err(|error| {
        let ports = format!("{} and {}", options.port, options.api_port);
        format!("cannot listen on ports {ports}: {error}")
    })?;
    say(&format!("mads: {}", plane.grpc_url()))?;
    say(&format!("api server: {}", plane.api_url()))?;
    let mut commands = read_commands();
    let mut mesh = match &options.file {
        Some(path) => Mesh::File(MeshFile::new(path)),
        None => Mesh::Story { step: 0 },
    };
    let pause = match mesh {
        Mesh::File(_) => LOOK_AT_FILE,
        Mesh::Story { .. } => options.step,
    };
    loop {
        if let Some((dataplanes, news)) = mesh.next() {
            plane.publish(&dataplanes);
            say(&news)?;
        }
        let next = Instant::now() + pause;
        loop {
            match commands.recv_deadline(next) {
                Ok(command) => obey(&plane, command.trim())?,
                Err(RecvTimeoutError::Timeout) => break,
                // The end of stdin ends the commands, not the control plane.
                Err(RecvTimeoutError::Disconnected) => commands = never(),
            }
        }
    }
}

/// Prints a line at once, also into a pipe.
fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// The lines of stdin, as they are typed.
fn read_commands() -> Receiver<String> {
    let (sender, receiver) = unbounded();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn obey(plane: &ControlPlane, command: &str) -> io::Result<()> {
    match command.split_once(' ').unwrap_or((command, "")) {
        ("", _) => Ok(()),
        ("kuma", version) => match version.trim().parse() {
            Ok(kuma) => {
                plane.upgrade_to(kuma);
                say(&format!("this is Kuma {kuma} now"))
            }
            Err(error) => complain(&error),
        },
        ("cut", _) => {
            plane.fault_proxy().cut();
            say("cut all connections")
        }
        ("away", _) => {
            plane.go_away();
            say("gone away")
        }
        ("back", _) => {
            plane.come_back()?;
            say("back again")
        }
        _ => complain(&format!("`{command}` is none of kuma VERSION, cut, away, back")),
    }
}

fn complain(message: &str) -> io::Result<()> {
    eprintln!("demo_control_plane: {message}");
    Ok(())
}

/// Where the dataplanes come from.
enum Mesh {
    Story { step: usize },
    File(MeshFile),
}

impl Mesh {
    /// The mesh and what is new in it; `None` if nothing is.
    fn next(&mut self) -> Option<(Vec<Dataplane>, String)> {
        match self {
            Mesh::Story { step } => {
                let (dataplanes, news) = story(*step);
                *step += 1;
                Some((dataplanes, news.to_owned()))
            }
            Mesh::File(file) => file.next(),
        }
    }
}

/// One step of the story, which begins again after its end.
fn story(step: usize) -> (Vec<Dataplane>, &'static str) {
    let backend_01 =
        || Dataplane::new("backend", "backend-01", "192.168.0.1:5670").tag("env", "prod");
    let backend_02 =
        || Dataplane::new("backend", "backend-02", "192.168.0.2:5670").tag("env", "staging");
    let web = || Dataplane::new("web", "web-03", "192.168.0.3:5670");
    let web_prod = || web().tag("env", "prod");
    let web_canary = || web().tag("env", "canary").tag("version", "2");
    let gateway =
        || Dataplane::new("edge", "gw-04", "192.168.0.4:5670").tag("kuma.io/region", "eu");
    let orders = || {
        Dataplane::new("orders", "orders-01", "10.0.0.1:5670").in_mesh("shop").tag("env", "prod")
    };
    match step % 7 {
        0 => (vec![], "an empty mesh"),
        1 => {
            (vec![backend_01(), backend_02(), web_prod()], "backend-01, backend-02 and web-03 come")
        }
        2 => (vec![backend_01(), backend_02(), web_canary()], "web-03 has other tags"),
        3 => (vec![backend_01(), backend_02(), web_canary(), gateway()], "the gateway gw-04 comes"),
        4 => (vec![backend_01(), web_canary(), gateway()], "backend-02 goes"),
        5 => (
            vec![backend_01(), web_canary(), gateway(), orders()],
            "orders-01 comes, in another mesh",
        ),
        _ => (vec![orders()], "the default mesh is emptied, orders-01 stays"),
    }
}

/// A JSON file of dataplanes that is edited by hand.
struct MeshFile {
    path: PathBuf,
    /// What was read last, or why it could not be: the same is not told twice.
    last: Option<Result<String, String>>,
}

impl MeshFile {
    fn new(path: &Path) -> MeshFile {
        MeshFile { path: path.to_owned(), last: None }
    }

    fn next(&mut self) -> Option<(Vec<Dataplane>, String)> {
        let read = fs::read_to_string(&self.path).map_err(|error| error.to_string());
        if self.last.as_ref() == Some(&read) {
            return None;
        }
        let dataplanes = match &read {
            Ok(text) => {
                serde_json::from_str::<Vec<Dataplane>>(text).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.clone()),
        };
        self.last = Some(read);
        let path = self.path.display();
        match dataplanes {
            Ok(dataplanes) => {
                let news = format!("{path}: {} dataplanes", dataplanes.len());
                Some((dataplanes, news))
            }
            Err(error) => {
                eprintln!("demo_control_plane: {path}: {error}; what it held before is served on");
                None
            }
        }
    }
}
