//! Applies a published `body-patch` (JSON Patch, RFC 6902) to the body of a timeout answer. Called once for each held
//! request when a response hold is answered. `copy` may double a document with each operation, so copied values and
//! nesting are counted, and a patch beyond the bounds fails. The cost is thus bounded by the size of the patch and of
//! the document.

use super::json;
use bytes::Bytes;
use json_patch::{Patch, PatchOperation, patch_unsafe};
use serde_json::Value;

/// The patched body, compact, with a trailing newline if `body` has one. `None` if `body` is not a JSON object or
/// array, if an operation fails, or if the patch exceeds the bounds.
pub(super) fn apply(patch: &Patch, body: &[u8]) -> Option<Bytes> {
    let mut document = json::read(body).ok()?.to_value();
    if !document.is_object() && !document.is_array() {
        return None;
    }
    let mut budget = Budget { copied_values: 0 };
    for operation in &patch.0 {
        budget.admit(operation, &document)?;
        // This function owns the document, so a failed operation need not be undone.
        patch_unsafe(&mut document, std::slice::from_ref(operation)).ok()?;
    }
    let mut patched = serde_json::to_vec(&document).ok()?;
    if body.ends_with(b"\n") {
        patched.push(b'\n');
    }
    Some(patched.into())
}

/// How much a patch has used so far.
struct Budget {
    copied_values: usize,
}

impl Budget {
    /// Counts an operation before it is applied to `document`, whose nesting is within `DEPTH_MAX`.
    fn admit(&mut self, operation: &PatchOperation, document: &Value) -> Option<()> {
        let (path, value) = match operation {
            PatchOperation::Add(op) => (op.path.as_str(), &op.value),
            PatchOperation::Replace(op) => (op.path.as_str(), &op.value),
            PatchOperation::Move(op) => (op.path.as_str(), document.pointer(op.from.as_str())?),
            PatchOperation::Copy(op) => {
                let value = document.pointer(op.from.as_str())?;
                self.copied_values += count(value);
                (op.path.as_str(), value)
            }
            PatchOperation::Remove(_) | PatchOperation::Test(_) => return Some(()),
        };
        let depth = path.matches('/').count() + depth(value);
        (self.copied_values <= COPIED_VALUES_MAX && depth <= DEPTH_MAX).then_some(())
    }
}

/// The approximate memory of a value: the number of its values and of 16-byte pieces of text.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(count).sum::<usize>(),
        Value::Object(map) => 1 + map.iter().map(|(key, value)| key.len() / 16 + count(value)).sum::<usize>(),
        Value::String(text) => 1 + text.len() / 16,
        _ => 1,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

const COPIED_VALUES_MAX: usize = 100_000;
/// Twice the parser's limit, because values may be added within values.
const DEPTH_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(patch: &str, body: &str) -> Option<String> {
        let patch: Patch = serde_json::from_str(patch).unwrap();
        apply(&patch, body.as_bytes()).map(|body| String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn every_operation() {
        let patch = r#"[{"op":"test","path":"/a","value":1},{"op":"add","path":"/l/-","value":2},
            {"op":"remove","path":"/a"},{"op":"replace","path":"/b","value":"x"},
            {"op":"copy","from":"/b","path":"/c~1d"},{"op":"move","from":"/l","path":"/m"}]"#;
        let body = r#"{"a":1,"b":2,"l":[1]}"#;
        assert_eq!(patched(patch, body).as_deref(), Some(r#"{"b":"x","c/d":"x","m":[1,2]}"#));
    }

    #[test]
    fn the_trailing_newline_stays() {
        assert_eq!(patched("[]", "[1, 2]\n").as_deref(), Some("[1,2]\n"));
        assert_eq!(patched("[]", "[1, 2]").as_deref(), Some("[1,2]"));
    }

    #[test]
    fn what_cannot_be_patched_fails() {
        assert_eq!(patched("[]", "7\n"), None);
        assert_eq!(patched("[]", "not json"), None);
        assert_eq!(patched(r#"[{"op":"test","path":"/a","value":2}]"#, r#"{"a":1}"#), None);
        assert_eq!(patched(r#"[{"op":"add","path":"/x/y","value":2}]"#, r#"{"a":1}"#), None);
        assert_eq!(patched(r#"[{"op":"move","from":"","path":"/a"}]"#, r#"{"a":1}"#), None);
    }

    #[test]
    fn copies_cannot_double_without_end() {
        let double = |name: &str| format!(r#"{{"op":"copy","from":"","path":"/{name}"}}"#);
        let few: Vec<String> = (0..8).map(|n| double(&n.to_string())).collect();
        assert!(patched(&format!("[{}]", few.join(",")), r#"{"a":1}"#).is_some());
        let many: Vec<String> = (0..40).map(|n| double(&n.to_string())).collect();
        assert_eq!(patched(&format!("[{}]", many.join(",")), r#"{"a":1}"#), None);
    }

    #[test]
    fn nesting_cannot_grow_without_end() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let adds: Vec<String> = (0..4)
            .map(|n| format!(r#"{{"op":"add","path":"{}","value":{deep}}}"#, "/0".repeat(100 * n + 1)))
            .collect();
        assert_eq!(patched(&format!("[{}]", adds.join(",")), "[1]"), None);
        assert!(patched(&format!("[{}]", adds[..2].join(",")), "[1]").is_some());
    }
}
