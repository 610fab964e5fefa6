//! JSON objects that are nothing but objects.
//!
//! Pure. The derived decoders take an array for an object as well, field by field; a control plane
//! that sends one has not said what such a decoder would make of it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A `T` that was an object.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Object<T>, M::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::Object;
    use serde::Deserialize;

    #[derive(Deserialize, Debug, PartialEq)]
    struct Point {
        x: i32,
    }

    #[test]
    fn an_object_is_taken_and_an_array_is_not() {
        let point = serde_json::from_str::<Object<Point>>(r#"{"x":1,"new":2}"#).unwrap();
        assert_eq!(point.0, Point { x: 1 });
        for other in ["[1]", "[]", "null", "1"] {
            let error = serde_json::from_str::<Object<Point>>(other).err().unwrap();
            assert!(
                error.to_string().contains("expected a JSON object"),
                "{error}"
            );
        }
    }
}
