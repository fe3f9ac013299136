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

    /// Places of the examples that only one of the two answers correctly, and whether that is the first.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (usize, bool)> + 'a {
        let pairs = self.digits.bytes().zip(other.digits.bytes());
        let differing = pairs.enumerate().filter(|(_, (one, other))| one != other);
        differing.flat_map(move |(place, pair)| {
            let [one, other] =
                [pair.0, pair.1].map(|digit| char::from(digit).to_digit(16).unwrap_or(0));
            let bits = (0..4).map(move |bit| (4 * place + bit, 8 >> bit));
            let differing =
                bits.filter(move |(place, bit)| *place < self.examples && (one ^ other) & bit != 0);
            differing.map(move |(place, bit)| (place, one & bit != 0))
        })
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
        let other = Hits::from(&[true, true, false, true, false, false][..]);
        let differing = [(1, false), (4, true)];
        assert_eq!(read.differing(&other).collect::<Vec<_>>(), differing);
        for wrong in ["\"6:9\"", "\"6:9g\"", "\"98\"", "\"x:98\""] {
            assert!(serde_json::from_str::<Hits>(wrong).is_err(), "{wrong}");
        }
    }
}
