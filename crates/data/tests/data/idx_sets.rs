//! Where MNIST comes from and what is refused, with small directories and the embedded fixture.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use flatness_data::{
    Completeness, Divisible, EmbeddedMnist, Error, Loaded, Normalization, Set, Source, file_digest,
};
use tempfile::tempdir;

use crate::check::{refused, values};
use crate::encode::{gzip, images, labels, pixels, write_mnist};

const FIXTURE: EmbeddedMnist = EmbeddedMnist {
    files: flatness_fixtures::MNIST,
    description: flatness_fixtures::DESCRIPTION,
};

const FILE_NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

fn find(asked: Option<&Path>, cache: Option<&Path>) -> Result<Source, Error> {
    Set::Mnist.find(asked, cache, Some(FIXTURE))
}

fn load(directory: &Path) -> Result<Loaded, Error> {
    find(Some(directory), None)?.load(Normalization::mnist())
}

fn fixture(normalization: Normalization) -> Loaded {
    find(None, None).unwrap().load(normalization).unwrap()
}

fn raw(content: &[u8]) -> Vec<u8> {
    content.to_vec()
}

#[test]
fn the_embedded_fixture_holds_the_head_and_the_test_set_of_mnist() {
    let data = fixture(Normalization::mnist());
    assert_eq!(data.train.images().dims(), [10_000, 1, 28, 28]);
    assert_eq!(data.test.images().dims(), [10_000, 1, 28, 28]);
    let contents = [
        "the first 10,000 training examples of MNIST",
        "the 10,000 test examples of MNIST",
    ];
    assert_eq!(
        data.contents,
        contents.map(|content| Some(content.to_owned()))
    );
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
        let data = fixture(normalization);
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
    assert_eq!(data.name(), "idx images (unknown digest)");
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
    assert_eq!(data.contents, [None, Some(known.to_owned())]);
    assert_eq!(data.name(), "idx images (unknown digest)");
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
    let is =
        |source: Source, path: &Path| source.to_string() == format!("directory {}", path.display());
    assert!(is(find(Some(asked), Some(cache)).unwrap(), asked));
    assert!(is(find(None, Some(cache)).unwrap(), cache));
    let [absent, file] = ["absent", "mnist/train-images-idx3-ubyte"].map(|path| cache.join(path));
    for nothing in [None, Some(&*absent), Some(&*file)] {
        let found = find(None, nothing).unwrap();
        assert_eq!(found.to_string(), flatness_fixtures::DESCRIPTION);
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
        check_unreadable(find(None, Some(cache.path())), &path);
        check_unreadable(find(Some(cache.path()), None), &path);
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
            let error = find(asked, Some(cache.path())).unwrap_err();
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
    let [absent, file] = ["absent", FILE_NAMES[0]].map(|path| cache.path().join(path));
    check_unreadable(load(&absent), &absent);
    refused(
        load(&file),
        &format!("{} is a file; name the directory", file.display()),
    );
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
    let debug = format!("{:?}", find(None, None).unwrap());
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
    assert_eq!(loaded.name(), "idx images (unknown digest)");
    loaded.completeness
}

/// The counts are those of many publications.
#[test]
fn other_examples_of_the_published_number_are_told_from_the_published_ones() {
    let root = tempdir().unwrap();
    let train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
    let test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    for (counts, expected) in [
        ([train, test], Completeness::Other),
        ([[6000; 10], [1000; 10]], Completeness::Other),
        ([[6000; 10], [999; 10]], Completeness::Partial),
    ] {
        assert_eq!(of_counts(root.path(), counts), expected);
    }
}

/// The images of an IDX file with 28 x 28 pixels each.
fn images_of(file: &[u8]) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file)
        .read_to_end(&mut bytes)
        .unwrap();
    bytes[16..].chunks(784).map(<[u8]>::to_vec).collect()
}

/// The test split of MNIST in another order is told from the same with its images transposed.
#[test]
fn another_order_of_the_published_examples_is_told_from_other_examples() {
    let data = fixture(Normalization::mnist());
    let numbers = data.test.labels().to_vec1::<u8>().unwrap();
    let pictures = images_of(FIXTURE.files[2]);
    let transposed = |image: &Vec<u8>| {
        let pixel = |place: usize| image[place % 28 * 28 + place / 28];
        (0..784).map(pixel).collect::<Vec<_>>()
    };
    let turned = pictures.iter().rev().cloned().collect::<Vec<_>>();
    let lying = turned.iter().map(transposed).collect::<Vec<_>>();
    let reversed: Vec<u8> = numbers.iter().rev().copied().collect();
    let known = "the 10,000 test examples of MNIST, in another order";
    for (pictures, expected) in [(turned, Some(known)), (lying, None)] {
        let root = tempdir().unwrap();
        write_mnist(root.path(), raw, "");
        let files = [
            images(10_000, 28, 28, &pictures.concat()),
            labels(10_000, &reversed),
        ];
        for (file, name) in [FIXTURE.files[0], FIXTURE.files[1], &files[0], &files[1]]
            .iter()
            .zip(FILE_NAMES)
        {
            fs::write(root.path().join(name), file).unwrap();
        }
        let data = load(root.path()).unwrap();
        assert_eq!(data.contents[1].as_deref(), expected);
        let name = match expected {
            // Of a part of the training split nothing more is said.
            Some(_) => "mnist",
            None => "idx images (unknown digest)",
        };
        assert_eq!(data.name(), name);
        assert_eq!(data.completeness, Completeness::Partial);
    }
    let whole = Loaded {
        completeness: Completeness::Reordered,
        ..data
    };
    assert_eq!(whole.name(), "mnist (in another order)");
}

#[test]
fn the_file_of_keras_gives_the_same_data() {
    let root = tempdir().unwrap();
    write_mnist(&root.path().join("idx"), raw, "");
    let idx = load(&root.path().join("idx")).unwrap();
    let path = root.path().join("mnist.npz");
    let save = |x: &Tensor, y: &Tensor| {
        let (test, numbers) = (idx.test.images().squeeze(1).unwrap(), idx.test.labels());
        let arrays = [
            ("x_train", x),
            ("y_train", y),
            ("x_test", &test),
            ("y_test", numbers),
        ];
        Tensor::write_npz(&arrays, &path).unwrap();
    };
    let (x, y) = (idx.train.images().squeeze(1).unwrap(), idx.train.labels());
    save(&x, y);
    for place in [root.path(), &path] {
        let data = load(place).unwrap();
        assert_eq!(data.digest().unwrap(), idx.digest().unwrap());
        assert_eq!(data.source, format!("archive {}", path.display()));
        assert_eq!(data.files, std::slice::from_ref(&path));
    }
    for (x, y, parts) in [
        (
            &x.to_dtype(DType::F32).unwrap(),
            y,
            "x_train must be bytes (uint8) in 3 axes|got f4",
        ),
        (idx.train.images(), y, "x_train must be bytes|[3, 1, 2, 2]"),
        (
            &x,
            &y.narrow(0, 0, 2).unwrap(),
            "number of labels must be 3|got 2",
        ),
    ] {
        save(x, y);
        refused(load(root.path()), &format!("{}|{parts}", path.display()));
    }
    fs::write(&path, b"PK\x03\x04 and no more").unwrap();
    refused(load(root.path()), "the archive is damaged");
}

#[test]
fn emnist_is_read_from_the_archive_of_all_its_sets() {
    let root = tempdir().unwrap();
    let mut archive = zip::ZipWriter::new(fs::File::create(root.path().join("gzip.zip")).unwrap());
    for (split, numbers) in [("train", [1, 26, 5]), ("test", [2, 2, 2])] {
        for (kind, bytes) in [
            ("images-idx3", images(3, 2, 2, &pixels(12))),
            ("labels-idx1", labels(3, &numbers)),
        ] {
            let name = format!("gzip/emnist-letters-{split}-{kind}-ubyte.gz");
            let stored = zip::write::SimpleFileOptions::default();
            let stored = stored.compression_method(zip::CompressionMethod::Stored);
            archive.start_file(name, stored).unwrap();
            archive.write_all(&gzip(&bytes)).unwrap();
        }
    }
    archive.finish().unwrap();
    for place in ["", "gzip.zip"] {
        let found = Set::EmnistLetters.find(Some(&root.path().join(place)), None, None);
        let data = found.unwrap().load(Normalization::mnist()).unwrap();
        assert_eq!(data.train.labels().to_vec1::<u8>().unwrap(), [1, 26, 5]);
        // As torchvision counts them, from a class without examples.
        assert_eq!((data.train.classes(), data.test.len()), (27, 3));
        assert_eq!(data.name(), "idx images (unknown digest)");
    }
    let digits = Set::EmnistDigits.find(Some(root.path()), None, None);
    refused(
        digits.unwrap().load(Normalization::mnist()),
        "gzip/emnist-digits-train-images-idx3-ubyte.gz",
    );
}

#[test]
fn a_set_under_the_name_of_another_is_refused_and_under_none_is_called_its_own() {
    let root = tempdir().unwrap();
    for (name, bytes) in FILE_NAMES.iter().zip(FIXTURE.files) {
        fs::write(root.path().join(name), bytes).unwrap();
    }
    let of = |set: Set| {
        let source = set.find(Some(root.path()), None, None).unwrap();
        source.load(Normalization::mnist())
    };
    let path = root.path().display();
    for set in [Set::FashionMnist, Set::Kmnist] {
        let expected = format!("directory {path} holds mnist, not {set}|ask for mnist");
        refused(of(set), &expected);
    }
    let data = of(Set::Idx).unwrap();
    assert_eq!((data.set, &*data.name()), (Set::Mnist, "mnist"));

    // Of images that are anybody's the labels say how many classes there are.
    write_mnist(root.path(), raw, "");
    let data = of(Set::Idx).unwrap();
    assert_eq!(data.train.classes(), 10);
    assert_eq!(data.name(), "idx images (unknown digest)");
    fs::write(root.path().join(FILE_NAMES[3]), labels(2, &[200, 1])).unwrap();
    assert_eq!(of(Set::Idx).unwrap().train.classes(), 201);
}

#[test]
fn other_forms_and_other_sets_are_named() {
    for (file, form) in [
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
    for (place, name, other) in [
        (
            "FashionMNIST/raw",
            "train-images-idx3-ubyte",
            "fashion-mnist",
        ),
        (
            "EMNIST/raw",
            "emnist-letters-train-images-idx3-ubyte",
            "emnist-letters",
        ),
        ("cifar-10-batches-py", "data_batch_1", "cifar-10"),
        ("", "cifar-100-python.tar.gz", "cifar-100"),
    ] {
        let root = tempdir().unwrap();
        let directory = root.path().join(place);
        match other {
            "cifar-10" => {
                let names = [
                    "data_batch_2",
                    "data_batch_3",
                    "data_batch_4",
                    "data_batch_5",
                ];
                fs::create_dir_all(&directory).unwrap();
                for name in [&names[..], &[name, "test_batch", "batches.meta"]].concat() {
                    fs::write(directory.join(name), "").unwrap();
                }
            }
            "cifar-100" => fs::write(directory.join(name), "").unwrap(),
            "emnist-letters" => {
                write_mnist(&directory, raw, "");
                for [mnist, emnist] in [["train", "train"], ["t10k", "test"]] {
                    for kind in ["images-idx3-ubyte", "labels-idx1-ubyte"] {
                        let path = |stem: &str| directory.join(format!("{stem}-{kind}"));
                        let letters = path(&format!("emnist-letters-{emnist}"));
                        fs::rename(path(mnist), letters).unwrap();
                    }
                }
            }
            _ => write_mnist(&directory, raw, ""),
        }
        let expected = format!("holds {other}, not mnist|ask for {other}");
        refused(load(root.path()), &expected);
    }
}
