//! The guide's configuration of a reverse proxy, in a real nginx: with TLS and a login the listener can be
//! reached, and without the login it cannot.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kuma_stand_in::{Authority, Validity};

use crate::support::command::repository;
use crate::support::harness::{Launch, NOTHING_THERE, SOON, wait_until};
use crate::support::listener::{LISTEN, address_of};
use crate::support::not_tried::not_tried;

/// The user `prometheus` with the password `secret`, as `openssl passwd -6` has it.
const USERS: &str = "prometheus:$6$salt$egUxKNxDs8kPfh8iPMNcosMhb2eWah6d3R44JDm5Rj/j/XWR5E33QPd0YmHXoDHOIDR6kL5D3JcQcz0O8FHE00\n";

/// Ended by dropping it.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The guide's configuration in a folder of the test's, listening at a Unix socket there.
fn configuration(folder: &Path, daemon: &str) -> String {
    let guide = fs::read_to_string(repository().join("docs/operators-guide.md")).unwrap();
    let (_, rest) = guide.split_once("```nginx\n").expect("the guide has one");
    let (server, _) = rest.split_once("```").unwrap();
    let here = folder.display().to_string();
    let replaced = [
        ("listen 443 ssl", format!("listen unix:{here}/nginx.sock ssl")),
        ("/etc/nginx", here),
        ("127.0.0.1:9467", daemon.to_owned()),
    ];
    let server = replaced.iter().fold(server.to_owned(), |server, (from, to)| {
        assert!(server.contains(from), "{from} is not in the guide's configuration");
        server.replace(from, to)
    });
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {name};"))
        .join(" ");
    // One process: without a master, its death is the end.
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;\nevents {{}}\n\
         http {{ access_log off; {paths}\n{server}\n}}\n"
    )
}

/// The status of a response of nginx, asked as `sd.internal`, and its body.
fn ask(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--cacert",
            "authority.pem",
            "--unix-socket",
            "nginx.sock",
        ])
        .args(["--write-out", " %{http_code}"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("curl can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn the_guides_reverse_proxy_adds_tls_and_a_login() {
    let launch = Launch::follow(NOTHING_THERE).argument(LISTEN);
    let daemon = launch.start();
    let folder = launch.folder();
    let authority = Authority::new("of the test");
    let server = authority.server(&["sd.internal"], Validity::Valid);
    launch.put("authority.pem", authority.pem());
    launch.put("sd.internal.pem", &server.certificate_pem);
    launch.put("sd.internal.key", &server.key_pem);
    launch.put("sd.htpasswd", USERS);
    launch.put("nginx.conf", configuration(folder, &address_of(&daemon).to_string()));
    let nginx = ["nginx", "/usr/sbin/nginx"].iter().find_map(|program| {
        let mut command = Command::new(program);
        command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "stderr"]);
        command.stderr(Stdio::inherit()).spawn().ok()
    });
    let Some(nginx) = nginx else {
        return not_tried("no nginx on this machine");
    };
    let _nginx = Nginx(nginx);
    assert!(wait_until(SOON, || folder.join("nginx.sock").exists()), "nginx does not listen");

    let healthy = "https://sd.internal/-/healthy";
    assert_eq!(ask(folder, &["--user", "prometheus:secret", healthy]), "healthy\n 200");
    let metrics = ask(folder, &["--user", "prometheus:secret", "https://sd.internal/metrics"]);
    assert!(metrics.contains("\nkuma_prometheus_sd_connected 0.0\n"), "{metrics}");
    for arguments in [&[healthy][..], &["--user", "prometheus:wrong", healthy]] {
        let refused = ask(folder, arguments);
        assert!(refused.ends_with(" 401") && !refused.contains("healthy"), "{refused}");
    }
}
