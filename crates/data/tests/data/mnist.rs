//! Where MNIST comes from and what is refused, with small directories and the embedded fixture.

use std::fs;
use std::path::Path;

use candle_core::{DType, Device};
use flatness_data::mnist::{self, EmbeddedMnist, FILE_NAMES, Source};
use flatness_data::{Completeness, Divisible, Error, Loaded, Normalization, file_digest};
use tempfile::tempdir;

use crate::check::{refused, values};
use crate::encode::{gzip, images, labels, pixels, write_mnist};

const FIXTURE: EmbeddedMnist = EmbeddedMnist {
    files: flatness_fixtures::MNIST,
    description: flatness_fixtures::DESCRIPTION,
};

fn load(directory: &Path) -> Result<Loaded, Error> {
    let source = Source::Directory(directory.to_owned());
    mnist::load(source, Normalization::mnist())
}

fn raw(content: &[u8]) -> Vec<u8> {
    content.to_vec()
}

#[test]
fn the_embedded_fixture_holds_the_head_and_the_test_set_of_mnist() {
    let data = mnist::load(Source::Embedded(FIXTURE), Normalization::mnist()).unwrap();
    assert_eq!(data.train.images().dims(), [10_000, 1, 28, 28]);
    assert_eq!(data.test.images().dims(), [10_000, 1, 28, 28]);
    let contents = [
        "the first 10,000 training examples of MNIST",
        "the 10,000 test examples of MNIST",
    ];
    assert_eq!(data.contents, contents.map(Some));
    assert_eq!(data.name(), "mnist");
    // The training set is not all there.
    assert_eq!(data.completeness, Completeness::Partial);
    // The class counts of the MNIST test set, in many publications.
    let counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    assert_eq!(data.test.class_counts().unwrap(), counts);
    assert_eq!(data.source, flatness_fixtures::DESCRIPTION);
    assert_eq!(data.train.normalization().mean(), [0.5]);
    assert_eq!(data.train.normalization().deviation(), [0.5]);
    assert!(data.files.is_empty());
}

/// Pixels by the formula, from the raw bytes; the digest is that of the bytes.
#[test]
fn the_normalisation_is_the_callers_and_enters_no_digest() {
    let mut digests = Vec::new();
    // The default, and that of PyTorch's own example.
    for (mean, deviation) in [(0.5, 0.5), (0.1307, 0.3081)] {
        let normalization = Normalization::new(vec![mean], vec![deviation]).unwrap();
        let data = mnist::load(Source::Embedded(FIXTURE), normalization).unwrap();
        let few = data.test.take(20).unwrap();
        let batch = few.batch(0..20, DType::F64, &Device::Cpu).unwrap();
        for (byte, got) in values(few.images()).iter().zip(values(&batch.inputs)) {
            let expected = (byte / 255.0 - mean) / deviation;
            // Values reach 3, which a few roundings change by less.
            assert!((got - expected).abs() < 1e-14, "{byte}: {got}, {expected}");
        }
        digests.push(data.digest().unwrap());
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn the_files_are_found_wherever_and_however_they_are_called() {
    type Rename = fn(&str) -> String;
    let canonical: Rename = |name| name.to_owned();
    let compressed: Rename = |name| format!("{name}.gz");
    let kaggle: Rename = |name| name.replace("-idx", ".idx");
    let of_kaggle: Rename = |name| format!("{0}/{0}", name.replace("-idx", ".idx"));
    let suffixed: Rename = |name| format!("{name}.idx");
    let capitals: Rename = |name| format!("{}.GZ", name.to_uppercase());
    let mut digests = Vec::new();
    for place in ["", "mnist", "MNIST", "MNIST/raw", "raw"] {
        for rename in [canonical, compressed, kaggle, of_kaggle, suffixed, capitals] {
            for encode in [raw, gzip] {
                let root = tempdir().unwrap();
                let directory = root.path().join(place);
                write_mnist(&directory, encode, "");
                for name in FILE_NAMES {
                    let bytes = fs::read(directory.join(name)).unwrap();
                    fs::remove_file(directory.join(name)).unwrap();
                    let path = directory.join(rename(name));
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, bytes).unwrap();
                }
                let data = load(root.path()).unwrap();
                assert_eq!((data.train.len(), data.test.len()), (3, 2));
                assert_eq!(data.train.labels().to_vec1::<u8>().unwrap(), [7, 0, 9]);
                assert_eq!(data.source, format!("directory {}", root.path().display()));
                digests.push(data.digest().unwrap());
            }
        }
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

#[test]
fn other_bytes_under_the_names_of_mnist_are_not_called_mnist() {
    let root = tempdir().unwrap();
    write_mnist(root.path(), gzip, ".gz");
    let data = load(root.path()).unwrap();
    assert_eq!(data.contents, [None, None]);
    assert_eq!(data.completeness, Completeness::Partial);
    assert_eq!(data.name(), "mnist-like (unknown digest)");
    let first = root.path().join("train-images-idx3-ubyte.gz");
    assert_eq!(data.files[0], first);
    // 28 bytes of IDX, and 10 + 5 + 8 of gzip around them.
    assert_eq!(file_digest(&data.files[0]).unwrap().0, 51);

    // The test split of MNIST is known, what it is tested with is not.
    let names = FILE_NAMES.map(|name| root.path().join(format!("{name}.gz")));
    let test = [FIXTURE.files[2], FIXTURE.files[3]];
    for (name, bytes) in names.iter().zip([test, test].concat()) {
        fs::write(name, bytes).unwrap();
    }
    let data = load(root.path()).unwrap();
    let known = "the 10,000 test examples of MNIST";
    assert_eq!(data.contents, [None, Some(known)]);
    assert_eq!(data.name(), "mnist-like (unknown digest)");
}

/// Golden: sha256sum of the files, as printed by `fixtures/mnist/make.py --check`.
#[test]
fn a_file_is_named_by_its_size_and_sha256() {
    let path = tempdir().unwrap().path().join("absent");
    let absent = file_digest(&path);
    assert!(matches!(absent, Err(Error::Io { action: "read", .. })));
    let images = "6d597f1a70b90bafe72ba5b91496a12f291335accf9da04b0036ba251165db06";
    let labels = "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b";
    for (bytes, expected) in [(FIXTURE.files[0], images), (FIXTURE.files[3], labels)] {
        let root = tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, bytes).unwrap();
        let expected = (bytes.len() as u64, expected.to_owned());
        assert_eq!(file_digest(&path).unwrap(), expected);
    }
}

#[test]
fn the_digest_of_both_splits_tells_them_apart() {
    let root = tempdir().unwrap();
    write_mnist(root.path(), raw, "");
    let data = load(root.path()).unwrap();
    let exchanged = Loaded {
        train: data.test.clone(),
        test: data.train.clone(),
        ..data.clone()
    };
    assert_ne!(data.digest().unwrap(), exchanged.digest().unwrap());
}

#[test]
fn the_compressed_file_wins_over_a_raw_one_unless_it_is_empty() {
    let ones = gzip(&labels(3, &[1, 1, 1]));
    for (content, expected) in [(ones, [1, 1, 1]), (vec![], [7, 0, 9])] {
        let root = tempdir().unwrap();
        write_mnist(root.path(), raw, "");
        fs::write(root.path().join("train-labels-idx1-ubyte.gz"), content).unwrap();
        let data = load(root.path()).unwrap();
        assert_eq!(data.train.labels().to_vec1::<u8>().unwrap(), expected);
    }
}

#[test]
fn the_directory_asked_for_comes_first_then_the_cache_then_the_fixture() {
    let (asked, cache) = (tempdir().unwrap(), tempdir().unwrap());
    let (asked, cache) = (asked.path(), cache.path());
    write_mnist(asked, raw, "");
    write_mnist(&cache.join("mnist"), raw, "");
    let find = |asked, cache| mnist::find(asked, cache, FIXTURE);
    let is = |source: Source, path: &Path| matches!(source, Source::Directory(got) if got == path);
    assert!(is(find(Some(asked), Some(cache)).unwrap(), asked));
    assert!(is(find(None, Some(cache)).unwrap(), cache));
    let [absent, file] = ["absent", "mnist/train-images-idx3-ubyte"].map(|path| cache.join(path));
    for nothing in [None, Some(&*absent), Some(&*file)] {
        assert!(matches!(find(None, nothing), Ok(Source::Embedded(_))));
    }
    // A cache that holds something is not passed over in silence.
    fs::remove_file(cache.join("mnist").join(FILE_NAMES[2])).unwrap();
    refused(find(None, Some(cache)), FILE_NAMES[2]);
}

fn check_unreadable<T: std::fmt::Debug>(found: Result<T, Error>, expected: &Path) {
    let is_io = matches!(&found, Err(Error::Io { path, .. }) if path == expected);
    assert!(is_io, "{found:?}");
}

/// Permissions do not bind a privileged user; a link that leads to itself keeps everybody out.
#[cfg(unix)]
#[test]
fn what_may_not_be_looked_at_is_not_called_absent() {
    for name in ["mnist", FILE_NAMES[0]] {
        let cache = tempdir().unwrap();
        let path = cache.path().join(name);
        std::os::unix::fs::symlink(&path, &path).unwrap();
        check_unreadable(mnist::find(None, Some(cache.path()), FIXTURE), &path);
        check_unreadable(mnist::find(Some(cache.path()), None, FIXTURE), &path);
    }
}

#[test]
fn a_directory_without_all_files_is_an_error_that_names_the_file_or_the_places() {
    let cache = tempdir().unwrap();
    write_mnist(cache.path(), raw, "");
    for name in FILE_NAMES {
        for place in ["", "mnist", "MNIST/raw"] {
            let root = tempdir().unwrap();
            let directory = root.path().join(place);
            write_mnist(&directory, raw, "");
            fs::remove_file(directory.join(name)).unwrap();
            let asked = Some(root.path());
            let error = mnist::find(asked, Some(cache.path()), FIXTURE).unwrap_err();
            let Error::Absent { what, places } = &error else {
                panic!("{error}");
            };
            assert!(what.contains(name), "{what}");
            assert_eq!(places.len(), 1);
            assert_eq!(places[0].components(), directory.components());
            refused(load(root.path()), name);
        }
    }
    let empty = tempdir().unwrap();
    for place in ["", "mnist", "MNIST", "MNIST/raw", "raw"] {
        let place = empty.path().join(place).display().to_string();
        refused(load(empty.path()), place.trim_end_matches('/'));
    }
    for path in ["absent", FILE_NAMES[0]].map(|path| cache.path().join(path)) {
        check_unreadable(mnist::find(Some(&path), None, FIXTURE), &path);
        check_unreadable(load(&path), &path);
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let [train_images, train_labels, test_images, test_labels] = FILE_NAMES;
    let cut = gzip(&labels(2, &[1, 2]))[..20].to_vec();
    for (name, content, part) in [
        (train_images, labels(3, &[1, 2, 3]), "swapped"),
        (train_labels, images(3, 2, 2, &pixels(12)), "swapped"),
        (train_labels, labels(2, &[1, 2]), "must be 3, the images of"),
        (train_labels, labels(3, &[1, 2, 10]), "in 0..10, got 10"),
        (test_images, images(2, 1, 2, &pixels(4)), "[1, 1, 2]"),
        (test_labels, cut, "gzip stream is damaged"),
    ] {
        let root = tempdir().unwrap();
        write_mnist(root.path(), raw, "");
        let path = root.path().join(name);
        fs::write(&path, content).unwrap();
        // Images of another size are of the data set, not of the file.
        let file = if name == test_images {
            "mnist-test"
        } else {
            &path.display().to_string()
        };
        refused(load(root.path()), &format!("{part}|{file}"));
    }
}

#[test]
fn the_embedded_bytes_stay_out_of_debug_output() {
    let debug = format!("{:?}", Source::Embedded(FIXTURE));
    assert!(debug.contains(flatness_fixtures::DESCRIPTION), "{debug}");
    assert!(debug.len() < 200, "{debug}");
}

/// Files of the published sizes, of one pixel an image, with these counts of the classes.
fn of_counts(directory: &Path, counts: [[usize; 10]; 2]) -> Completeness {
    for (split, counts) in counts.iter().enumerate() {
        let classes = counts.iter().enumerate();
        let all: Vec<u8> = classes
            .flat_map(|(class, &count)| vec![class as u8; count])
            .collect();
        let count = all.len() as u32;
        fs::write(
            directory.join(FILE_NAMES[2 * split]),
            images(count, 1, 1, &all),
        )
        .unwrap();
        fs::write(
            directory.join(FILE_NAMES[2 * split + 1]),
            labels(count, &all),
        )
        .unwrap();
    }
    let loaded = load(directory).unwrap();
    assert_eq!(loaded.name(), "mnist-like (unknown digest)");
    loaded.completeness
}

/// The counts are those of many publications.
#[test]
fn other_examples_of_the_published_number_are_told_from_the_published_ones() {
    let root = tempdir().unwrap();
    let train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
    let test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    for (counts, expected) in [
        ([train, test], Completeness::Complete),
        // Those of Fashion-MNIST.
        ([[6000; 10], [1000; 10]], Completeness::Other),
        ([[6000; 10], [999; 10]], Completeness::Partial),
    ] {
        assert_eq!(of_counts(root.path(), counts), expected);
    }
}

#[test]
fn other_forms_are_named() {
    for (file, form) in [
        ("mnist.npz", "MNIST as Keras keeps it"),
        ("mnist.pkl.gz", "MNIST as a Python pickle"),
        (
            "MNIST/processed/training.pt",
            "MNIST as torchvision kept it",
        ),
        ("mnist/train-00000-of-00001.parquet", "the Hugging Face hub"),
    ] {
        let root = tempdir().unwrap();
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        for place in [root.path(), &path] {
            let name = path.file_name().unwrap().display();
            refused(load(place), &format!("{name} is |{form}|{}", FILE_NAMES[0]));
        }
    }
}
