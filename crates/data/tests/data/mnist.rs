//! Where MNIST comes from and what is refused, with small directories and the embedded fixture.

use std::fs;
use std::path::Path;

use flatness_data::Error;
use flatness_data::check::Identity;
use flatness_data::mnist::{self, EmbeddedMnist, FILE_NAMES, Source};
use tempfile::tempdir;

use crate::encode::{gzip, images, labels, pixels, write_mnist};

fn embedded() -> EmbeddedMnist {
    EmbeddedMnist {
        train_images: flatness_fixtures::TRAIN_IMAGES,
        train_labels: flatness_fixtures::TRAIN_LABELS,
        test_images: flatness_fixtures::TEST_IMAGES,
        test_labels: flatness_fixtures::TEST_LABELS,
        description: flatness_fixtures::DESCRIPTION,
    }
}

fn load(directory: &Path) -> Result<mnist::Mnist, Error> {
    mnist::load(Source::Directory(directory.to_owned()))
}

#[test]
fn the_embedded_fixture_holds_the_head_and_the_test_set_of_mnist() {
    let data = mnist::load(Source::Embedded(embedded())).unwrap();
    assert_eq!(data.train.images().dims(), [10_000, 1, 28, 28]);
    assert_eq!(data.test.images().dims(), [10_000, 1, 28, 28]);
    let identity = |data: &flatness_data::Dataset| Identity::of(data.digest().unwrap());
    assert_eq!(identity(&data.train), Some(Identity::MnistTrainHead));
    assert_eq!(identity(&data.test), Some(Identity::MnistTest));
    // The class counts of the MNIST test set, in many publications.
    let counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    assert_eq!(data.test.class_counts().unwrap(), counts);
    assert_eq!(data.source.to_string(), flatness_fixtures::DESCRIPTION);
    assert_eq!(data.train.normalization().mean(), [0.5]);
    assert_eq!(data.train.normalization().deviation(), [0.5]);
}

#[test]
fn raw_and_compressed_files_in_a_directory_or_its_subdirectory_give_the_same_data() {
    let mut digests = Vec::new();
    for subdirectory in ["", "mnist"] {
        for (suffix, compress) in [("", false), (".gz", true), ("", true)] {
            let root = tempdir().unwrap();
            let encode = |raw: &[u8]| if compress { gzip(raw) } else { raw.to_vec() };
            write_mnist(&root.path().join(subdirectory), encode, suffix);
            let data = load(root.path()).unwrap();
            assert_eq!((data.train.len(), data.test.len()), (3, 2));
            assert_eq!(data.train.labels().to_vec1::<u8>().unwrap(), [7, 0, 9]);
            assert_eq!(
                data.source.to_string(),
                format!("directory {}", root.path().display())
            );
            digests.push(data.digest().unwrap());
        }
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

#[test]
fn the_digest_of_both_splits_tells_them_apart() {
    let root = tempdir().unwrap();
    write_mnist(root.path(), <[u8]>::to_vec, "");
    let data = load(root.path()).unwrap();
    let exchanged = mnist::Mnist {
        train: data.test.clone(),
        test: data.train.clone(),
        ..data.clone()
    };
    assert_ne!(data.digest().unwrap(), exchanged.digest().unwrap());
}

#[test]
fn the_compressed_file_wins_over_a_raw_one() {
    let root = tempdir().unwrap();
    write_mnist(root.path(), <[u8]>::to_vec, "");
    let other = gzip(&labels(3, &[1, 1, 1]));
    fs::write(root.path().join("train-labels-idx1-ubyte.gz"), other).unwrap();
    let data = load(root.path()).unwrap();
    assert_eq!(data.train.labels().to_vec1::<u8>().unwrap(), [1, 1, 1]);
}

#[test]
fn the_directory_asked_for_comes_first_then_the_cache_then_the_fixture() {
    let (asked, cache) = (tempdir().unwrap(), tempdir().unwrap());
    write_mnist(asked.path(), <[u8]>::to_vec, "");
    write_mnist(cache.path(), <[u8]>::to_vec, "");
    let find = |asked, cache| mnist::find(asked, cache, embedded()).unwrap();
    let is = |source: Source, path: &Path| matches!(source, Source::Directory(got) if got == path);
    assert!(is(
        find(Some(asked.path()), Some(cache.path())),
        asked.path()
    ));
    assert!(is(find(None, Some(cache.path())), cache.path()));
    assert!(matches!(find(None, None), Source::Embedded(_)));

    fs::remove_file(cache.path().join(FILE_NAMES[2])).unwrap();
    assert!(matches!(
        find(None, Some(cache.path())),
        Source::Embedded(_)
    ));
    assert!(matches!(
        find(None, Some(&cache.path().join("absent"))),
        Source::Embedded(_)
    ));
}

#[test]
fn an_incomplete_directory_that_was_asked_for_is_an_error_naming_the_file() {
    let cache = tempdir().unwrap();
    write_mnist(cache.path(), <[u8]>::to_vec, "");
    for name in FILE_NAMES {
        for subdirectory in ["", "mnist"] {
            let root = tempdir().unwrap();
            let directory = root.path().join(subdirectory);
            write_mnist(&directory, <[u8]>::to_vec, "");
            fs::remove_file(directory.join(name)).unwrap();
            let error = mnist::find(Some(root.path()), Some(cache.path()), embedded()).unwrap_err();
            let Error::MissingFile {
                directory: named,
                name: missing,
            } = &error
            else {
                panic!("{error}");
            };
            assert_eq!(
                (named.components(), *missing),
                (directory.components(), name)
            );
            assert!(load(root.path()).unwrap_err().to_string().contains(name));
        }
    }
    let absent = cache.path().join("absent");
    let error = mnist::find(Some(&absent), None, embedded()).unwrap_err();
    assert!(
        matches!(&error, Error::NotADirectory { path } if *path == absent),
        "{error}"
    );
    let file = cache.path().join(FILE_NAMES[0]);
    assert!(matches!(load(&file), Err(Error::NotADirectory { .. })));
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let damages: [(&str, Vec<u8>, &str); 5] = [
        (FILE_NAMES[0], labels(3, &[1, 2, 3]), "swapped"),
        (FILE_NAMES[1], images(3, 2, 2, &pixels(12)), "swapped"),
        (FILE_NAMES[1], labels(2, &[1, 2]), "holds 3 images"),
        (FILE_NAMES[1], labels(3, &[1, 2, 10]), "below 10, got 10"),
        (FILE_NAMES[2], images(2, 1, 2, &pixels(4)), "[1, 1, 2]"),
    ];
    for (name, content, part) in damages {
        let root = tempdir().unwrap();
        write_mnist(root.path(), <[u8]>::to_vec, "");
        fs::write(root.path().join(name), content).unwrap();
        let message = load(root.path()).unwrap_err().to_string();
        assert!(
            message.contains(part) && !message.contains('\n'),
            "{message}"
        );
        let names_file = message.contains(&root.path().join(name).display().to_string());
        assert!(names_file || name == FILE_NAMES[2], "{message}");
    }
}

#[test]
fn the_embedded_bytes_stay_out_of_debug_output() {
    let source = Source::Embedded(embedded());
    let debug = format!("{source:?}");
    assert!(
        debug.contains(flatness_fixtures::DESCRIPTION) && debug.len() < 200,
        "{debug}"
    );
}

#[test]
fn the_manifest_names_the_canonical_compressed_files() {
    let manifest = mnist::manifest();
    let names: Vec<&str> = manifest
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(names, FILE_NAMES.map(|name| format!("{name}.gz")));
    for file in &manifest.files {
        let is_hex = |digest: &str| {
            digest
                .bytes()
                .all(|byte| b"0123456789abcdef".contains(&byte))
        };
        assert!(file.md5.len() == 32 && is_hex(&file.md5), "{file:?}");
        assert!(file.sha256.len() == 64 && is_hex(&file.sha256), "{file:?}");
    }
    assert!(manifest.mirrors.len() > 1);
    assert!(manifest.mirrors.iter().all(|mirror| mirror.ends_with('/')));
}
