//! Which examples of a split are classified correctly, as hexadecimal digits in JSON: 2,500 for 10,000 examples.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One answer for each example of a split, in its order: whether the largest logit is that of the label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hits {
    examples: usize,
    /// Four answers each, the first in the highest bit; zeros behind the last.
    digits: Box<str>,
}

impl Hits {
    /// Number of examples.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// The answers in the order of the examples.
    pub fn iter(&self) -> impl Iterator<Item = bool> {
        let digits = self.digits.chars().filter_map(|digit| digit.to_digit(16));
        let answers = digits.flat_map(|digit| [8, 4, 2, 1].map(|bit| digit & bit != 0));
        answers.take(self.examples)
    }
}

impl From<&[bool]> for Hits {
    fn from(answers: &[bool]) -> Self {
        let digit = |four: &[bool]| {
            let bits = (0..4).fold(0, |bits, place| {
                2 * bits + u32::from(four.get(place).copied().unwrap_or(false))
            });
            char::from_digit(bits, 16).unwrap_or('0')
        };
        Self {
            examples: answers.len(),
            digits: answers.chunks(4).map(digit).collect(),
        }
    }
}

/// Written as `EXAMPLES:DIGITS`.
impl Serialize for Hits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}:{}", self.examples, self.digits))
    }
}

impl<'de> Deserialize<'de> for Hits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hits = || {
            let (examples, digits) = text.split_once(':')?;
            let examples: usize = examples.parse().ok()?;
            let are_digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            (are_digits && digits.len() == examples.div_ceil(4)).then(|| Self {
                examples,
                digits: digits.into(),
            })
        };
        hits().ok_or_else(|| de::Error::custom("hits must be written EXAMPLES:HEXADECIMAL DIGITS"))
    }
}

#[cfg(test)]
mod tests {
    use super::Hits;

    #[test]
    fn hits_are_read_back_as_they_are_written() {
        let answers = [true, false, false, true, true, false];
        let hits = Hits::from(&answers[..]);
        let json = serde_json::to_string(&hits).unwrap();
        assert_eq!(json, "\"6:98\"");
        let read = serde_json::from_str::<Hits>(&json).unwrap();
        assert_eq!((read.examples(), &read), (6, &hits));
        assert_eq!(read.iter().collect::<Vec<_>>(), answers);
        for wrong in ["\"6:9\"", "\"6:9g\"", "\"98\"", "\"x:98\""] {
            assert!(serde_json::from_str::<Hits>(wrong).is_err(), "{wrong}");
        }
    }
}
