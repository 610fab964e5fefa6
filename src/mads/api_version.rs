//! The versions of the MADS API, as `--api-version` names them.
//!
//! Pure.

use std::fmt;

use crate::common::bytes::are_equal;

/// A version of the MADS API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiVersion {
    /// `kuma.observability.v1`, served by Kuma 1.2 and later.
    V1,
    /// `kuma.observability.v1alpha1`, served by Kuma 0.3 to 1.2.
    V1alpha1,
}

impl ApiVersion {
    /// The type URL of this API version's assignments.
    #[must_use]
    pub fn type_url(self) -> &'static str {
        match self {
            Self::V1 => "type.googleapis.com/kuma.observability.v1.MonitoringAssignment",
            Self::V1alpha1 => {
                "type.googleapis.com/kuma.observability.v1alpha1.MonitoringAssignment"
            }
        }
    }

    /// The API version whose assignments have this type URL.
    #[must_use]
    pub fn of_type_url(type_url: &[u8]) -> Option<Self> {
        [Self::V1, Self::V1alpha1]
            .into_iter()
            .find(|api_version| are_equal(api_version.type_url().as_bytes(), type_url))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::V1 => "v1",
            Self::V1alpha1 => "v1alpha1",
        })
    }
}
