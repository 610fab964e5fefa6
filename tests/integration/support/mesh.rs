//! Meshes for the tests, and the file that each must become, written down without the daemon's
//! own rendering.

use std::collections::BTreeMap;

use kuma_stand_in::{ApiVersion, Dataplane};

use crate::support::decoded::expected_file;
use crate::support::prometheus::Group;

/// The file of an empty mesh.
pub(crate) const EMPTY: &str = "[]\n";

/// Dataplane number `number` of the service `backend`.
pub(crate) fn backend(number: usize) -> Dataplane {
    let name = format!("backend-{number:05}");
    let (high, low) = (number / 250, number % 250 + 1);
    let address = format!("10.{}.{}.{low}:5670", high / 250, high % 250);
    Dataplane::new("backend", &name, &address).tag("env", "prod")
}

/// The first `count` dataplanes of the service `backend`.
pub(crate) fn backends(count: usize) -> Vec<Dataplane> {
    (0..count).map(backend).collect()
}

/// The file of a mesh in an API version: v1alpha1 has no label `service`.
pub(crate) fn file(api_version: ApiVersion, mesh: &[Dataplane]) -> String {
    let groups: Vec<Group> = mesh.iter().map(|of| group(api_version, of)).collect();
    expected_file(&groups)
}

/// The file of a mesh in API version v1.
pub(crate) fn file_v1(mesh: &[Dataplane]) -> String {
    file(ApiVersion::V1, mesh)
}

fn group(api_version: ApiVersion, dataplane: &Dataplane) -> Group {
    let service = match api_version {
        ApiVersion::V1 => &*dataplane.service,
        ApiVersion::V1Alpha1 => "",
    };
    let mut labels: BTreeMap<String, String> = [
        ("__metrics_path__", &*dataplane.metrics_path),
        ("__scheme__", &dataplane.scheme),
        ("dataplane", &dataplane.name),
        ("instance", &dataplane.name),
        ("job", &dataplane.service),
        ("mesh", &dataplane.mesh),
        ("service", service),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let service_tag = ("kuma_io_service".to_owned(), dataplane.service.clone());
    for (name, value) in dataplane.tags.iter().chain([(&service_tag.0, &service_tag.1)]) {
        labels.insert(name.clone(), value.clone());
        labels.insert(format!("{name}s"), format!(",{value},"));
    }
    labels.retain(|_, value| !value.is_empty());
    Group { address: dataplane.address.clone(), labels }
}
