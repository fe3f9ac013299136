//! The search on directories made for it.

use std::fs::{create_dir_all, write};

use super::*;

/// A machine below `root` with these empty files.
fn machine(root: &Path, files: &[&str]) -> Places {
    for file in files {
        let path = root.join(file);
        create_dir_all(path.parent().unwrap()).unwrap();
        write(path, "").unwrap();
    }
    Places {
        toolkits: ["home", "local", "site/nvidia/cu13"]
            .map(|name| root.join(name))
            .to_vec(),
        libraries: vec![root.join("system")],
        devices: vec![root.join("dev/nvidiactl")],
        generation: true,
    }
}

const LOCAL: &str = "local/bin/nvcc local/lib64/libcudart.so local/lib64/libcublas.so local/lib64/libcublasLt.so \
    local/lib64/libcurand.so local/lib64/libnvrtc.so system/libcuda.so.1 dev/nvidiactl";

const WHEELS: &str = "site/nvidia/cu13/bin/nvcc site/nvidia/cu13/lib/libcudart.so.13 site/nvidia/cu13/lib/libcublas.so.13 \
    site/nvidia/cu13/lib/libcublasLt.so.13 site/nvidia/cu13/lib/libcurand.so.10 site/nvidia/cu13/lib/libnvrtc.so.13 \
    site/nvidia/cudnn/lib/libcudnn.so.9 system/libcuda.so.1 dev/nvidiactl";

fn files(list: &'static str) -> Vec<&'static str> {
    list.split_whitespace().collect()
}

#[test]
fn a_toolkit_of_the_system_and_one_of_wheels_are_found() {
    for (list, root, feature) in [
        (LOCAL, "local", "cuda"),
        (WHEELS, "site/nvidia/cu13", "cudnn"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let places = machine(directory.path(), &files(list));
        for (name, expected) in [("cuda", "cuda"), ("cuda:1", "cuda:1"), ("auto", "cuda")] {
            let (device, toolkit) = resolve(name, &places).unwrap();
            let toolkit = toolkit.unwrap();
            assert_eq!((device.as_str(), toolkit.feature), (expected, feature));
            assert_eq!(toolkit.root, directory.path().join(root));
            // Every file but compiler and device is a library.
            assert_eq!(toolkit.libraries.len(), files(list).len() - 2);
        }
        assert_eq!(resolve("cpu", &places).unwrap(), ("cpu".to_owned(), None));
    }
}

#[test]
fn what_is_missing_is_one_sentence_with_the_places_and_auto_is_the_cpu() {
    for (missing, expected) in [
        (
            "local/bin/nvcc",
            "bin/nvcc is in none of {}/home, {}/local, {}/site/nvidia/cu13;",
        ),
        (
            "local/lib64/libcublas.so",
            "{}/local lacks libcublas.so, which is in none of {}/local/lib64, ",
        ),
        (
            "system/libcuda.so.1",
            "libcuda.so.1 is in none of {}/system",
        ),
        ("dev/nvidiactl", "none of {}/dev/nvidiactl exists"),
        ("", "CUDA_COMPUTE_CAP"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut there = files(LOCAL);
        there.retain(|file| *file != missing);
        let places = Places {
            generation: !missing.is_empty(),
            ..machine(directory.path(), &there)
        };
        let said = format!("{:#}", resolve("cuda", &places).unwrap_err());
        let expected = expected.replace("{}", &directory.path().display().to_string());
        assert!(said.starts_with("--device cuda cannot be had: "), "{said}");
        assert!(said.contains(&expected), "{said}");
        assert_eq!(resolve("auto", &places).unwrap(), ("cpu".to_owned(), None));
    }
}

#[cfg(unix)]
#[test]
fn the_linker_finds_every_library_by_its_plain_name() {
    let directory = tempfile::tempdir().unwrap();
    let toolkit = find(&machine(directory.path(), &files(WHEELS))).unwrap();
    let links = directory.path().join("links");
    // A second time too, over the links of the first.
    for _ in 0..2 {
        toolkit.link_libraries(&links).unwrap();
        for name in LIBRARIES.into_iter().chain([DRIVER, CUDNN]) {
            assert!(links.join(format!("lib{name}.so")).is_file(), "{name}");
        }
    }
    let expected = ["site/nvidia/cu13/lib", "site/nvidia/cudnn/lib", "system"];
    assert_eq!(
        toolkit.directories(),
        expected.map(|name| directory.path().join(name))
    );
}

#[test]
fn a_folder_is_packed_without_driver_and_gpu_by_the_stub_of_the_toolkit() {
    let directory = tempfile::tempdir().unwrap();
    let mut there = files(LOCAL);
    there.retain(|file| file.starts_with("local"));
    let places = |there: &[&str]| Places {
        generation: false,
        ..machine(directory.path(), there)
    };
    let said = format!("{:#}", to_pack(&places(&there)).unwrap_err());
    assert!(said.contains("no stub of the driver"), "{said}");
    there.push("local/lib64/stubs/libcuda.so");
    let toolkit = to_pack(&places(&there)).unwrap();
    assert_eq!(toolkit.generation, Some(GENERATION));
    let stub = directory.path().join("local/lib64/stubs/libcuda.so");
    assert!(toolkit.libraries.contains(&(DRIVER, stub)));
}
