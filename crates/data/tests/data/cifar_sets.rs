//! Where CIFAR-100 and CIFAR-10 are found and what they hold, with small archives and directories.

mod refusals;

use std::path::Path;

use flatness_data::{Completeness, Error, Loaded, Normalization, Set};
use tempfile::tempdir;

use crate::check::refused;
use crate::cifar::{
    ARCHIVE_NAME, files, record, ten, write_archive, write_files, write_packed,
    write_packed_python, write_python,
};

fn load(path: &Path) -> Result<Loaded, Error> {
    of(Set::Cifar100, path)
}

fn of(set: Set, path: &Path) -> Result<Loaded, Error> {
    set.find(Some(path), None, None)?
        .load(Normalization::cifar())
}

#[test]
fn archive_and_directory_give_the_same_data_wherever_they_lie() {
    type Write = fn(&Path, &[(&str, Vec<u8>)]);
    let cases: [(&str, &str, Write); 13] = [
        ("", "", write_archive),
        ("", "cifar-100", write_archive),
        (ARCHIVE_NAME, "", write_archive),
        ("", "", write_files),
        ("", "cifar-100-binary", write_files),
        ("", "cifar-100", write_files),
        ("", "cifar-100/cifar-100-binary", write_files),
        ("cifar-100-binary", "cifar-100-binary", write_files),
        ("", "cifar-100-python", write_python),
        ("cifar-100-python", "cifar-100-python", write_python),
        ("", "", write_packed_python),
        ("", "cifar-100", write_packed_python),
        ("cifar-100-python.tar.gz", "", write_packed_python),
    ];
    let mut digests = Vec::new();
    for (asked, at, write) in cases {
        let root = tempdir().unwrap();
        write(&root.path().join(at), &files());
        let data = load(&root.path().join(asked)).unwrap();
        let labels = |data: &flatness_data::Dataset| data.labels().to_vec1::<u8>().unwrap();
        assert_eq!(labels(&data.train), [7, 0, 99], "{asked} {at}");
        assert_eq!(labels(&data.test), [0, 7]);
        let names = [data.train.name(), data.test.name()];
        assert_eq!(names, ["cifar-100-train", "cifar-100-test"]);
        assert_eq!((data.train.classes(), data.test.classes()), (100, 100));
        assert_eq!(data.completeness, Completeness::Partial);
        assert_eq!(data.contents, [None, None]);
        assert_eq!(data.name(), "cifar-100-like (unknown digest)");
        let is_archive = data.source.starts_with("archive");
        let of_python = data.source.ends_with("python");
        let count = if is_archive {
            1
        } else if of_python {
            3
        } else {
            4
        };
        assert_eq!(data.files.len(), count);
        digests.push(data.digest().unwrap());
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
}

#[test]
fn pixels_are_planes_of_red_green_and_blue_row_by_row() {
    let root = tempdir().unwrap();
    write_archive(root.path(), &files());
    let data = load(root.path()).unwrap();
    assert_eq!(data.train.images().dims(), [3, 3, 32, 32]);
    let images = data.train.images().flatten_from(2).unwrap();
    let images = images.to_vec3::<u8>().unwrap();
    let written = record(2, 99, 2);
    for (channel, row, column) in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (2, 31, 31)] {
        let position = 2 + channel * 1024 + row * 32 + column;
        assert_eq!(images[2][channel][row * 32 + column], written[position]);
    }
    assert_eq!(images[2].concat(), written[2..]);
}

#[test]
fn names_and_superclasses_come_from_the_files_and_the_records() {
    let root = tempdir().unwrap();
    let mut files = files();
    files[2].1.extend(b"\n\n");
    write_archive(root.path(), &files);
    let classes = load(root.path()).unwrap().classes.unwrap();
    let (names, superclass_names) = (classes.names, classes.superclass_names);
    assert_eq!((names.len(), superclass_names.len()), (100, 20));
    assert_eq!([&names[99], &superclass_names[0]], ["fine-99", "coarse-0"]);
    for class in 0..100 {
        let expected = match class {
            0 => Some(19),
            7 => Some(4),
            99 => Some(2),
            _ => None,
        };
        assert_eq!(classes.superclasses[class], expected, "{class}");
    }
}

#[test]
fn the_normalisation_is_the_callers_and_enters_no_digest() {
    let root = tempdir().unwrap();
    write_archive(root.path(), &files());
    // MATHS.md, section 4.
    let of_cifar = ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]);
    let of_imagenet = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let load = |normalization| {
        Set::Cifar100
            .find(Some(root.path()), None, None)
            .unwrap()
            .load(normalization)
    };
    let digests = [
        (Normalization::cifar(), of_cifar),
        (Normalization::imagenet(), of_imagenet),
    ]
    .map(|(normalization, (mean, deviation))| {
        let data = load(normalization).unwrap();
        for split in [&data.train, &data.test] {
            assert_eq!(split.normalization().mean(), mean);
            assert_eq!(split.normalization().deviation(), deviation);
        }
        data.digest().unwrap()
    });
    assert_eq!(digests[0], digests[1]);
    // Two colours too few.
    refused(
        load(Normalization::mnist()),
        "normalization must be for 3 channels, got 1",
    );
}

#[test]
fn the_directory_asked_for_comes_before_the_cache_and_the_archive_before_its_files() {
    let (asked, cache) = (tempdir().unwrap(), tempdir().unwrap());
    write_files(asked.path(), &files());
    write_archive(cache.path(), &files());
    let find = |asked, cache| Set::Cifar100.find(asked, cache, None).unwrap().to_string();
    let directory = format!("directory {}", asked.path().display());
    let archive = |place: &Path| format!("archive {}/{ARCHIVE_NAME}", place.display());
    assert_eq!(find(Some(asked.path()), Some(cache.path())), directory);
    assert_eq!(find(None, Some(cache.path())), archive(cache.path()));

    write_archive(asked.path(), &files());
    assert_eq!(find(Some(asked.path()), None), archive(asked.path()));
}

#[test]
fn both_versions_of_cifar_10_give_its_five_batches_in_order() {
    let mut digests = Vec::new();
    for (version, directory) in ten()
        .iter()
        .zip(["cifar-10-batches-bin", "cifar-10-batches-py"])
    {
        let root = tempdir().unwrap();
        let [packed, unpacked, inside] =
            ["packed", "unpacked", "root/cifar-10"].map(|at| root.path().join(at));
        write_packed(&packed, directory, version);
        write_files(&unpacked, version);
        write_files(&inside.join(directory), version);
        for place in [&packed, &unpacked, &root.path().join("root")] {
            let data = of(Set::Cifar10, place).unwrap();
            let labels = |data: &flatness_data::Dataset| data.labels().to_vec1::<u8>().unwrap();
            assert_eq!(labels(&data.train), (0..10).collect::<Vec<u8>>());
            assert_eq!(labels(&data.test), [3, 9, 3]);
            assert_eq!(data.train.classes(), 10);
            let last = data.train.images().get(9).unwrap().flatten_all().unwrap();
            assert_eq!(last.to_vec1::<u8>().unwrap(), record(0, 9, 9)[2..]);
            assert_eq!(data.name(), "cifar-10-like (unknown digest)");
            assert_eq!(data.completeness, Completeness::Partial);
            let classes = data.classes.as_ref().unwrap();
            assert_eq!((classes.names.len(), &*classes.names[9]), (10, "class-9"));
            assert_eq!(classes.superclass_names, [""; 0]);
            digests.push(data.digest().unwrap());
        }
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
}
