//! What the guide's section on scraping says of control planes: the scheme of targets, the zone proxies
//! in the list, and where a control plane's own metrics are.

use std::ops::Range;

use serde_json::{Value, json};

use crate::real_kuma::control_plane::{ControlPlane, Ports};
use crate::real_kuma::list::{Dataplane, mesh_metric};
use crate::real_kuma::table::Table;
use crate::real_kuma::version::{Folder, Version};
use crate::support::harness::{Daemon, Launch, SOON, wait_until};
use crate::support::prometheus::groups;

#[test]
fn what_is_scraped_is_as_documented() {
    let Some(folder) = Folder::open("what_is_scraped_is_as_documented") else {
        return;
    };
    let mut table = Table::default();
    for version in folder.versions() {
        let plane = ControlPlane::start(&folder, version, Ports::free(), false);
        table.row(&format!("{version} | its own metrics"), own_metrics(&plane));
        Dataplane::new("app-1", "10.0.0.1", "prod").put(&plane);
        put_zone_proxies(&plane);
        let run = Launch::follow(&format!("http://127.0.0.1:{}", plane.ports.api)).start();
        for (what, change, mut expected) in steps() {
            if !what.versions.contains(&version) {
                continue;
            }
            change(&plane);
            // Up to 1.1 an ingress is a dataplane.
            if version < Version::V1 {
                expected.push("http://10.0.0.2:5670/metrics");
            }
            let outcome = match wait_until(SOON, || targets(&run) == expected) {
                true => Ok(expected.join(", ")),
                false => Err(format!("{:?}\n{}", targets(&run), run.log())),
            };
            table.row(&format!("{version} | {}", what.name), outcome);
        }
    }
    table.judge();
}

/// They are served from 1.0 on.
fn own_metrics(plane: &ControlPlane) -> Result<String, String> {
    let metrics = plane.own_metrics().unwrap_or_default();
    match metrics.contains("\n# TYPE ") == (plane.version >= Version(1, 0)) {
        true => Ok(format!("{} bytes", metrics.len())),
        false => Err(metrics),
    }
}

/// A zone ingress and, where there is such a thing, a zone egress.
fn put_zone_proxies(plane: &ControlPlane) {
    if plane.version < Version::V1 {
        let inbound = json!({"port": 10001, "tags": {"kuma.io/service": "ingress"}});
        let resource = json!({
            "type": "Dataplane",
            "mesh": "default",
            "name": "ingress",
            "networking": {"ingress": {}, "address": "10.0.0.2", "inbound": [inbound]},
        });
        plane.put("/meshes/default/dataplanes/ingress", &resource);
        return;
    }
    let kinds = [
        ("ZoneIngress", "zone-ingresses", Version(1, 2)..Version::V3),
        ("ZoneEgress", "zoneegresses", Version(1, 6)..Version::V3),
    ];
    for (kind, path, versions) in kinds {
        if versions.contains(&plane.version) {
            let networking = json!({"address": "10.0.0.2", "port": 10001});
            let resource = json!({"type": kind, "name": "proxy", "networking": networking});
            plane.put(&format!("/{path}/proxy"), &resource);
        }
    }
}

/// What is done to a control plane, and which versions know it.
struct What {
    name: &'static str,
    versions: Range<Version>,
}

/// What is done, in words and in fact, and the targets then.
type Step = (What, Box<dyn Fn(&ControlPlane)>, Vec<&'static str>);

fn steps() -> Vec<Step> {
    let mesh = |name, since, conf: Value, target| -> Step {
        let change = move |plane: &ControlPlane| put_mesh(plane, &conf);
        let versions = since..Version::V3;
        (What { name, versions }, Box::new(change), vec![target])
    };
    let policy = |name, mode: &'static str, target| -> Step {
        let versions = Version(2, 6)..Version(u32::MAX, 0);
        let change = move |plane: &ControlPlane| put_mesh_metric(plane, mode);
        (What { name, versions }, Box::new(change), vec![target])
    };
    let (http, https) = ("http://10.0.0.1:5670/metrics", "https://10.0.0.1:5670/metrics");
    let (first, with_tls) = (Version(0, 0), Version(2, 4));
    vec![
        mesh("Mesh.metrics", first, json!({}), http),
        mesh("Mesh.metrics, providedTLS", with_tls, json!({"tls": {"mode": "providedTLS"}}), https),
        mesh(
            "Mesh.metrics, activeMTLSBackend",
            with_tls,
            json!({"tls": {"mode": "activeMTLSBackend"}}),
            http,
        ),
        policy("MeshMetric, ProvidedTLS", "ProvidedTLS", "https://10.0.0.1:5671/metrics"),
        policy(
            "MeshMetric, ActiveMTLSBackend",
            "ActiveMTLSBackend",
            "http://10.0.0.1:5671/metrics",
        ),
    ]
}

/// A mesh with mutual TLS between its dataplanes, and metrics.
fn put_mesh(plane: &ControlPlane, conf: &Value) {
    let metrics = json!({"name": "prometheus", "type": "prometheus", "conf": conf});
    let resource = json!({
        "type": "Mesh",
        "name": "default",
        "mtls": {"enabledBackend": "ca", "backends": [{"name": "ca", "type": "builtin"}]},
        "metrics": {"enabledBackend": "prometheus", "backends": [metrics]},
    });
    plane.put("/meshes/default", &resource);
}

fn put_mesh_metric(plane: &ControlPlane, tls_mode: &str) {
    let prometheus = json!({"port": 5671, "path": "/metrics", "tls": {"mode": tls_mode}});
    let backend = json!({"type": "Prometheus", "prometheus": prometheus});
    let spec = json!({"targetRef": {"kind": "Mesh"}, "default": {"backends": [backend]}});
    let resource = json!({"type": "MeshMetric", "name": "all", "mesh": "default", "spec": spec});
    plane.put(&mesh_metric("default", "all"), &resource);
}

/// The URLs of the daemon's list.
fn targets(run: &Daemon) -> Vec<String> {
    let file = run.file().unwrap_or_else(|| "[]\n".to_owned());
    let groups = groups(file.as_bytes());
    let urls = groups.iter().map(|group| {
        let [scheme, path] = ["__scheme__", "__metrics_path__"].map(|name| &group.labels[name]);
        format!("{scheme}://{}{path}", group.address)
    });
    urls.collect()
}
