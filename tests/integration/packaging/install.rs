//! `make install` and `make uninstall`.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::packaging::tree::{self, files, folders};
use crate::support::command::{Ended, command, repository, run};
use crate::support::files::entries;
use crate::support::harness::program;

/// All that is installed by default.
pub(crate) const TREE: [&str; 16] = [
    "644 etc/default/kuma-prometheus-sd",
    "755 etc/sv/kuma-prometheus-sd/check",
    "755 etc/sv/kuma-prometheus-sd/finish",
    "755 etc/sv/kuma-prometheus-sd/log/run",
    "755 etc/sv/kuma-prometheus-sd/run",
    "644 etc/sv/kuma-prometheus-sd/settings",
    "755 usr/local/bin/kuma-prometheus-sd",
    "644 usr/local/lib/systemd/system/kuma-prometheus-sd.service",
    "644 usr/local/lib/systemd/system/kuma-prometheus-sd@.service",
    "644 usr/local/lib/sysusers.d/kuma-prometheus-sd.conf",
    "644 usr/local/share/bash-completion/completions/kuma-prometheus-sd",
    "644 usr/local/share/doc/kuma-prometheus-sd/THIRD-PARTY-NOTICES.txt",
    "644 usr/local/share/doc/kuma-prometheus-sd/kuma-prometheus-sd.cdx.json",
    "644 usr/local/share/fish/vendor_completions.d/kuma-prometheus-sd.fish",
    "644 usr/local/share/man/man1/kuma-prometheus-sd.1",
    "644 usr/local/share/zsh/site-functions/_kuma-prometheus-sd",
];

const ENVIRONMENT: &str = "etc/default/kuma-prometheus-sd";

const UNIT: &str = "usr/local/lib/systemd/system/kuma-prometheus-sd.service";

const MANUAL: &str = "usr/local/share/man/man1/kuma-prometheus-sd.1";

/// A place to install to, with a program to install.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tree::folder();
        tree::program(folder.path());
        Place { folder }
    }

    /// What stands for `/`.
    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    fn put(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("it is below the root")).expect("a folder");
        fs::write(path, content).expect("a file can be written");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect("it is there")
    }

    /// `make TARGET DESTDIR=…`.
    fn make(&self, target: &str) -> Command {
        let mut make = command("make");
        make.args(["--silent", "-C"])
            .arg(repository())
            .arg(target)
            .arg(format!("DESTDIR={}", self.root().display()))
            .env("BINARY", self.folder.path().join("program"));
        make
    }

    #[track_caller]
    fn install(&self) -> Ended {
        run(&mut self.make("install")).successfully()
    }

    #[track_caller]
    fn uninstall(&self) -> Ended {
        run(&mut self.make("uninstall")).successfully()
    }
}

#[test]
fn everything_goes_where_an_administrator_looks_for_it_whatever_the_umask() {
    let place = Place::new();
    let make = place.make("install");
    let mut strict = command("sh");
    strict
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(make.get_program())
        .args(make.get_args())
        .env("BINARY", program());
    run(&mut strict).successfully();
    assert_eq!(files(&place.root()), TREE);
    for folder in folders(&place.root()) {
        assert!(folder.starts_with("755 "), "{folder}");
    }
}

#[test]
fn a_distribution_says_where_things_go() {
    let place = Place::new();
    let mut make = place.make("install");
    make.args(["prefix=/usr", "bindir=/usr/sbin", "unitdir=/lib/systemd/system"]).args([
        "mandir=/usr/man",
        "sysconfdir=/usr/etc",
        "svdir=/usr/sv",
    ]);
    run(&mut make).successfully();
    let files = files(&place.root());
    for expected in [
        "755 usr/sbin/kuma-prometheus-sd",
        "644 lib/systemd/system/kuma-prometheus-sd.service",
        "644 usr/lib/sysusers.d/kuma-prometheus-sd.conf",
        "644 usr/man/man1/kuma-prometheus-sd.1",
        "644 usr/etc/default/kuma-prometheus-sd",
        "755 usr/sv/kuma-prometheus-sd/run",
        "644 usr/share/zsh/site-functions/_kuma-prometheus-sd",
    ] {
        assert!(files.iter().any(|file| file == expected), "{expected}: {files:#?}");
    }
    assert_eq!(files.len(), TREE.len());
    let unit = place.read("lib/systemd/system/kuma-prometheus-sd.service");
    assert!(unit.contains("\nExecStart=/usr/sbin/kuma-prometheus-sd run\n"), "{unit}");
    assert!(unit.contains("\nEnvironmentFile=-/usr/etc/default/kuma-prometheus-sd\n"), "{unit}");
}

#[test]
fn other_places_for_settings_and_state_are_named_everywhere() {
    let place = Place::new();
    let mut make = place.make("install");
    run(make.args(["sysconfdir=/opt/etc", "localstatedir=/srv/var"])).successfully();
    for path in entries(&place.root()).iter().filter(|path| path.is_file()) {
        let text = fs::read_to_string(path).expect("all of it is text here");
        let others = text.replace("/opt/etc/", "").replace("/srv/var/", "");
        for usual in ["/etc/default", "/etc/sv", "/var/"] {
            assert!(!others.contains(usual), "{}: {usual}", path.display());
        }
    }
    let state = "/srv/var/lib/kuma-prometheus-sd";
    let list = format!("{state}/kuma.file_sd.json");
    for (file, expected) in [
        ("opt/etc/default/kuma-prometheus-sd", format!("={list}\n")),
        ("opt/etc/sv/kuma-prometheus-sd/settings", format!("\nstate={state}\n")),
        (UNIT, format!("\nWorkingDirectory={state}\n")),
        (UNIT, format!("\nEnvironment=KUMA_PROMETHEUS_OUTPUT_FILE={list}\n")),
        // systemd makes folders of its own below /var/lib only.
        (UNIT, format!("\nReadWritePaths={state}\n")),
        (MANUAL, format!(".It Pa {}\n", list.replace('-', "\\-"))),
        (MANUAL, ".It Pa /opt/etc/default/kuma\\-prometheus\\-sd\n".to_owned()),
    ] {
        let text = place.read(file);
        assert!(text.contains(&expected), "{file}: {expected}: {text}");
    }
    assert!(!place.read(UNIT).contains("\nStateDirectory"));
}

#[test]
fn where_systemd_does_not_look_below_the_prefix_its_unit_goes_to_etc() {
    let place = Place::new();
    run(place.make("install").arg("prefix=/opt/kuma")).successfully();
    assert!(place.path("opt/kuma/bin/kuma-prometheus-sd").exists());
    assert!(place.path("etc/systemd/system/kuma-prometheus-sd.service").exists());
    assert!(place.path("etc/sysusers.d/kuma-prometheus-sd.conf").exists());
}

#[test]
fn no_placeholder_is_left() {
    let place = Place::new();
    place.install();
    for path in entries(&place.root()).iter().filter(|path| path.is_file()) {
        let text = fs::read_to_string(path).expect("all of it is text here");
        let words = text.split(|letter: char| letter.is_whitespace() || "/=\"".contains(letter));
        for word in words {
            let name = word.strip_prefix('@').and_then(|rest| rest.split_once('@'));
            assert!(name.is_none(), "{}: {word}", path.display());
        }
    }
}

#[test]
fn uninstalling_leaves_the_list_and_nothing_else() {
    let place = Place::new();
    place.put("var/lib/kuma-prometheus-sd/kuma.file_sd.json", "[]\n");
    place.put("etc/sv/another/run", "");
    place.install();
    let ended = place.uninstall();
    // Twice is no failure.
    place.uninstall();
    let left = ["644 etc/sv/another/run", "644 var/lib/kuma-prometheus-sd/kuma.file_sd.json"];
    assert_eq!(files(&place.root()), left);
    for folder in ["etc/sv/kuma-prometheus-sd", "usr/local/share/doc/kuma-prometheus-sd"] {
        assert!(!place.path(folder).exists(), "{folder}");
    }
    assert!(place.path("usr/local/bin").exists(), "it is not this package's own");
    assert!(ended.output.contains("var/lib/kuma-prometheus-sd"), "{}", ended.output);
}

#[test]
fn a_changed_environment_file_is_kept_and_reported() {
    let place = Place::new();
    place.install();
    place.put(ENVIRONMENT, "KUMA_PROMETHEUS_SD_LOG_LEVEL=debug\n");
    for ended in [place.install(), place.uninstall()] {
        assert!(ended.output.contains("kept "), "{}", ended.output);
        assert!(ended.output.contains(ENVIRONMENT), "{}", ended.output);
        assert_eq!(place.read(ENVIRONMENT), "KUMA_PROMETHEUS_SD_LOG_LEVEL=debug\n");
    }
    assert_eq!(files(&place.root()), [format!("644 {ENVIRONMENT}")]);
}

#[test]
fn the_old_program_stays_whole_for_whoever_runs_it() {
    let place = Place::new();
    place.install();
    let program = "usr/local/bin/kuma-prometheus-sd";
    let old = place.read(program);
    let mut running = File::open(place.path(program)).expect("it is there");
    fs::write(place.folder.path().join("program"), "new").expect("a file can be written");
    place.install();
    let mut still_there = String::new();
    running.read_to_string(&mut still_there).expect("a file can be read");
    assert_eq!(still_there, old);
    assert_eq!(place.read(program), "new");
}

#[test]
fn where_nothing_is_built_the_command_is_named_and_nothing_is_installed() {
    let place = Place::new();
    fs::remove_file(place.folder.path().join("program")).expect("it is there");
    let binary = place.folder.path().join("program");
    let direct = tree::installer("install", &[("DESTDIR", &place.root()), ("BINARY", &binary)]);
    let mut make = place.make("install");
    make.env_remove("BINARY").env("CARGO_TARGET_DIR", place.folder.path());
    for mut command in [direct, make] {
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(2), "{}", ended.output);
        assert!(ended.output.contains("`make static`"), "{}", ended.output);
        assert!(!place.root().exists());
    }
}

#[test]
fn a_path_that_sh_would_read_as_more_than_a_path_is_refused() {
    let place = Place::new();
    for path in ["bindir=/usr/my bin", "sysconfdir=/etc;reboot", "unitdir=units"] {
        let ended = run(place.make("install").arg(path));
        assert_eq!(ended.code, Some(2), "{path}: {}", ended.output);
        let variable = path.split('=').next().expect("a split has a first part");
        assert!(ended.output.contains(variable), "{path}: {}", ended.output);
        assert!(!place.root().exists(), "{path}");
    }
}

#[test]
fn the_next_steps_are_printed_after_a_real_installation() {
    let folder = tree::folder();
    let prefix = folder.path().display();
    let variables = [
        ("BINARY", &*tree::program(folder.path())),
        ("prefix", folder.path()),
        ("sysconfdir", &folder.path().join("etc")),
        ("localstatedir", &folder.path().join("var")),
    ];
    let ended = run(&mut tree::installer("install", &variables)).successfully();
    for step in [
        format!("{prefix}/etc/default/kuma-prometheus-sd"),
        format!("{prefix}/var/lib/kuma-prometheus-sd/kuma.file_sd.json"),
    ] {
        assert!(ended.output.contains(&step), "{step}: {}", ended.output);
    }
    let of_systemd = "systemctl enable kuma-prometheus-sd";
    let of_runit = format!("ln -s {prefix}/etc/sv/kuma-prometheus-sd");
    assert!(
        ended.output.contains(of_systemd) || ended.output.contains(&of_runit),
        "{}",
        ended.output
    );
}

#[test]
fn where_a_file_is_missing_it_is_named_and_nothing_is_installed() {
    let place = Place::new();
    let copy = place.folder.path().join("packaging");
    run(command("cp").arg("-R").arg(repository().join("packaging")).arg(&copy)).successfully();
    for missing in ["systemd/kuma-prometheus-sd.service", "environment"] {
        let path = copy.join(missing);
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).expect("it is there");
        let mut install = command(copy.join("install.sh"));
        install
            .arg("install")
            .env("DESTDIR", place.root())
            .env("BINARY", place.folder.path().join("program"));
        let ended = run(&mut install);
        assert_eq!(ended.code, Some(1), "{}", ended.output);
        assert!(ended.output.contains(missing), "{}", ended.output);
        assert!(!place.root().exists());
        fs::rename(&aside, &path).expect("it is there");
    }
}
