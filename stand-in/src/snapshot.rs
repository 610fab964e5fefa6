//! What is published: resources, and the snapshot of one API version that they make.
//!
//! A snapshot is encoded when it is first asked for, and once: publishing stays cheap, a thousand
//! times a second or with tens of MiB.

use std::sync::{Arc, OnceLock};

use protobuf::Message;

use crate::dataplane::Dataplane;
use crate::kuma_version::ApiVersion;
use crate::proto::discovery::{Any, DiscoveryResponse};

/// One resource of a snapshot.
#[derive(Clone, Debug)]
pub enum Resource {
    /// A dataplane, to be encoded as the API version and the transport have it.
    Dataplane(Dataplane),
    /// Bytes for gRPC and JSON for HTTP, sent as they are: whatever a test wants to try.
    Raw {
        /// The resource's own type URL.
        type_url: String,
        /// What gRPC sends.
        value: Vec<u8>,
        /// What HTTP sends, `@type` included.
        json: serde_json::Value,
    },
}

impl Resource {
    /// A resource of the API version's type that nobody can decode as an assignment.
    #[must_use]
    pub fn undecodable(api_version: ApiVersion) -> Resource {
        Resource::Raw {
            type_url: api_version.type_url().to_owned(),
            // Field 2, 127 bytes long, of which none follow.
            value: vec![0x12, 0x7f],
            json: serde_json::json!({"@type": api_version.type_url(), "targets": "none"}),
        }
    }

    fn to_any(&self, api_version: ApiVersion) -> Any {
        let (type_url, value) = match self {
            Resource::Dataplane(dataplane) => {
                (api_version.type_url().to_owned(), dataplane.to_protobuf(api_version))
            }
            Resource::Raw { type_url, value, .. } => (type_url.clone(), value.clone()),
        };
        Any { type_url, value, ..Default::default() }
    }

    fn to_json(&self) -> serde_json::Value {
        match self {
            Resource::Dataplane(dataplane) => dataplane.to_json(),
            Resource::Raw { json, .. } => json.clone(),
        }
    }
}

/// The full state of one API version, under one version.
#[derive(Debug)]
pub(crate) struct Snapshot {
    api_version: ApiVersion,
    version: String,
    type_url: String,
    resources: Arc<[Resource]>,
    protobuf: OnceLock<Vec<u8>>,
    json: OnceLock<Vec<u8>>,
}

impl Snapshot {
    /// A snapshot under a new random version, as Kuma gives it to each new state.
    pub(crate) fn new(
        api_version: ApiVersion,
        type_url: &str,
        resources: Arc<[Resource]>,
    ) -> Snapshot {
        Snapshot::with_version(random_uuid(), api_version, type_url, resources)
    }

    /// A snapshot under a version of the caller's choice.
    pub(crate) fn with_version(
        version: String,
        api_version: ApiVersion,
        type_url: &str,
        resources: Arc<[Resource]>,
    ) -> Snapshot {
        Snapshot {
            api_version,
            version,
            type_url: type_url.to_owned(),
            resources,
            protobuf: OnceLock::new(),
            json: OnceLock::new(),
        }
    }

    /// The same state as another control-plane process has it: another version, another order.
    pub(crate) fn reborn(&self) -> Snapshot {
        Snapshot::new(self.api_version, &self.type_url, self.resources.clone())
    }

    /// Its version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// How many resources it has.
    pub(crate) fn len(&self) -> usize {
        self.resources.len()
    }

    /// A serialized `DiscoveryResponse` with a nonce.
    pub(crate) fn to_protobuf(&self, nonce: &str) -> Vec<u8> {
        let body = self.protobuf.get_or_init(|| {
            DiscoveryResponse {
                version_info: self.version.clone(),
                resources: self
                    .in_random_order()
                    .map(|resource| resource.to_any(self.api_version))
                    .collect(),
                type_url: self.type_url.clone(),
                ..Default::default()
            }
            .write_to_bytes()
            .expect("a response within 2 GiB can be serialized")
        });
        let nonce = DiscoveryResponse { nonce: nonce.to_owned(), ..Default::default() }
            .write_to_bytes()
            .expect("a string can be serialized");
        // The concatenation of two serialized messages is the merged message: the nonce differs
        // from stream to stream, the many MiB before it do not.
        [body.as_slice(), &nonce].concat()
    }

    /// The body of an HTTP response.
    pub(crate) fn to_json(&self) -> &[u8] {
        self.json.get_or_init(|| {
            let resources: Vec<_> = self.in_random_order().map(Resource::to_json).collect();
            let mut body = serde_json::json!({
                "version_info": self.version,
                "type_url": self.type_url,
            });
            if !resources.is_empty() {
                body["resources"] = resources.into();
            }
            body.to_string().into_bytes()
        })
    }

    fn in_random_order(&self) -> impl Iterator<Item = &Resource> {
        let mut order: Vec<usize> = (0..self.resources.len()).collect();
        fastrand::shuffle(&mut order);
        order.into_iter().map(|index| &self.resources[index])
    }
}

/// A random UUID (version 4), as Kuma's versions are.
fn random_uuid() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_uuids() {
        let uuid = random_uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]), "{uuid}");
    }

    #[test]
    fn the_nonce_is_merged_into_the_response() {
        let resources = vec![Resource::Dataplane(Dataplane::new("s", "n", "1.2.3.4:5"))];
        let snapshot =
            Snapshot::new(ApiVersion::V1, ApiVersion::V1.type_url(), Arc::from(resources));
        let response = DiscoveryResponse::parse_from_bytes(&snapshot.to_protobuf("7")).unwrap();
        assert_eq!(response.nonce, "7");
        assert_eq!(response.version_info, snapshot.version());
        assert_eq!(response.resources.len(), 1);
    }
}
