//! A float that may be infinite or no number, in JSON: these are the strings `inf`, `-inf` and `NaN`,
//! where serde_json writes `null` for all three.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Other(String),
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is what serde calls"
)]
pub(crate) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let number = if number.is_finite() {
        Number::Finite(*number)
    } else {
        Number::Other(number.to_string())
    };
    number.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match Number::deserialize(deserializer)? {
        Number::Finite(number) => Ok(number),
        Number::Other(text) => text.parse().map_err(de::Error::custom),
    }
}
