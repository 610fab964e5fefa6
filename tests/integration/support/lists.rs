//! Lists that carry their number and their length, so that whoever sees a file can tell which list
//! it is, or that it is none: every byte is compared with what that list must become.

use kuma_stand_in::{ApiVersion, Dataplane};

use crate::support::mesh;

/// List number `number`, of so many targets.
pub(crate) fn list(number: usize, targets: usize) -> Vec<Dataplane> {
    let (number, length) = (number.to_string(), targets.to_string());
    let tagged = |index| mesh::backend(index).tag("list", &number).tag("length", &length);
    (0..targets).map(tagged).collect()
}

/// The file of such a list in API version v1.
pub(crate) fn file(number: usize, targets: usize) -> String {
    mesh::file_v1(&list(number, targets))
}

/// The number of the list that a file is, whole and to the byte; `None` where it is none.
pub(crate) fn number_of(file: &str) -> Option<usize> {
    let (number, targets) = (label(file, "list")?, label(file, "length")?);
    let list = list(number, targets);
    let is_this = |api_version| file == mesh::file(api_version, &list);
    ApiVersion::ALL.into_iter().any(is_this).then_some(number)
}

/// The value of a label of the first target.
fn label(file: &str, name: &str) -> Option<usize> {
    let (_, rest) = file.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next()?.parse().ok()
}
