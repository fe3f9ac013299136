//! The file that TensorBoard reads: scalars of steps, appended while a run goes on.
//!
//! A file is a sequence of records, all numbers little endian:
//!
//! ```text
//! length: u64 | mask(crc(length)): u32 | event: length bytes | mask(crc(event)): u32
//! crc = CRC-32C,   mask(c) = (c rotated right by 15) + 0xa282ead8
//! ```
//!
//! An event is a protocol buffer; of its fields these are used:
//!
//! ```text
//! Event    1 wall_time: double   2 step: int64   3 file_version: string   5 summary: Summary
//! Summary  1 value: repeated Value
//! Value    1 tag: string         2 simple_value: float
//! ```
//!
//! Source: `tensorflow/core/lib/io/record_writer.cc`, `core/util/event.proto`, `core/framework/summary.proto`.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, Result};
use crc::{CRC_32_ISCSI, Crc};

use super::protocol::{self, Event};

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Added to a rotated checksum, so that the checksum of bytes that hold checksums is none of them.
const MASK: u32 = 0xa282_ead8;

/// An event file open for appending, and the scalars in it.
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
    written: HashSet<(String, i64)>,
}

impl EventFile {
    /// Opens the file at `path`, or makes it. Of a file that is there the events of steps up to `kept`
    /// stay; younger ones and what a kill cut off go.
    pub(super) fn open(path: PathBuf, kept: i64) -> Result<Self> {
        let cannot = || format!("cannot open the event file {}", path.display());
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(cannot)?;
        let bytes = std::fs::read(&path).with_context(cannot)?;
        let (length, written) = prefix(&bytes, kept);
        file.set_len(length as u64).with_context(cannot)?;
        if length == 0 {
            let version = record(&protocol::version(now()));
            file.write_all(&version).with_context(cannot)?;
        }
        Ok(Self {
            path,
            file,
            written,
        })
    }

    /// Appends the `scalars` of `step` that are not there yet, as one event.
    pub(super) fn add(&mut self, step: i64, scalars: &[(String, f64)]) -> Result<()> {
        let is_new = |(tag, _): &&(String, f64)| !self.written.contains(&(tag.clone(), step));
        let new: Vec<_> = scalars.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let event = protocol::scalars(
            now(),
            step,
            new.iter().map(|(tag, value)| (&tag[..], *value)),
        );
        self.file
            .write_all(&record(&event))
            .with_context(|| format!("cannot write to {}", self.path.display()))?;
        self.written
            .extend(new.into_iter().map(|(tag, _)| (tag.clone(), step)));
        Ok(())
    }
}

/// Length of the longest beginning of a file that is whole records of steps up to `kept`, and the tags
/// and steps of its scalars.
fn prefix(bytes: &[u8], kept: i64) -> (usize, HashSet<(String, i64)>) {
    let (mut rest, mut scalars) = (bytes, HashSet::new());
    while let Some((event, behind)) = split(rest) {
        match Event::read(event) {
            Some(Event { step, tags }) if step <= kept => {
                scalars.extend(tags.into_iter().map(|tag| (tag, step)));
            }
            _ => break,
        }
        rest = behind;
    }
    (bytes.len() - rest.len(), scalars)
}

/// The event of the first record, and what lies behind the record; none if it is cut off or damaged.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (length_sum, rest) = rest.split_first_chunk::<4>()?;
    let (event, rest) =
        rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let (event_sum, rest) = rest.split_first_chunk::<4>()?;
    let sums = [masked(length), masked(event)];
    (sums == [*length_sum, *event_sum].map(u32::from_le_bytes)).then_some((event, rest))
}

fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    [
        &length,
        &masked(&length).to_le_bytes()[..],
        event,
        &masked(event).to_le_bytes(),
    ]
    .concat()
}

fn masked(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes).rotate_right(15).wrapping_add(MASK)
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4; the mask of the zeros' checksum by hand.
    #[test]
    fn checksums_are_those_of_the_rfc() {
        let ascending: Vec<u8> = (0..32).collect();
        for (bytes, checksum) in [
            (&[0; 32][..], 0x8a91_36aa_u32),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
        ] {
            assert_eq!(CRC.checksum(bytes), checksum);
        }
        assert_eq!(masked(&[0; 32]), 0x0fd7_fffa);
    }

    #[test]
    fn on_opening_later_steps_and_what_is_cut_off_go_and_the_rest_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let scalar = |value| [("a".to_owned(), value)];
        let open = |kept| EventFile::open(path.clone(), kept).unwrap();
        let mut file = open(0);
        for step in 0..5 {
            file.add(step, &scalar(1.0)).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        let add_all = |file: &mut EventFile| {
            for step in 0..5 {
                file.add(step, &scalar(2.0)).unwrap();
            }
        };
        // Every event but the first of the file is as long as the others of its kind.
        let event = record(&protocol::scalars(0.0, 1, [("a", 1.0)].into_iter())).len();
        for kept in 0..5 {
            std::fs::write(&path, &whole).unwrap();
            let later = (4 - kept as usize) * event;
            add_all(&mut open(kept));
            let again = std::fs::read(&path).unwrap();
            assert_eq!(again.len(), whole.len());
            let stays = whole.len() - later;
            assert_eq!(again[..stays], whole[..stays]);
            // Field 2 in four bytes, 2.0.
            let values = again
                .windows(5)
                .filter(|bytes| *bytes == [0x15, 0, 0, 0, 0x40]);
            assert_eq!(values.count(), later / event, "{kept}");
        }
        // A last event that is cut off is written again, one that is damaged too.
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for bytes in [&whole[..whole.len() - 1], &damaged] {
            std::fs::write(&path, bytes).unwrap();
            add_all(&mut open(4));
            let again = std::fs::read(&path).unwrap();
            let stays = whole.len() - event;
            assert_eq!(again.len(), whole.len());
            assert_eq!(again[..stays], whole[..stays]);
        }
    }
}
