//! Dataplanes, and the monitoring assignment that Kuma makes of each.
//!
//! Kuma sends one assignment for one dataplane, in both API versions. A dataplane's tags become
//! labels twice: `env: prod` gives `env="prod"`, and `envs=",prod,"` for the case of more values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kuma_version::ApiVersion;
use crate::proto::{mads_v1, mads_v1alpha1};
use protobuf::Message;

/// A dataplane of the mesh whose metrics are to be scraped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataplane {
    /// The mesh that it belongs to.
    #[serde(default = "default_mesh")]
    pub mesh: String,
    /// The value of its tag `kuma.io/service`.
    pub service: String,
    /// Its name, unique in the mesh.
    pub name: String,
    /// `host:port` of its metrics.
    pub address: String,
    /// The path of its metrics.
    #[serde(default = "default_metrics_path")]
    pub metrics_path: String,
    /// `http` or `https`.
    #[serde(default = "default_scheme")]
    pub scheme: String,
    /// Its other tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

fn default_mesh() -> String {
    "default".to_owned()
}

fn default_metrics_path() -> String {
    "/metrics".to_owned()
}

fn default_scheme() -> String {
    "http".to_owned()
}

impl Dataplane {
    /// A dataplane of the mesh `default` with its metrics on `http://{address}/metrics`.
    #[must_use]
    pub fn new(service: &str, name: &str, address: &str) -> Dataplane {
        Dataplane {
            mesh: default_mesh(),
            service: service.to_owned(),
            name: name.to_owned(),
            address: address.to_owned(),
            metrics_path: default_metrics_path(),
            scheme: default_scheme(),
            tags: BTreeMap::new(),
        }
    }

    /// The same dataplane in another mesh.
    #[must_use]
    pub fn in_mesh(mut self, mesh: &str) -> Dataplane {
        mesh.clone_into(&mut self.mesh);
        self
    }

    /// The same dataplane with one more tag.
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Dataplane {
        self.tags.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The labels that Kuma makes of its tags.
    fn labels(&self) -> BTreeMap<String, String> {
        let service = ("kuma.io/service".to_owned(), self.service.clone());
        let mut labels = BTreeMap::new();
        for (name, value) in self.tags.iter().chain([(&service.0, &service.1)]) {
            let name: String =
                name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            labels.insert(format!("{name}s"), format!(",{value},"));
            labels.insert(name, value.clone());
        }
        labels
    }

    /// Its assignment as the bytes of an API version's `MonitoringAssignment`.
    pub(crate) fn to_protobuf(&self, api_version: ApiVersion) -> Vec<u8> {
        match api_version {
            ApiVersion::V1Alpha1 => self.to_v1alpha1().write_to_bytes(),
            ApiVersion::V1 => self.to_v1().write_to_bytes(),
        }
        .expect("a message of strings can be serialized")
    }

    fn to_v1(&self) -> mads_v1::MonitoringAssignment {
        mads_v1::MonitoringAssignment {
            mesh: self.mesh.clone(),
            service: self.service.clone(),
            targets: vec![mads_v1::monitoring_assignment::Target {
                name: self.name.clone(),
                scheme: self.scheme.clone(),
                address: self.address.clone(),
                metrics_path: self.metrics_path.clone(),
                labels: self.labels().into_iter().collect(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn to_v1alpha1(&self) -> mads_v1alpha1::MonitoringAssignment {
        let mut labels = self.labels();
        labels.extend(
            [
                ("__metrics_path__", &self.metrics_path),
                ("__scheme__", &self.scheme),
                ("dataplane", &self.name),
                ("instance", &self.name),
                ("job", &self.service),
                ("mesh", &self.mesh),
            ]
            .map(|(name, value)| (name.to_owned(), value.clone())),
        );
        let address = ("__address__".to_owned(), self.address.clone());
        mads_v1alpha1::MonitoringAssignment {
            name: format!("/meshes/{}/dataplanes/{}", self.mesh, self.name),
            targets: vec![mads_v1alpha1::monitoring_assignment::Target {
                labels: [address].into(),
                ..Default::default()
            }],
            labels: labels.into_iter().collect(),
            ..Default::default()
        }
    }

    /// Its assignment as the HTTP API shows it: proto3 JSON with the proto's field names, which
    /// leaves out empty fields.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut target = serde_json::Map::new();
        for (field, value) in [
            ("name", &self.name),
            ("scheme", &self.scheme),
            ("address", &self.address),
            ("metrics_path", &self.metrics_path),
        ] {
            if !value.is_empty() {
                target.insert(field.to_owned(), value.as_str().into());
            }
        }
        target.insert("labels".to_owned(), serde_json::json!(self.labels()));
        serde_json::json!({
            "@type": ApiVersion::V1.type_url(),
            "mesh": self.mesh,
            "service": self.service,
            "targets": [target],
        })
    }
}
