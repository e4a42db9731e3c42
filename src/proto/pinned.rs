//! For tests that pin the packed form of values. Another version of this program may read what this one has packed, so
//! a form that changes needs another number of its version (`core::HAND_OVER_FORMAT`).

use serde::{Serialize, de::DeserializeOwned};

/// Checks that the value that is `text` in JSON has the packed form `hex`, and is read from it again.
pub fn pinned<T: Serialize + DeserializeOwned>(text: serde_json::Value, hex: &str) {
    let value: T = serde_json::from_value(text).expect("all fields, and no others");
    let packed = postcard::to_allocvec(&value).expect("a packed value");
    let written: String = packed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(written, hex, "the form has changed: raise HAND_OVER_FORMAT");
    let again: T = postcard::from_bytes(&packed).expect("the value");
    assert_eq!(postcard::to_allocvec(&again).expect("a packed value"), packed);
}
