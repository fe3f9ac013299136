//! A small data set of the form of CIFAR-100.

use std::path::Path;

/// Writes the files with `train` training and 2 test examples of classes 0 and 1, both in superclass 3; `pixel` is the byte
/// of an image at a place of 3072.
pub(crate) fn write_cifar100(directory: &Path, train: u8, pixel: impl Fn(u8, usize) -> u8) {
    let records = |count: u8| {
        let record = |index: u8| {
            let image = (0..3072).map(|place| pixel(index, place));
            [3, index % 2].into_iter().chain(image).collect::<Vec<_>>()
        };
        (0..count).flat_map(record).collect::<Vec<_>>()
    };
    let names = |count: usize| {
        let lines = (0..count).map(|index| format!("name-{index}\n"));
        lines.collect::<String>().into_bytes()
    };
    for (name, content) in [
        ("train.bin", records(train)),
        ("test.bin", records(2)),
        ("fine_label_names.txt", names(100)),
        ("coarse_label_names.txt", names(20)),
    ] {
        std::fs::write(directory.join(name), content).expect("writable");
    }
}
