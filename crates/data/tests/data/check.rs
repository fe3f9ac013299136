//! The summary of a directory.

use std::fs;

use flatness_data::check::{Completeness, Identity, cifar100_directory, mnist_directory};
use tempfile::tempdir;

use crate::cifar::{files, write_archive, write_files};
use crate::encode::{gzip, write_mnist};

#[test]
fn a_small_directory_is_described_and_not_taken_for_mnist() {
    let root = tempdir().unwrap();
    write_mnist(root.path(), gzip, ".gz");
    let summary = mnist_directory(root.path()).unwrap();
    assert_eq!((summary.train.examples, summary.test.examples), (3, 2));
    assert_eq!(
        (summary.train.shape, summary.test.shape),
        ([1, 2, 2], [1, 2, 2])
    );
    assert_eq!(summary.train.class_counts, [1, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
    assert_eq!(summary.test.class_counts, [0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        (summary.train.identity, summary.test.identity),
        (None, None)
    );
    assert_eq!(summary.completeness, Completeness::Partial);
    assert!(summary.superclasses.is_empty());
    let [train_images, train_labels, ..] = &summary.files[..] else {
        panic!("{summary:?}");
    };
    assert_eq!(
        train_images.path,
        root.path().join("train-images-idx3-ubyte.gz")
    );
    // 28 bytes of IDX, and 10 + 5 + 8 of gzip around them.
    assert_eq!((train_images.bytes, train_labels.bytes), (51, 34));
}

/// Golden: sha256sum of the files, as printed by `fixtures/mnist/make.py --check`.
#[test]
fn the_fixture_files_are_recognised_by_content_and_by_file() {
    let root = tempdir().unwrap();
    for (name, bytes) in [
        (
            "train-images-idx3-ubyte.gz",
            flatness_fixtures::TRAIN_IMAGES,
        ),
        (
            "train-labels-idx1-ubyte.gz",
            flatness_fixtures::TRAIN_LABELS,
        ),
        ("t10k-images-idx3-ubyte.gz", flatness_fixtures::TEST_IMAGES),
        ("t10k-labels-idx1-ubyte.gz", flatness_fixtures::TEST_LABELS),
    ] {
        fs::write(root.path().join(name), bytes).unwrap();
    }
    let summary = mnist_directory(root.path()).unwrap();
    assert_eq!(summary.train.identity, Some(Identity::MnistTrainHead));
    assert_eq!(summary.test.identity, Some(Identity::MnistTest));
    // The training set is not all there.
    assert_eq!(summary.completeness, Completeness::Partial);
    assert_eq!(
        summary
            .files
            .iter()
            .map(|file| &file.sha256[..])
            .collect::<Vec<_>>(),
        [
            "6d597f1a70b90bafe72ba5b91496a12f291335accf9da04b0036ba251165db06",
            "4e8b4ac90e302aa725dd50c14268e8630d3941e30cf889ea15dfa1a6dedf8665",
            "85d0aa5825de738947caea1c8ce5f31bf45b758c147824d5cf7105d3b924ac74",
            "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
        ]
    );
}

#[test]
fn a_directory_that_cannot_be_loaded_cannot_be_summarised() {
    let root = tempdir().unwrap();
    write_mnist(root.path(), gzip, ".gz");
    let path = root.path().join("t10k-labels-idx1-ubyte.gz");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let message = mnist_directory(root.path()).unwrap_err().to_string();
    assert!(
        message.contains("t10k-labels-idx1-ubyte.gz: the gzip stream is damaged"),
        "{message}"
    );
}

#[test]
fn a_small_cifar_100_is_described_with_its_superclasses() {
    let (archive, directory) = (tempdir().unwrap(), tempdir().unwrap());
    write_archive(archive.path(), &files());
    write_files(directory.path(), &files());
    let archive = cifar100_directory(archive.path()).unwrap();
    let directory = cifar100_directory(directory.path()).unwrap();
    assert_eq!((archive.files.len(), directory.files.len()), (1, 4));
    assert_eq!(directory.files[0].bytes, 3 * 3074);
    for summary in [&archive, &directory] {
        assert_eq!((summary.train.examples, summary.test.examples), (3, 2));
        assert_eq!(summary.train.shape, [3, 32, 32]);
        assert_eq!(summary.train.class_counts.iter().sum::<usize>(), 3);
        assert_eq!(
            (
                summary.train.class_counts[99],
                summary.test.class_counts[99]
            ),
            (1, 0)
        );
        assert_eq!(
            (summary.train.identity, summary.test.identity),
            (None, None)
        );
        assert_eq!(summary.completeness, Completeness::Partial);
        assert_eq!(summary.superclasses.len(), 20);
        assert_eq!(summary.superclasses[19].name, "coarse-19");
        assert_eq!(summary.superclasses[19].classes, ["fine-0"]);
        assert!(summary.superclasses[18].classes.is_empty());
    }
    assert_eq!(
        (&archive.train, &archive.test),
        (&directory.train, &directory.test)
    );
}
