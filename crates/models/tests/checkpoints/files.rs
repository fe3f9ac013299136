//! Checkpoints of several files, in directories, and files that are none.

use std::fs;
use std::io::Write;
use std::path::Path;

use candle_core::{Device, Tensor};
use flatness_models::{Error, checkpoint};
use flatness_testkit::{gaussian, values};

use crate::network;

/// Writes weight and bias into files of their own, with an index as Hugging Face writes it; their values.
fn sharded(directory: &Path) -> Vec<f64> {
    let pieces = [
        ("fc.weight", gaussian((3, 6), 1)),
        ("fc.bias", gaussian(3, 2)),
    ];
    for (name, piece) in &pieces {
        let bytes = safetensors::serialize([(*name, piece)], None).unwrap();
        fs::write(directory.join(format!("{name}.safetensors")), bytes).unwrap();
    }
    let index = r#"{"metadata": {"total_size": 168}, "weight_map":
        {"fc.weight": "fc.weight.safetensors", "fc.bias": "fc.bias.safetensors"}}"#;
    fs::write(directory.join("model.safetensors.index.json"), index).unwrap();
    pieces.iter().flat_map(|(_, piece)| values(piece)).collect()
}

fn read(path: &Path) -> Result<Vec<f64>, Error> {
    let checkpoint = checkpoint::read(path)?;
    Ok(values(&checkpoint.parameters(&network(), "memory")?))
}

#[test]
fn shards_are_read_through_their_index_or_directory() {
    let directory = tempfile::tempdir().unwrap();
    let expected = sharded(directory.path());
    let index = directory.path().join("model.safetensors.index.json");
    for path in [&index, directory.path()] {
        assert_eq!(read(path).unwrap(), expected);
    }
    fs::remove_file(directory.path().join("fc.bias.safetensors")).unwrap();
    assert!(matches!(read(&index), Err(Error::Read { .. })));
    for (content, expected) in [
        ("{}", "it has no weight_map"),
        (
            r#"{"weight_map": {"a": "../b"}}"#,
            r#""../b" is not the name of a file beside it"#,
        ),
        (
            r#"{"weight_map": {"a": "c.index.json"}}"#,
            r#""c.index.json" is not the name of a file beside it"#,
        ),
    ] {
        fs::write(&index, content).unwrap();
        let message = read(&index).unwrap_err().to_string();
        assert!(
            message.ends_with(&format!("is no index of a checkpoint: {expected}")),
            "{message}"
        );
    }
}

#[test]
fn a_directory_holds_one_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let message = || read(directory.path()).unwrap_err().to_string();
    assert!(message().ends_with("holds 0 checkpoints; name one file"));
    let theta = gaussian(21, 1);
    let buffers =
        candle_core::Tensor::zeros(0, candle_core::DType::F64, &candle_core::Device::Cpu).unwrap();
    let bytes = checkpoint::encode(&network(), &theta, &buffers, "logistic").unwrap();
    fs::write(directory.path().join("best.safetensors"), &bytes).unwrap();
    fs::write(directory.path().join("notes.txt"), "").unwrap();
    assert_eq!(read(directory.path()).unwrap(), values(&theta));
    fs::write(directory.path().join("optimizer.pt"), "").unwrap();
    assert!(message().ends_with("holds 2 checkpoints; name one file"));
    fs::write(directory.path().join("model.safetensors"), &bytes).unwrap();
    assert_eq!(read(directory.path()).unwrap(), values(&theta));
}

#[test]
fn archives_of_arrays_hold_a_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights.npz");
    let (weight, bias) = (gaussian((3, 6), 1), gaussian(3, 2));
    let expected = [values(&weight), values(&bias)].concat();
    let steps = Tensor::new(&[7u8], &Device::Cpu).unwrap();
    Tensor::write_npz(&[("fc.weight", &weight), ("fc.bias", &bias)], &path).unwrap();
    assert_eq!(read(&path).unwrap(), expected);
    Tensor::write_npz(&[("fc.weight", &weight), ("fc.bias", &steps)], &path).unwrap();
    let message = read(&path).unwrap_err().to_string();
    assert!(
        message.contains("of no floating-point type: fc.bias u8"),
        "{message}"
    );
}

/// As `torch.export.save` writes them, the weight transposed.
#[test]
fn programs_of_torch_export_hold_a_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program.pt2");
    let (weight, bias) = (gaussian((3, 6), 1), gaussian(3, 2));
    let expected = [values(&weight), values(&bias)].concat();
    let raw = |tensor: &Tensor| -> Vec<u8> {
        values(tensor)
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    };
    let transposed = raw(&weight.t().unwrap());
    let meta = |sizes: &str, strides: &str| {
        let list = |numbers: &str| {
            let numbers = numbers
                .split(' ')
                .map(|number| format!("{{\"as_int\": {number}}}"));
            numbers.collect::<Vec<_>>().join(", ")
        };
        format!(
            r#""use_pickle": false, "tensor_meta": {{"dtype": 8, "sizes": [{}], "strides": [{}], "storage_offset": {{"as_int": 0}}}}"#,
            list(sizes),
            list(strides)
        )
    };
    let config = format!(
        r#"{{"config": {{"fc.weight": {{"path_name": "weight_0", {}}}, "fc.bias": {{"path_name": "weight_1", {}}}}}}}"#,
        meta("3 6", "1 3"),
        meta("3", "1")
    );
    let write = |config: &str| {
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        for (name, content) in [
            ("weights/weight_0", &transposed[..]),
            ("weights/weight_1", &raw(&bias)),
            ("weights/model_weights_config.json", config.as_bytes()),
        ] {
            let stored = zip::write::SimpleFileOptions::default();
            let stored = stored.compression_method(zip::CompressionMethod::Stored);
            archive
                .start_file(format!("program/data/{name}"), stored)
                .unwrap();
            archive.write_all(content).unwrap();
        }
        archive.finish().unwrap();
    };
    write(&config);
    assert_eq!(read(&path).unwrap(), expected);
    for (from, to, reason) in [
        (
            "weight_1",
            "weight_7",
            "fc.bias is not described as torch.export does",
        ),
        (
            "\"as_int\": 6",
            "\"as_int\": 7",
            "fc.weight [3, 7] instead of [3, 6]",
        ),
        ("\"dtype\": 8", "\"dtype\": 5", "fc.bias i64"),
    ] {
        write(&config.replace(from, to));
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
    // Strides that lead out of the file.
    write(&config.replace(
        "\"as_int\": 1}, {\"as_int\": 3}",
        "\"as_int\": 100}, {\"as_int\": 3}",
    ));
    let message = read(&path).unwrap_err().to_string();
    assert!(message.contains("is larger than its storage"), "{message}");
    write("[");
    assert!(read(&path).is_err());
}

#[test]
fn what_is_no_checkpoint_is_called_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights.pth");
    for (content, expected) in [
        (
            &b"<!DOCTYPE html><html></html>"[..],
            "a web page, such as one that asks to sign in",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer in place of the file; `git lfs pull` fetches it",
        ),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x1f\x8b\x08\0", "a gzip file; unpack it"),
        (b"\x80\x04\x95\x03\0\0\0\0\0\0\0]\x94.", "a Python pickle"),
        (br#"{"message": "Not Found"}"#, "a JSON file"),
        (b"", "an empty file"),
        (&[0; 1000], "a file of zeros"),
    ] {
        fs::write(&path, content).unwrap();
        let message = read(&path).unwrap_err().to_string();
        assert_eq!(
            message,
            format!("{} is no checkpoint but {expected}", path.display())
        );
    }
}

#[test]
fn a_name_twice_in_a_header_is_refused() {
    let entry = |name: &str, size: usize, from: usize, to: usize| {
        format!(r#""{name}":{{"dtype":"F32","shape":[{size}],"data_offsets":[{from},{to}]}}"#)
    };
    let once = [entry("a", 1, 0, 4), entry("b", 1, 4, 8)];
    let twice = [once.clone().as_slice(), &[entry("b", 1, 4, 8)]].concat();
    for (entries, is_refused) in [(&once[..], false), (&twice, true)] {
        let header = format!("{{{}}}", entries.join(","));
        let bytes = [
            &(header.len() as u64).to_le_bytes()[..],
            header.as_bytes(),
            &[0; 8],
        ]
        .concat();
        let read = checkpoint::decode(&bytes, "memory");
        let message = read
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert_eq!(
            message.contains("b is in it twice"),
            is_refused,
            "{message}"
        );
    }
}
