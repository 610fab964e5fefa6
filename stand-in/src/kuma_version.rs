//! Versions of Kuma, and what a control plane of each serves.
//!
//! The versions here are the corners of the table in Kuma's history: each serves something that
//! the one before it does not, or no longer serves something that the one before it did.

use std::fmt;
use std::str::FromStr;

/// An API version of the monitoring assignment discovery service (MADS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiVersion {
    /// `kuma.observability.v1alpha1`: Kuma 0.3 to 1.2, gRPC only.
    V1Alpha1,
    /// `kuma.observability.v1`: Kuma 1.2 and later, gRPC (to 2.6) and HTTP.
    V1,
}

impl ApiVersion {
    /// Both of them.
    pub const ALL: [ApiVersion; 2] = [ApiVersion::V1Alpha1, ApiVersion::V1];

    /// The API version's name, as in its package: `v1alpha1` or `v1`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ApiVersion::V1Alpha1 => "v1alpha1",
            ApiVersion::V1 => "v1",
        }
    }

    /// The type URL of its resources, and of its requests and responses.
    #[must_use]
    pub fn type_url(self) -> &'static str {
        match self {
            ApiVersion::V1Alpha1 => {
                "type.googleapis.com/kuma.observability.v1alpha1.MonitoringAssignment"
            }
            ApiVersion::V1 => "type.googleapis.com/kuma.observability.v1.MonitoringAssignment",
        }
    }

    /// The name of its gRPC service.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            ApiVersion::V1Alpha1 => {
                "kuma.observability.v1alpha1.MonitoringAssignmentDiscoveryService"
            }
            ApiVersion::V1 => "kuma.observability.v1.MonitoringAssignmentDiscoveryService",
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a control plane serves on its MADS port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serves {
    /// gRPC, API version v1alpha1.
    pub grpc_v1alpha1: bool,
    /// gRPC, API version v1.
    pub grpc_v1: bool,
    /// HTTP long polling, API version v1.
    pub http_v1: bool,
}

impl Serves {
    /// Whether it speaks gRPC at all, and so HTTP/2.
    #[must_use]
    pub fn grpc(self) -> bool {
        self.grpc_v1alpha1 || self.grpc_v1
    }

    /// Whether it serves an API version over gRPC.
    #[must_use]
    pub fn grpc_version(self, api_version: ApiVersion) -> bool {
        match api_version {
            ApiVersion::V1Alpha1 => self.grpc_v1alpha1,
            ApiVersion::V1 => self.grpc_v1,
        }
    }
}

/// A version of Kuma.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KumaVersion {
    /// 0.3 to 0.7: gRPC v1alpha1, announced in `/catalog`.
    V0_7,
    /// 1.0 and 1.1: gRPC v1alpha1, announced in `/config`.
    V1_1,
    /// 1.2: both API versions over gRPC, and HTTP.
    V1_2,
    /// 1.3 to 1.8: v1 over gRPC and HTTP.
    V1_8,
    /// 2.1 to 2.6: the same, with TLS where it is wanted; JSON may be asked for by name.
    V2_6,
    /// 2.7 to 2.13: HTTP only.
    V2_12,
    /// 2.14 and later: HTTP only, and MADS may be switched off.
    V2_14,
}

impl KumaVersion {
    /// All of them, oldest first.
    pub const ALL: [KumaVersion; 7] = [
        KumaVersion::V0_7,
        KumaVersion::V1_1,
        KumaVersion::V1_2,
        KumaVersion::V1_8,
        KumaVersion::V2_6,
        KumaVersion::V2_12,
        KumaVersion::V2_14,
    ];

    /// The version as people write it, such as `2.6`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            KumaVersion::V0_7 => "0.7",
            KumaVersion::V1_1 => "1.1",
            KumaVersion::V1_2 => "1.2",
            KumaVersion::V1_8 => "1.8",
            KumaVersion::V2_6 => "2.6",
            KumaVersion::V2_12 => "2.12",
            KumaVersion::V2_14 => "2.14",
        }
    }

    /// What it serves on its MADS port.
    #[must_use]
    pub fn serves(self) -> Serves {
        Serves {
            grpc_v1alpha1: self <= KumaVersion::V1_2,
            grpc_v1: (KumaVersion::V1_2..=KumaVersion::V2_6).contains(&self),
            http_v1: self >= KumaVersion::V1_2,
        }
    }
}

/// The part that a control plane has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The control plane of a zone, or the only one.
    Zone,
    /// That of a zone on Kubernetes, as 3.0 has it: it serves no MADS.
    ZoneOnKubernetes,
    /// That above all zones: it serves no MADS.
    Global,
}

impl Role {
    /// Whether it serves MADS.
    #[must_use]
    pub fn serves_mads(self) -> bool {
        self == Role::Zone
    }
}

impl fmt::Display for KumaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KumaVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<KumaVersion, String> {
        // To a client of MADS, 3.0 is what 2.14 was.
        let text = if text == "3.0" { "2.14" } else { text };
        KumaVersion::ALL.into_iter().find(|kuma| kuma.name() == text).ok_or_else(|| {
            format!("`{text}` is none of {}", KumaVersion::ALL.map(KumaVersion::name).join(", "))
        })
    }
}
