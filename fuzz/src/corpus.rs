//! Makes the first corpus of each target from what real control planes sent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use serde_json::Value;

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut captures: Vec<PathBuf> = fs::read_dir(fuzz.join("../tests/captures"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    captures.retain(|path| path.is_dir());
    for capture in captures {
        let name = capture
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for (file, target) in [
            ("grpc-v1.json", "grpc_v1"),
            ("grpc-v1alpha1.json", "grpc_v1alpha1"),
            ("http.json", "http"),
            ("api-server.json", "api_server"),
        ] {
            let Ok(text) = fs::read(capture.join(file)) else {
                continue;
            };
            let document: Value = serde_json::from_slice(&text).map_err(io::Error::other)?;
            let corpus = fuzz.join("corpus").join(target);
            fs::create_dir_all(&corpus)?;
            for (index, bytes) in messages(&document).into_iter().enumerate() {
                fs::write(corpus.join(format!("{name}-{index}")), bytes)?;
            }
        }
    }
    Ok(())
}

/// What was sent in each step, or answered for each path.
fn messages(document: &Value) -> Vec<Vec<u8>> {
    let steps: Vec<&Value> = match document {
        Value::Array(steps) => steps.iter().collect(),
        Value::Object(answers) => answers.values().collect(),
        _ => Vec::new(),
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    steps
        .into_iter()
        .filter_map(|step| match text(&step["response"]) {
            Some(base64) => BASE64.decode(base64.as_bytes()).ok(),
            None => text(&step["body"]).map(String::into_bytes),
        })
        .collect()
}
