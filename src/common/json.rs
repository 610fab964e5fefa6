//! JSON objects that are nothing but objects, and arrays that do not go on for ever.
//!
//! Pure. The derived decoders take an array for an object as well, field by field; a control plane
//! that sends one has not said what such a decoder would make of it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
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

/// An array of at most `LIMIT` elements: one that takes two bytes takes many more in memory.
pub(crate) struct Bounded<T, const LIMIT: usize>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Deserialize<'de> for Bounded<T, LIMIT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ArrayVisitor<T, const LIMIT: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const LIMIT: usize> Visitor<'de> for ArrayVisitor<T, LIMIT> {
            type Value = Bounded<T, LIMIT>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a JSON array of at most {LIMIT} elements")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut array: S) -> Result<Self::Value, S::Error> {
                let mut elements = Vec::new();
                while let Some(element) = array.next_element()? {
                    if elements.len() == LIMIT {
                        return Err(S::Error::invalid_length(LIMIT + 1, &self));
                    }
                    elements.push(element);
                }
                Ok(Bounded(elements))
            }
        }

        deserializer.deserialize_seq(ArrayVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounded, Object};
    use serde::Deserialize;

    #[derive(Deserialize, Debug, PartialEq)]
    struct Point {
        x: i32,
    }

    #[test]
    fn an_array_is_taken_up_to_its_limit() {
        let parse = serde_json::from_str::<Bounded<i32, 2>>;
        assert_eq!(parse("[1,2]").ok().unwrap().0, [1, 2]);
        let error = parse("[1,2,3]").err().unwrap().to_string();
        let text = "invalid length 3, expected a JSON array of at most 2 elements";
        assert!(error.starts_with(text), "{error}");
    }

    #[test]
    fn an_object_is_taken_and_an_array_is_not() {
        let point = serde_json::from_str::<Object<Point>>(r#"{"x":1,"new":2}"#).unwrap();
        assert_eq!(point.0, Point { x: 1 });
        for other in ["[1]", "[]", "null", "1"] {
            let error = serde_json::from_str::<Object<Point>>(other).err().unwrap();
            assert!(error.to_string().contains("expected a JSON object"), "{error}");
        }
    }
}
