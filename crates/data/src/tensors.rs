//! Files of tensors: `x`, the inputs, and `y`, the labels, as people save them from Python.

use std::path::Path;

use candle_core::safetensors::BufferedSafetensors;
use candle_core::{DType, Device, Tensor};
use flatness_formats::{Archive, magic, npy};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::examples::LabelledTensors;

/// Ends of the names of such files.
const ENDS: [&str; 2] = ["safetensors", "npz"];

/// How far from one a distribution in single precision may sum.
const TOLERANCE: f64 = 1e-3;

/// Whole numbers below this are themselves in single precision.
const EXACT: f64 = 16_777_216.0;

/// Inputs and labels of a file.
#[derive(Debug, Clone)]
pub struct TensorFile {
    /// The path, as given.
    name: String,
    /// (N, ...), f32 or f64.
    x: Tensor,
    /// (N, ...), of an integer type or a float.
    y: Tensor,
    digest: String,
}

impl TensorFile {
    /// Whether the name of `path` is that of such a file.
    #[must_use]
    pub fn is_one(path: &Path) -> bool {
        let end = path.extension().and_then(|end| end.to_str());
        end.is_some_and(|end| ENDS.contains(&end))
    }

    /// Reads `x` and `y` of the safetensors or `.npz` file at `path`. Inputs that are integers, such as numbers of symbols,
    /// become f32.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Tensors`] for bytes of another form, a tensor that is missing or of a type that is not
    /// taken.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| Error::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let digest = format!("{:x}", Sha256::digest(&bytes));
        let wrong = |reason: String| Error::Tensors {
            path: path.to_owned(),
            reason,
        };
        let [x, y] = if bytes.starts_with(b"PK") {
            of_archive(&bytes).map_err(wrong)?
        } else {
            of_safetensors(bytes).map_err(wrong)?
        };
        let x = floats(&x).map_err(wrong)?;
        let y = if y.dtype().is_float() {
            floats(&y).map_err(wrong)?
        } else {
            y
        };
        let counts = [&x, &y].map(|tensor| tensor.dims().first().copied());
        if counts[0] != counts[1] {
            let dims = [x.dims(), y.dims()];
            let reason = format!(
                "holds x {:?} and y {:?}, whose first axes must be the examples; save one label for each input",
                dims[0], dims[1]
            );
            return Err(wrong(reason));
        }
        Ok(Self {
            name: path.display().to_string(),
            x,
            y,
            digest,
        })
    }

    /// Shape of one input.
    #[must_use]
    pub fn example_shape(&self) -> &[usize] {
        self.x.dims().get(1..).unwrap_or_default()
    }

    /// The path, as given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the file.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether the labels are classes, and not values.
    #[must_use]
    pub fn has_classes(&self) -> bool {
        self.y.dtype().is_int()
    }

    /// The labels (N, ...), of an integer type or a float.
    #[must_use]
    pub fn labels(&self) -> &Tensor {
        &self.y
    }

    /// The examples of a network whose outputs have this shape (one example).
    ///
    /// # Errors
    /// As [`LabelledTensors::labelled`].
    pub fn examples(&self, outputs: &[usize]) -> Result<LabelledTensors> {
        LabelledTensors::labelled(&self.name, &self.x, &self.y, outputs)
    }
}

/// Refuses `labels` of the file `name` that are values and no probabilities, and where they must `sum_to_one`, no distributions
/// along the last axis.
///
/// # Errors
/// [`Error::Tensors`], or a device error.
pub fn check_probabilities(name: &str, labels: &Tensor, sum_to_one: bool) -> Result<()> {
    if labels.dtype().is_int() {
        return Ok(());
    }
    let width = labels.dims().last().copied().unwrap_or(1).max(1);
    let values = labels
        .to_dtype(DType::F64)?
        .flatten_all()?
        .to_vec1::<f64>()?;
    let wrong = |reason: String| {
        let path = name.into();
        Err(Error::Tensors { path, reason })
    };
    if let Some(got) = values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
        return wrong(format!(
            "holds {got} in y, where this loss takes probabilities; --loss squared-error takes any values"
        ));
    }
    let mut sums = values.chunks(width).map(|row| row.iter().sum::<f64>());
    match sums.find(|sum| sum_to_one && (sum - 1.0).abs() > TOLERANCE) {
        Some(sum) => wrong(format!(
            "holds a row of y that sums to {sum}, where cross-entropy takes distributions over the classes, which sum to 1"
        )),
        None => Ok(()),
    }
}

/// As f32 or f64.
fn floats(tensor: &Tensor) -> std::result::Result<Tensor, String> {
    let converted = match tensor.dtype() {
        DType::F32 | DType::F64 => return Ok(tensor.clone()),
        DType::F16 | DType::BF16 => tensor.to_dtype(DType::F32),
        kind if kind.is_int() => {
            let largest = || {
                let values = tensor.to_dtype(DType::F64)?.flatten_all()?.abs()?;
                values.max(0)?.to_scalar::<f64>()
            };
            if tensor.elem_count() > 0 && largest().map_err(|error| error.to_string())? >= EXACT {
                return Err(
                    "holds whole numbers in x that single precision has not; save x as float64"
                        .to_owned(),
                );
            }
            tensor.to_dtype(DType::F32)
        }
        kind => {
            return Err(format!(
                "holds a tensor of type {kind:?}; save it as float32"
            ));
        }
    };
    converted.map_err(|error| error.to_string())
}

const MISSING: &str =
    "the inputs x (N, ...) and the labels y (N, ...) are taken; save them under these names";

fn of_safetensors(bytes: Vec<u8>) -> std::result::Result<[Tensor; 2], String> {
    if let Some(form) = magic::name(&bytes).filter(|form| !form.contains("safetensors")) {
        return Err(format!("is {form}; {MISSING} in a safetensors or npz file"));
    }
    let file = BufferedSafetensors::new(bytes);
    let file =
        file.map_err(|error| format!("is not a whole safetensors file ({error}); save it again"))?;
    let names: Vec<String> = file.tensors().into_iter().map(|(name, _)| name).collect();
    let tensor = |name: &str| {
        if !names.iter().any(|known| known == name) {
            let names = names.join(", ");
            return Err(format!("holds no {name} but {names}; {MISSING}"));
        }
        file.load(name, &Device::Cpu)
            .map_err(|error| error.to_string())
    };
    Ok([tensor("x")?, tensor("y")?])
}

fn of_archive(bytes: &[u8]) -> std::result::Result<[Tensor; 2], String> {
    let mut archive = Archive::open(bytes).map_err(|error| error.to_string())?;
    let names: Vec<String> = archive
        .names()
        .map(|name| name.trim_end_matches(".npy").to_owned())
        .collect();
    let mut tensor = |name: &str| {
        if !names.iter().any(|known| known == name) {
            let names = names.join(", ");
            return Err(format!("holds no {name} but {names}; {MISSING}"));
        }
        let member = archive
            .member(&format!("{name}.npy"))
            .map_err(|error| error.to_string())?;
        let member = member.read(bytes).map_err(|error| error.to_string())?;
        let array = npy::parse(&member).map_err(|error| format!("holds an {name} that {error}"))?;
        of_array(&array).map_err(|error| format!("holds an {name} that {error}"))
    };
    Ok([tensor("x")?, tensor("y")?])
}

fn of_array(array: &npy::Array<'_>) -> std::result::Result<Tensor, String> {
    let unsigned = |bytes: &[u8]| {
        let numbers = bytes.chunks_exact(8).map(|number| {
            let number = number.try_into().map_or(u64::MAX, u64::from_le_bytes);
            i64::try_from(number).unwrap_or(i64::MAX)
        });
        Tensor::from_iter(numbers, &Device::Cpu)?.reshape(array.shape.as_slice())
    };
    let kind = match array.elements {
        "f8" => DType::F64,
        "f4" => DType::F32,
        "f2" => DType::F16,
        "i8" => DType::I64,
        "i4" => DType::I32,
        "i2" => DType::I16,
        "u4" => DType::U32,
        "u1" => DType::U8,
        "u8" => return unsigned(array.bytes).map_err(|error| error.to_string()),
        other => {
            return Err(format!(
                "is of NumPy's type {other}; save it as float32 or int64"
            ));
        }
    };
    let tensor = Tensor::from_raw_buffer(array.bytes, kind, &array.shape, &Device::Cpu);
    tensor.map_err(|error| format!("cannot be taken ({error})"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{DType, Device, Path, Tensor, TensorFile};
    use crate::Examples;

    fn saved(directory: &Path, x: &Tensor, y: &Tensor) -> std::path::PathBuf {
        let path = directory.join("data.safetensors");
        let tensors = HashMap::from([("x", x.clone()), ("y", y.clone())]);
        candle_core::safetensors::save(&tensors, &path).unwrap();
        path
    }

    #[test]
    fn both_forms_give_the_same_examples() {
        let directory = tempfile::tempdir().unwrap();
        let x = Tensor::arange(0f32, 12.0, &Device::Cpu)
            .unwrap()
            .reshape((3, 2, 2))
            .unwrap();
        let y = Tensor::new(&[1i64, 0, 4], &Device::Cpu).unwrap();
        let path = saved(directory.path(), &x, &y);
        let packed = directory.path().join("data.npz");
        Tensor::write_npz(&[("x", &x), ("y", &y)], &packed).unwrap();
        for path in [path, packed] {
            assert!(TensorFile::is_one(&path));
            let file = TensorFile::read(&path).unwrap();
            assert!(file.has_classes());
            assert_eq!(file.example_shape(), [2, 2]);
            let examples = file.examples(&[5]).unwrap();
            assert!(examples.is_classified());
            let batch = examples.gather(&[2, 0], DType::F64, &Device::Cpu).unwrap();
            assert_eq!(
                batch
                    .images
                    .get(0)
                    .unwrap()
                    .flatten_all()
                    .unwrap()
                    .to_vec1::<f64>()
                    .unwrap(),
                [8.0, 9.0, 10.0, 11.0]
            );
            assert_eq!(batch.labels.to_vec1::<u32>().unwrap(), [4, 1]);
            assert!(file.examples(&[4]).is_err());
        }
    }

    #[test]
    fn labels_of_positions_and_values_are_taken_for_outputs_that_they_fit() {
        let directory = tempfile::tempdir().unwrap();
        let x = Tensor::new(&[[0i64, 1, 2], [2, 1, 0]], &Device::Cpu).unwrap();
        let y = Tensor::new(&[[1i64, 2, -100], [1, -100, -100]], &Device::Cpu).unwrap();
        let file = TensorFile::read(&saved(directory.path(), &x, &y)).unwrap();
        let examples = file.examples(&[3, 3]).unwrap();
        assert!(!examples.is_classified());
        assert_eq!(
            (examples.loss_factor(), examples.outputs()),
            (2.0, vec![3, 3])
        );
        let batch = examples.gather(&[0], DType::F32, &Device::Cpu).unwrap();
        assert_eq!(batch.images.dtype(), DType::F32);
        assert_eq!(batch.labels.to_vec2::<u32>().unwrap(), [[1, 2, u32::MAX]]);
        assert!(file.examples(&[3]).is_err(), "positions without outputs");
        let values = Tensor::new(&[[0.5f64, 1.0], [2.0, 3.0]], &Device::Cpu).unwrap();
        let file = TensorFile::read(&saved(directory.path(), &x, &values)).unwrap();
        let examples = file.examples(&[2]).unwrap();
        let batch = examples.gather(&[1], DType::F32, &Device::Cpu).unwrap();
        assert_eq!(batch.labels.to_vec2::<f32>().unwrap(), [[2.0, 3.0]]);
        assert!(file.examples(&[3]).is_err());
    }

    #[test]
    fn probabilities_are_held_to_be_such() {
        let check = |rows: &[[f64; 2]], sum_to_one| {
            let flat: Vec<f64> = rows.concat();
            let labels = Tensor::from_vec(flat, (rows.len(), 2), &Device::Cpu).unwrap();
            super::check_probabilities("data.npz", &labels, sum_to_one)
        };
        check(&[[0.25, 0.75], [1.0, 0.0]], true).unwrap();
        check(&[[0.5, 0.75]], false).unwrap();
        for (rows, sum_to_one, reason) in [
            ([[0.5, 0.75]], true, "sums to 1.25"),
            ([[-0.5, 1.5]], true, "holds -0.5"),
            ([[f64::NAN, 0.5]], false, "holds NaN"),
            ([[2.0, 0.5]], false, "holds 2"),
        ] {
            let message = check(&rows, sum_to_one).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn other_files_are_errors_of_one_sentence() {
        let directory = tempfile::tempdir().unwrap();
        let x = Tensor::zeros((3, 2), DType::F32, &Device::Cpu).unwrap();
        let y = Tensor::zeros(2, DType::I64, &Device::Cpu).unwrap();
        let message = TensorFile::read(&saved(directory.path(), &x, &y))
            .unwrap_err()
            .to_string();
        assert!(message.contains("x [3, 2] and y [2]"), "{message}");
        let large = Tensor::new(&[1i64 << 24, 0, 0], &Device::Cpu).unwrap();
        let message = TensorFile::read(&saved(directory.path(), &large, &large))
            .unwrap_err()
            .to_string();
        assert!(message.contains("float64"), "{message}");
        for (bytes, reason) in [
            (&b"<!DOCTYPE html>"[..], "web page"),
            (b"PK\x03\x04", "archive is damaged"),
            (b"\x10\0\0\0\0\0\0\0{}", "whole safetensors"),
        ] {
            let path = directory.path().join("other.npz");
            std::fs::write(&path, bytes).unwrap();
            let message = TensorFile::read(&path).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }
}
