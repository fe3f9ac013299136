//! The few protocol buffers of an event file, written and read.
//!
//! ```text
//! field = varint(number << 3 | wire type), content
//! wire types: 0 varint,  1 eight bytes,  2 varint(length) and as many bytes,  5 four bytes
//! varint: groups of seven bits, the lowest first, the top bit set on all but the last
//! ```

/// First event of every file; readers refuse others.
const VERSION: &str = "brain.Event:2";

const WALL_TIME: u64 = 1;
const STEP: u64 = 2;
const FILE_VERSION: u64 = 3;
const SUMMARY: u64 = 5;
const SUMMARY_VALUE: u64 = 1;
const VALUE_TAG: u64 = 1;
const VALUE_SIMPLE: u64 = 2;

/// What is read of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) step: i64,
    pub(super) tags: Vec<String>,
}

/// The event with which a file begins.
pub(super) fn version(wall_time: f64) -> Vec<u8> {
    let mut event = Message::default();
    event.double(WALL_TIME, wall_time);
    event.bytes(FILE_VERSION, VERSION.as_bytes());
    event.0
}

/// An event of scalars, in single precision as all TensorBoard knows.
pub(super) fn scalars<'t>(
    wall_time: f64,
    step: i64,
    scalars: impl Iterator<Item = (&'t str, f64)>,
) -> Vec<u8> {
    let mut summary = Message::default();
    for (tag, scalar) in scalars {
        let mut value = Message::default();
        value.bytes(VALUE_TAG, tag.as_bytes());
        value.float(VALUE_SIMPLE, scalar as f32);
        summary.bytes(SUMMARY_VALUE, &value.0);
    }
    let mut event = Message::default();
    event.double(WALL_TIME, wall_time);
    event.varint_field(STEP, step.cast_unsigned());
    event.bytes(SUMMARY, &summary.0);
    event.0
}

impl Event {
    /// Reads step and tags; none if these are not the bytes of an event.
    pub(super) fn read(event: &[u8]) -> Option<Self> {
        let (mut step, mut tags) = (0, Vec::new());
        for field in fields(event)? {
            match field {
                (STEP, Content::Varint(number)) => step = number.cast_signed(),
                (SUMMARY, Content::Bytes(summary)) => {
                    for field in fields(summary)? {
                        if let (SUMMARY_VALUE, Content::Bytes(value)) = field {
                            tags.extend(tag(value)?);
                        }
                    }
                }
                _ => {}
            }
        }
        Some(Self { step, tags })
    }
}

/// The tag of a value, if it has one; none if these are not the bytes of a value.
fn tag(value: &[u8]) -> Option<Option<String>> {
    let tag = fields(value)?.into_iter().find_map(|field| match field {
        (VALUE_TAG, Content::Bytes(tag)) => Some(tag),
        _ => None,
    });
    match tag {
        Some(tag) => Some(Some(String::from_utf8(tag.to_vec()).ok()?)),
        None => Some(None),
    }
}

/// A message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, number: u64, wire_type: u64) {
        self.varint(number << 3 | wire_type);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint_field(&mut self, number: u64, value: u64) {
        self.key(number, 0);
        self.varint(value);
    }

    fn double(&mut self, number: u64, value: f64) {
        self.key(number, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, number: u64, value: f32) {
        self.key(number, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        self.key(number, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }
}

/// Content of a field; fixed numbers are skipped.
#[derive(Debug, PartialEq, Eq)]
enum Content<'m> {
    Varint(u64),
    Bytes(&'m [u8]),
    Fixed,
}

/// The fields of a message with their numbers; none if it is none.
fn fields(mut message: &[u8]) -> Option<Vec<(u64, Content<'_>)>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let content = match key & 7 {
            0 => Content::Varint(varint(&mut message)?),
            1 => message.split_off(..8).map(|_| Content::Fixed)?,
            5 => message.split_off(..4).map(|_| Content::Fixed)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                Content::Bytes(message.split_off(..length)?)
            }
            _ => return None,
        };
        fields.push((key >> 3, content));
    }
    Some(fields)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *message.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by `Event.SerializeToString` of TensorBoard's own classes.
    #[test]
    fn events_are_the_bytes_of_tensorboard() {
        let version = version(1.5);
        assert_eq!(version, b"\x09\0\0\0\0\0\0\xf8\x3f\x1a\x0dbrain.Event:2");
        let pair = [("a/b", 0.5), ("c", -3.0)];
        let scalars = scalars(1.5, 300, pair.into_iter());
        assert_eq!(
            scalars,
            b"\x09\0\0\0\0\0\0\xf8\x3f\x10\xac\x02\x2a\x16\
              \x0a\x0a\x0a\x03a/b\x15\0\0\0\x3f\x0a\x08\x0a\x01c\x15\0\0\x40\xc0"
        );
        let tags = ["a/b".to_owned(), "c".to_owned()].to_vec();
        assert_eq!(Event::read(&scalars), Some(Event { step: 300, tags }));
        let tags = Vec::new();
        assert_eq!(Event::read(&version), Some(Event { step: 0, tags }));
    }

    #[test]
    fn what_is_cut_off_is_no_event() {
        let whole = scalars(1.5, 300, [("a/b", 0.5)].into_iter());
        // Behind the time and behind the step another field could begin.
        let borders = [0, 9, 12];
        for length in 0..whole.len() {
            let read = Event::read(&whole[..length]);
            assert_eq!(read.is_some(), borders.contains(&length), "{length}");
        }
    }
}
