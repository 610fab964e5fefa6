//! A real control plane as a test holds it: a process with a home of its own, on free ports of
//! loopback, with all that it knows in memory.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kuma_stand_in::free_port;
use serde_json::Value;
use tempfile::TempDir;

use crate::real_kuma::version::{Folder, Version};
use crate::support::harness::{SOON, wait_until};

/// Nobody should wait longer for a control plane on loopback.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The ports of a control plane, which the next one may have, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// The API server.
    pub(crate) api: u16,
    /// The API server over TLS. Kuma 0.7 had its bootstrap server there, without TLS.
    pub(crate) api_tls: u16,
    /// MADS.
    pub(crate) mads: u16,
    /// What else a control plane listens on.
    others: [u16; 6],
}

impl Ports {
    pub(crate) fn free() -> Ports {
        let port = || free_port().expect("a port is free");
        Ports { api: port(), api_tls: port(), mads: port(), others: [(); 6].map(|()| port()) }
    }

    /// Each variable that names a port in some version; the others do not know it.
    fn variables(&self, version: Version) -> Vec<(&'static str, u16)> {
        let [diagnostics, dataplanes, sds, admin, dns, control_planes] = self.others;
        let mads = if version < Version::V1 {
            "KUMA_MONITORING_ASSIGNMENT_SERVER_GRPC_PORT"
        } else {
            "KUMA_MONITORING_ASSIGNMENT_SERVER_PORT"
        };
        vec![
            (mads, self.mads),
            ("KUMA_API_SERVER_PORT", self.api),
            ("KUMA_API_SERVER_HTTP_PORT", self.api),
            ("KUMA_API_SERVER_HTTPS_PORT", self.api_tls),
            ("KUMA_BOOTSTRAP_SERVER_PORT", self.api_tls),
            ("KUMA_DIAGNOSTICS_SERVER_PORT", diagnostics),
            ("KUMA_XDS_SERVER_DIAGNOSTICS_PORT", diagnostics),
            ("KUMA_DP_SERVER_PORT", dataplanes),
            ("KUMA_XDS_SERVER_GRPC_PORT", dataplanes),
            ("KUMA_SDS_SERVER_GRPC_PORT", sds),
            ("KUMA_ADMIN_SERVER_LOCAL_PORT", admin),
            ("KUMA_DNS_SERVER_PORT", dns),
            ("KUMA_INTER_CP_SERVER_PORT", control_planes),
            ("KUMA_MULTICLUSTER_GLOBAL_KDS_GRPC_PORT", control_planes),
            ("KUMA_MULTIZONE_GLOBAL_KDS_GRPC_PORT", control_planes),
        ]
    }
}

/// A running control plane. Dropping it kills it.
pub(crate) struct ControlPlane {
    pub(crate) version: Version,
    pub(crate) ports: Ports,
    pub(crate) mads_tls: bool,
    home: TempDir,
    child: Child,
}

impl ControlPlane {
    /// Starts one, and waits until it is up.
    #[track_caller]
    pub(crate) fn start(
        folder: &Folder,
        version: Version,
        ports: Ports,
        mads_tls: bool,
    ) -> ControlPlane {
        let plane = ControlPlane::spawn(folder, version, ports, mads_tls, &[]);
        plane.wait_until_up(&[ports.mads]);
        plane
    }

    /// Starts a global one. It need not have MADS.
    #[track_caller]
    pub(crate) fn start_global(folder: &Folder, version: Version, ports: Ports) -> ControlPlane {
        let plane = ControlPlane::spawn(folder, version, ports, false, &[("KUMA_MODE", "global")]);
        plane.wait_until_up(&[]);
        plane
    }

    fn spawn(
        folder: &Folder,
        version: Version,
        ports: Ports,
        mads_tls: bool,
        variables: &[(&str, &str)],
    ) -> ControlPlane {
        let home = TempDir::new().expect("a temporary folder can be made");
        let log = File::create(home.path().join("log")).expect("a file can be made");
        let ports_in_text = ports.variables(version);
        let child = Command::new(folder.program(version))
            .arg("run")
            .current_dir(home.path())
            .env_clear()
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("KUMA_ENVIRONMENT", "universal")
            .env("KUMA_STORE_TYPE", "memory")
            .env("KUMA_REPORTS_ENABLED", "false")
            .env("KUMA_API_SERVER_HTTP_INTERFACE", "127.0.0.1")
            // Otherwise Kuma wants a network interface beyond the loopback.
            .env("KUMA_INTER_CP_CATALOG_INSTANCE_ADDRESS", "127.0.0.1")
            .env("KUMA_API_SERVER_HTTPS_INTERFACE", "127.0.0.1")
            .env("KUMA_MONITORING_ASSIGNMENT_SERVER_TLS_ENABLED", mads_tls.to_string())
            .envs(variables.iter().copied())
            .envs(ports_in_text.iter().map(|(name, port)| (name, port.to_string())))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be opened twice"))
            .stderr(log)
            .spawn()
            .expect("the control plane can be started");
        ControlPlane { version, ports, mads_tls, home, child }
    }

    #[track_caller]
    fn wait_until_up(&self, listening: &[u16]) {
        let is_up = || {
            listening.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
                && self.get("/meshes").is_ok_and(|meshes| meshes["items"][0]["name"] == "default")
        };
        if !wait_until(SOON, is_up) {
            let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            panic!("Kuma {} is not up within {SOON:?}:\n{log}", self.version);
        }
    }

    /// Ends it as a service manager does, and waits for that.
    pub(crate) fn terminate(mut self) {
        // It is not waited for yet, so its number is still its own.
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").arg(&pid).status().expect("kill can be run");
        assert!(sent.success(), "kill {pid} failed");
        let ended = wait_until(SOON, || self.child.try_wait().unwrap().is_some());
        assert!(ended, "Kuma {} does not end", self.version);
    }

    /// The certificate that it made for itself: Kuma 0.7 makes none, 1.0 a temporary file.
    pub(crate) fn certificate(&self) -> PathBuf {
        let folders = [self.home.path(), &self.home.path().join(".kuma")];
        let files = folders.into_iter().flat_map(fs::read_dir).flatten();
        let mut paths = files.map(|entry| entry.expect("a folder can be read").path());
        let certificate = paths.find(|path| path.extension().is_some_and(|end| end == "crt"));
        certificate.expect("it has made a certificate for itself")
    }

    /// What its API server answers to a path.
    pub(crate) fn get(&self, path: &str) -> Result<Value, ureq::Error> {
        let mut answer = self.agent().get(self.url(path)).call()?;
        let body = answer.body_mut().read_to_string()?;
        Ok(serde_json::from_str(&body).unwrap_or_default())
    }

    /// Its own metrics, which it serves on the diagnostics port.
    pub(crate) fn own_metrics(&self) -> Result<String, ureq::Error> {
        let [diagnostics, ..] = self.ports.others;
        let url = format!("http://127.0.0.1:{diagnostics}/metrics");
        self.agent().get(url).call()?.body_mut().read_to_string()
    }

    /// Puts a resource there.
    #[track_caller]
    pub(crate) fn put(&self, path: &str, resource: &Value) {
        let request = self.agent().put(self.url(path));
        let sent = request.header("content-type", "application/json").send(resource.to_string());
        if let Err(error) = sent {
            panic!("Kuma {}: PUT {path}: {error}\n{resource:#}", self.version);
        }
    }

    /// Removes a resource from there.
    #[track_caller]
    pub(crate) fn delete(&self, path: &str) {
        if let Err(error) = self.agent().delete(self.url(path)).call() {
            panic!("Kuma {}: DELETE {path}: {error}", self.version);
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.api)
    }

    fn agent(&self) -> ureq::Agent {
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_LIMIT)).proxy(None);
        config.build().into()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // It may have ended; either way it has ended then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies the certificate of a control plane to where the daemon looks for it, as its operator does.
pub(crate) fn hand_out_certificate(plane: &ControlPlane, to: &Path) {
    if plane.version.has_api_tls() {
        fs::copy(plane.certificate(), to).expect("a certificate can be copied");
    }
}
