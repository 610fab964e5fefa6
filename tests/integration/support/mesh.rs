//! Meshes for the tests, and the file that each must become, written down without the daemon's
//! own rendering.

use std::collections::BTreeMap;

use kuma_stand_in::{ApiVersion, Dataplane, Resource};

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

/// A resource of the right type that is no assignment: a string that ends too early.
pub(crate) fn undecodable(api_version: ApiVersion) -> Resource {
    let string_field = match api_version {
        ApiVersion::V1 => 2,
        ApiVersion::V1Alpha1 => 1,
    };
    Resource::Raw {
        type_url: api_version.type_url().to_owned(),
        value: vec![string_field << 3 | 2, 127, b'x'],
        json: serde_json::json!({"@type": api_version.type_url(), "targets": "none"}),
    }
}

/// The file of a mesh in an API version: v1alpha1 has no label `service`.
pub(crate) fn file(api_version: ApiVersion, mesh: &[Dataplane]) -> String {
    let mut groups: Vec<([&str; 4], String)> = mesh
        .iter()
        .map(|dataplane| {
            let service = match api_version {
                ApiVersion::V1 => dataplane.service.as_str(),
                ApiVersion::V1Alpha1 => "",
            };
            let key = [
                &dataplane.mesh,
                service,
                &dataplane.name,
                &dataplane.address,
            ];
            (key, group(service, dataplane))
        })
        .collect();
    if groups.is_empty() {
        return EMPTY.to_owned();
    }
    groups.sort();
    let lines: Vec<String> = groups.into_iter().map(|(_, line)| line).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// The file of a mesh in API version v1.
pub(crate) fn file_v1(mesh: &[Dataplane]) -> String {
    file(ApiVersion::V1, mesh)
}

/// The assignment of a dataplane as JSON of v1.
pub(crate) fn json(dataplane: &Dataplane) -> serde_json::Value {
    let service = ("kuma_io_service".to_owned(), dataplane.service.clone());
    let tags = dataplane.tags.iter().chain([(&service.0, &service.1)]);
    let labels: BTreeMap<String, String> = tags
        .flat_map(|(name, value)| {
            [
                (name.clone(), value.clone()),
                (format!("{name}s"), format!(",{value},")),
            ]
        })
        .collect();
    serde_json::json!({
        "@type": ApiVersion::V1.type_url(),
        "mesh": dataplane.mesh,
        "service": dataplane.service,
        "targets": [{
            "name": dataplane.name,
            "scheme": dataplane.scheme,
            "address": dataplane.address,
            "metrics_path": dataplane.metrics_path,
            "labels": labels,
        }],
    })
}

fn group(service: &str, dataplane: &Dataplane) -> String {
    let mut labels: BTreeMap<String, String> = [
        ("__metrics_path__", &dataplane.metrics_path),
        ("__scheme__", &dataplane.scheme),
        ("dataplane", &dataplane.name),
        ("instance", &dataplane.name),
        ("job", &dataplane.service),
        ("mesh", &dataplane.mesh),
        ("service", &service.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value.clone()))
    .into();
    let service_tag = ("kuma_io_service".to_owned(), dataplane.service.clone());
    for (name, value) in dataplane
        .tags
        .iter()
        .chain([(&service_tag.0, &service_tag.1)])
    {
        labels.insert(name.clone(), value.clone());
        labels.insert(format!("{name}s"), format!(",{value},"));
    }
    labels.retain(|_, value| !value.is_empty());
    let labels = serde_json::to_string(&labels).expect("strings are JSON");
    let address = serde_json::to_string(&dataplane.address).expect("a string is JSON");
    format!("{{\"targets\":[{address}],\"labels\":{labels}}}")
}
