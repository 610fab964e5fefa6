//! `tests/captures`: what control planes sent, with the output of the original tool.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::support::command::repository;
use crate::support::files::entries;

/// One step of a gRPC capture.
#[derive(Deserialize)]
pub(crate) struct GrpcStep {
    pub(crate) step: String,
    response: String,
    /// What the original tool had written by then; `None` where it wrote nothing.
    pub(crate) original_file: Option<Vec<OriginalGroup>>,
}

impl GrpcStep {
    /// The serialized `DiscoveryResponse`.
    pub(crate) fn response(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(&self.response).expect("base64")
    }
}

/// A target group of the original tool.
#[derive(Deserialize)]
pub(crate) struct OriginalGroup {
    pub(crate) targets: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
}

/// One step of an HTTP capture.
#[derive(Deserialize)]
pub(crate) struct HttpStep {
    pub(crate) step: String,
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// What the API server answered.
#[derive(Deserialize)]
pub(crate) struct ApiServer {
    #[serde(rename = "/")]
    pub(crate) root: ApiAnswer,
    #[serde(rename = "/catalog")]
    pub(crate) catalog: ApiAnswer,
    #[serde(rename = "/config")]
    pub(crate) config: ApiAnswer,
}

/// One answer of the API server.
#[derive(Deserialize)]
pub(crate) struct ApiAnswer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

fn root() -> PathBuf {
    repository().join("tests/captures")
}

/// Reads `KUMA-SCENARIO/FILE`.
pub(crate) fn load<T: DeserializeOwned>(name: &str) -> T {
    let path = root().join(name);
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every `KUMA-SCENARIO/FILE` there is, sorted.
pub(crate) fn all() -> Vec<String> {
    let root = root();
    let files = entries(&root).into_iter().filter(|path| path.is_file());
    let names = files.map(|path| path.strip_prefix(&root).unwrap().display().to_string());
    names.filter(|name| !name.ends_with("README.md")).collect()
}
