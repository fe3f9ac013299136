//! No bytes make a reader panic, and what it accepts is what was written.

use flatness_data::idx::{read_images, read_labels};
use proptest::collection::vec;
use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use crate::encode::{gzip, images, labels};

/// Run both readers on the bytes as they are, as the content of a gzip stream, and behind its magic.
fn read_every_way(bytes: &[u8]) {
    let framed = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], bytes].concat();
    for bytes in [bytes, &gzip(bytes), &framed] {
        let _ = read_images("any", bytes);
        let _ = read_labels("any", bytes, 10);
    }
}

proptest! {
    /// As they are, and behind the valid magic numbers.
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        for start in [&[][..], &[0, 0, 8, 1], &[0, 0, 8, 3]] {
            read_every_way(&[start, &bytes].concat());
        }
    }

    #[test]
    fn no_dimensions_make_a_reader_panic(
        count in any::<u32>(),
        rows in any::<u32>(),
        columns in any::<u32>(),
        data in vec(any::<u8>(), 0..20),
    ) {
        read_every_way(&images(count, rows, columns, &data));
        read_every_way(&labels(count, &data));
    }

    #[test]
    fn what_was_written_is_read(
        rows in 1_u32..6,
        columns in 1_u32..6,
        seed in vec(any::<u8>(), 1..200),
    ) {
        let size = (rows * columns) as usize;
        let pixels = seed.repeat(size);
        let raw = images(seed.len() as u32, rows, columns, &pixels);
        for bytes in [&raw, &gzip(&raw)] {
            let images = read_images("valid", bytes).unwrap();
            prop_assert_eq!((images.count, images.rows), (seed.len(), rows as usize));
            prop_assert_eq!(images.columns, columns as usize);
            prop_assert_eq!(&images.pixels, &pixels);
        }
        let raw = labels(seed.len() as u32, &seed);
        for bytes in [&raw, &gzip(&raw)] {
            prop_assert_eq!(&read_labels("valid", bytes, 256).unwrap(), &seed);
        }
    }

    #[test]
    fn damage_to_a_compressed_file_never_goes_unnoticed(
        position in any::<prop::sample::Index>(),
        replacement in any::<u8>(),
    ) {
        let valid = flatness_fixtures::MNIST[3];
        let mut bytes = valid.to_vec();
        let position = position.index(bytes.len());
        bytes[position] = replacement;
        if let Ok(labels) = read_labels("damaged", &bytes, 10) {
            prop_assert_eq!(labels, read_labels("valid", valid, 10).unwrap());
        }
    }
}
