//! What is put into a control plane, and the list that must come of it, written down without the
//! daemon's own rendering.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::real_kuma::control_plane::ControlPlane;
use crate::real_kuma::version::Version;
use crate::support::decoded::expected_file;
use crate::support::prometheus::Group;

/// The port and the path of metrics that `enable_metrics` gives.
pub(crate) const METRICS: (u16, &str) = (5670, "/metrics");

/// A dataplane of the service `app`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dataplane {
    pub(crate) mesh: String,
    pub(crate) name: String,
    pub(crate) address: String,
    /// Its tag `env`.
    pub(crate) env: String,
}

impl Dataplane {
    /// A dataplane of the mesh `default`.
    pub(crate) fn new(name: &str, address: &str, env: &str) -> Dataplane {
        Dataplane {
            mesh: "default".to_owned(),
            name: name.to_owned(),
            address: address.to_owned(),
            env: env.to_owned(),
        }
    }

    /// The same in another mesh.
    pub(crate) fn in_mesh(mut self, mesh: &str) -> Dataplane {
        mesh.clone_into(&mut self.mesh);
        self
    }

    fn path(&self) -> String {
        format!("/meshes/{}/dataplanes/{}", self.mesh, self.name)
    }

    pub(crate) fn put(&self, plane: &ControlPlane) {
        // Newer control planes add the zone where it is not given.
        let tags = json!({"kuma.io/service": "app", "kuma.io/zone": "default", "env": self.env});
        let inbound = json!({"port": 8080, "servicePort": 8081, "tags": tags});
        let resource = json!({
            "type": "Dataplane",
            "mesh": self.mesh,
            "name": self.name,
            "networking": {"address": self.address, "inbound": [inbound]},
        });
        plane.put(&self.path(), &resource);
    }

    pub(crate) fn delete(&self, plane: &ControlPlane) {
        plane.delete(&self.path());
    }

    /// Its group of the list.
    fn group(&self, version: Version, source: Source) -> Group {
        let (port, path) = source.metrics();
        // From 3.0 on it is what the label `kuma.io/workload` says, and nothing says it here.
        let service = if version < Version::V3 { "app" } else { "unknown" };
        let mut labels: BTreeMap<String, String> = [
            ("__metrics_path__", path),
            ("__scheme__", "http"),
            ("dataplane", &self.name),
            ("instance", &self.name),
            ("job", service),
            ("mesh", &self.mesh),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if version >= Version::V1 {
            labels.insert("service".to_owned(), service.to_owned());
        }
        if version < Version(2, 7) || source == Source::Enabled && version < Version::V3 {
            for (tag, value) in
                [("env", &*self.env), ("kuma_io_service", "app"), ("kuma_io_zone", "default")]
            {
                labels.insert(tag.to_owned(), value.to_owned());
                labels.insert(format!("{tag}s"), format!(",{value},"));
            }
        }
        Group { address: format!("{}:{port}", self.address), labels }
    }
}

/// What makes targets of dataplanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// What `enable_metrics` puts there.
    Enabled,
    /// A MeshMetric with this port, and the path `/mesh-metric`. From 2.7 on its targets have no
    /// tags.
    MeshMetric(u16),
}

impl Source {
    fn metrics(self) -> (u16, &'static str) {
        match self {
            Source::Enabled => METRICS,
            Source::MeshMetric(port) => (port, "/mesh-metric"),
        }
    }
}

/// The list of these dataplanes.
pub(crate) fn list(version: Version, source: Source, dataplanes: &[Dataplane]) -> String {
    let groups = dataplanes.iter();
    let groups: Vec<_> = groups.map(|of| of.group(version, source)).collect();
    expected_file(&groups)
}

/// Makes a mesh whose dataplanes have metrics, or turns them on in one that is there.
pub(crate) fn enable_metrics(plane: &ControlPlane, mesh: &str) {
    let (port, path) = METRICS;
    let mut resource = json!({"type": "Mesh", "name": mesh});
    if plane.version.has_metrics_of_mesh() {
        let conf = json!({"port": port, "path": path, "skipMTLS": true});
        let backend = json!({"name": "prometheus", "type": "prometheus", "conf": conf});
        resource["metrics"] = json!({"enabledBackend": "prometheus", "backends": [backend]});
    }
    plane.put(&format!("/meshes/{mesh}"), &resource);
    if !plane.version.has_metrics_of_mesh() {
        let prometheus = json!({"port": port, "path": path});
        put_policy(plane, mesh, "enabled", &prometheus);
    }
}

/// Puts a MeshMetric for all dataplanes of a mesh, for one client or for each that has no other.
pub(crate) fn put_mesh_metric(
    plane: &ControlPlane,
    mesh: &str,
    name: &str,
    port: u16,
    client: Option<&str>,
) {
    let mut prometheus = json!({"port": port, "path": Source::MeshMetric(port).metrics().1});
    if let Some(client) = client {
        prometheus["clientId"] = client.into();
    }
    put_policy(plane, mesh, name, &prometheus);
}

fn put_policy(plane: &ControlPlane, mesh: &str, name: &str, prometheus: &Value) {
    let backend = json!({"type": "Prometheus", "prometheus": prometheus});
    let spec = json!({"targetRef": {"kind": "Mesh"}, "default": {"backends": [backend]}});
    let resource = json!({"type": "MeshMetric", "name": name, "mesh": mesh, "spec": spec});
    plane.put(&mesh_metric(mesh, name), &resource);
}

/// Where a MeshMetric is.
pub(crate) fn mesh_metric(mesh: &str, name: &str) -> String {
    format!("/meshes/{mesh}/meshmetrics/{name}")
}
