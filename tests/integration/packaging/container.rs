//! The image of `packaging/Containerfile`, built and run by the commands of the guide under a real
//! podman, which keeps images and containers in a folder of the test.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kuma_stand_in::Authority;
use tempfile::TempDir;

use crate::packaging::tree;
use crate::support::command::{Ended, command, has, repository, run};
use crate::support::harness::{SOON, read_if_there, wait_until};
use crate::support::mesh::{backend, file_v1};
use crate::support::not_tried::not_tried;
use crate::support::secure::{CONNECTED, api_url, plane, server_of};

/// The container in the guide.
const NAME: &str = "kuma-prometheus-sd";

/// The user of the image, and the group.
const USER: u32 = 65532;

/// The network of this machine, to reach the control plane of the test. The rest is for machines whose
/// root may not do all that podman's defaults want of it: raise limits, use every kind of cgroups.
const SETTINGS: &str = r#"
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
"#;

/// A podman with a folder for its images and containers. Dropping it ends and removes all of them.
struct Podman {
    folder: TempDir,
}

impl Podman {
    fn new() -> Podman {
        let folder = tree::folder();
        let path = folder.path().display();
        let settings = format!("{SETTINGS}tmp_dir = \"{path}/tmp\"\n");
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{path}/images\"\nrunroot = \"{path}/run\"\n"
        );
        fs::write(folder.path().join("containers.conf"), settings).unwrap();
        fs::write(folder.path().join("storage.conf"), storage).unwrap();
        Podman { folder }
    }

    /// A command in an environment in which `podman` is this one.
    fn environment(&self, program: &str) -> Command {
        let mut command = command(program);
        command
            .env("HOME", self.folder.path())
            .env("CONTAINERS_CONF", self.folder.path().join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.folder.path().join("storage.conf"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(self.environment("podman").args(arguments))
    }

    /// Whether this machine allows a container at all: the program in a folder, without an image.
    fn can_run(&self, program: &Path) -> bool {
        let root = self.folder.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::copy(program, root.join("program")).unwrap();
        let root = root.display().to_string();
        let ended = self.run(&["run", "--rm", "--rootfs", &root, "/program", "version"]);
        if ended.code != Some(0) {
            not_tried(format_args!("podman runs nothing here: {}", ended.output));
        }
        ended.code == Some(0)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let ended = self.run(&["rm", "--force", "--all", "--time", "0"]);
        if ended.code != Some(0) {
            println!("containers may be left: {}", ended.output);
        }
    }
}

#[test]
fn the_image_follows_a_control_plane_as_the_guide_says() {
    let Some(program) = env::var_os("KUMA_PROMETHEUS_SD_BINARY").map(PathBuf::from) else {
        println!("left to `make test-static`, which names a static binary");
        return;
    };
    if !has("podman") {
        return;
    }
    let podman = Podman::new();
    if !podman.can_run(&program) {
        return;
    }
    let authority = Authority::new("the authority");
    let plane = plane(&server_of(&authority));
    plane.publish(&[backend(0)]);
    let bundle = Authority::new("another").pem() + &authority.pem();
    let list = start(&podman, &program, &bundle, &api_url(&plane));

    let logs = || podman.run(&["logs", NAME]).output;
    let wait_for = |condition: &dyn Fn() -> bool| {
        assert!(wait_until(SOON, condition), "{}", logs());
    };
    let expected = Some(file_v1(&[backend(0)]));
    wait_for(&|| read_if_there(&list) == expected);
    let file = fs::metadata(&list).unwrap();
    assert_eq!([file.uid(), file.gid()], [USER, USER]);
    assert_eq!(file.mode() & 0o7777, 0o644);
    wait_for(&|| logs().contains(CONNECTED));

    let check = |address: &str| {
        let program = "/kuma-prometheus-sd";
        podman.run(&["exec", NAME, program, "check", "--cp-address", address])
    };
    check(&api_url(&plane)).successfully();
    let unknown = self::plane(&server_of(&Authority::new("an unknown one")));
    let refused = check(&api_url(&unknown));
    assert_eq!(refused.code, Some(1), "{}", refused.output);
    assert!(refused.output.contains("is of an unknown issuer"));

    podman.run(&["kill", "--signal", "HUP", NAME]).successfully();
    wait_for(&|| logs().matches(CONNECTED).count() == 2);

    podman.run(&["stop", "--time", "10", NAME]).successfully();
    let format = "{{.State.ExitCode}} {{.Config.User}}";
    let state = podman.run(&["inspect", "--format", format, NAME]);
    assert_eq!(state.output, format!("0 {USER}:{USER}\n"), "{}", logs());
    assert_eq!(read_if_there(&list), expected);
}

/// Does what the guide says in the unpacked tarball, for the bundle of this system and the control plane
/// given. Returns the path of the list.
fn start(podman: &Podman, program: &Path, bundle: &str, url: &str) -> PathBuf {
    let folder = podman.folder.path();
    let (tarball, list_folder) = (folder.join("tarball"), folder.join("list"));
    let containerfile = "packaging/Containerfile";
    fs::create_dir_all(tarball.join("packaging")).unwrap();
    fs::copy(program, tarball.join("kuma-prometheus-sd")).unwrap();
    fs::copy(repository().join(containerfile), tarball.join(containerfile)).unwrap();
    fs::write(folder.join("ca-certificates.crt"), bundle).unwrap();
    let list_path = list_folder.display().to_string();
    let commands = commands_of_the_guide()
        .replace("/etc/ssl/certs/", "../")
        .replace("/srv/kuma-prometheus-sd", &list_path)
        .replace("http://kuma-control-plane.internal:5681", url);
    let mut shell = podman.environment("sh");
    run(shell.args(["-exc", &commands]).current_dir(tarball)).successfully();
    list_folder.join("kuma.file_sd.json")
}

/// The block of commands in the guide's section on containers.
fn commands_of_the_guide() -> String {
    let guide = fs::read_to_string(repository().join("docs/operators-guide.md")).unwrap();
    let (_, section) = guide.split_once("\n## Containers\n").expect("the guide has it");
    let (_, block) = section.split_once("```sh\n").expect("it has commands");
    let (commands, _) = block.split_once("```").expect("the block ends");
    commands.to_owned()
}
