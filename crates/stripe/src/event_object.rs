//! Reading of the few fields needed from an object inside a webhook event.
//!
//! Events come in the version the endpoint was made with, not in the client's, and objects may be
//! partial: every field is optional here, and one that has another type counts as absent.

use std::collections::HashMap;

use serde_json::Value;

/// A non-empty text.
pub(crate) fn text(object: &Value, field: &str) -> Option<String> {
    object.get(field)?.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

/// A whole number.
pub(crate) fn integer(object: &Value, field: &str) -> Option<i64> {
    object.get(field)?.as_i64()
}

/// A truth value; absent counts as false.
pub(crate) fn flag(object: &Value, field: &str) -> bool {
    object.get(field).and_then(Value::as_bool).unwrap_or(false)
}

/// The identifier of another object, given as such or as the whole object.
pub(crate) fn reference(object: &Value, field: &str) -> Option<String> {
    let value = object.get(field)?;
    if value.is_object() { text(value, "id") } else { text(object, field) }
}

/// The texts among the metadata.
pub(crate) fn metadata(object: &Value) -> HashMap<String, String> {
    let entries = object.get("metadata").and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}
