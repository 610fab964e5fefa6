//! The fields of a message: what it is made of, for programs that read the log. The guide has a table of
//! their names.
//!
//! Pure.

use std::fmt::Display;
use std::time::Duration;

use serde_json::Value;

/// A name and a value; `null` where it is not known, which is not shown.
pub type Field = (&'static str, Value);

/// A number, where there is one.
pub(crate) fn field(name: &'static str, value: impl Into<Value>) -> Field {
    (name, value.into())
}

/// Whatever can be said in words.
pub(crate) fn text(name: &'static str, value: impl Display) -> Field {
    (name, value.to_string().into())
}

/// A duration, where there is one, in seconds and to the millisecond.
pub(crate) fn seconds(name: &'static str, value: impl Into<Option<Duration>>) -> Field {
    let seconds = |duration: Duration| duration.as_millis() as f64 / 1000.0;
    (name, value.into().map(seconds).into())
}
