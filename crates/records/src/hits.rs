//! Which examples of a split are classified correctly, as hexadecimal digits in JSON: 2,500 for 10,000 examples.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One answer for each example of a split, in its order: whether the largest logit is that of the label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hits(pub Vec<bool>);

/// Written as `EXAMPLES:DIGITS`, the first example in the highest bit of the first digit.
impl Serialize for Hits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |four: &[bool]| {
            let bits = (0..4).fold(0, |bits, place| {
                2 * bits + u32::from(four.get(place).copied().unwrap_or(false))
            });
            char::from_digit(bits, 16).unwrap_or('0')
        };
        let digits: String = self.0.chunks(4).map(digit).collect();
        serializer.collect_str(&format_args!("{}:{digits}", self.0.len()))
    }
}

impl<'de> Deserialize<'de> for Hits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hits = || {
            let (examples, digits) = text.split_once(':')?;
            let examples: usize = examples.parse().ok()?;
            if digits.len() != examples.div_ceil(4) {
                return None;
            }
            let digits: Option<Vec<u32>> = digits.chars().map(|digit| digit.to_digit(16)).collect();
            let bits = digits?
                .into_iter()
                .flat_map(|digit| [8, 4, 2, 1].map(|bit| digit & bit != 0));
            Some(Self(bits.take(examples).collect()))
        };
        hits().ok_or_else(|| de::Error::custom("hits must be written EXAMPLES:HEXADECIMAL DIGITS"))
    }
}

#[cfg(test)]
mod tests {
    use super::Hits;

    #[test]
    fn hits_are_read_back_as_they_are_written() {
        let hits = Hits(vec![true, false, false, true, true, false]);
        let json = serde_json::to_string(&hits).unwrap();
        assert_eq!(json, "\"6:98\"");
        assert_eq!(serde_json::from_str::<Hits>(&json).unwrap(), hits);
        for wrong in ["\"6:9\"", "\"6:9g\"", "\"98\"", "\"x:98\""] {
            assert!(serde_json::from_str::<Hits>(wrong).is_err(), "{wrong}");
        }
    }
}
