//! Files of this repository that must agree with each other: what is generated, licences,
//! dependencies, completions, the tests that documents name.

mod dependencies;
pub(crate) mod fields;
mod generated;
mod messages;
mod monitoring;
mod reliability;
mod shells;
mod third_party;
