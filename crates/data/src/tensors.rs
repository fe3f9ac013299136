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
    train: Pair,
    test: Option<Pair>,
    beside: Option<Tensor>,
    digest: String,
}

/// Inputs and labels of a split.
#[derive(Debug, Clone)]
struct Pair {
    /// (N, ...), f32 or f64.
    x: Tensor,
    /// (N, ...), of an integer type or a float.
    y: Tensor,
}

impl TensorFile {
    /// Whether the name of `path` is that of such a file.
    #[must_use]
    pub fn is_one(path: &Path) -> bool {
        let end = path.extension().and_then(|end| end.to_str());
        end.is_some_and(|end| ENDS.contains(&end))
    }

    /// Reads `x` and `y` of the safetensors or `.npz` file at `path`, and `x_test` and `y_test` where it has them. Inputs that
    /// are integers, such as numbers of symbols, become f32.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Tensors`] for bytes of another form, a tensor that is missing, of a type that is not taken or
    /// of another kind than its counterpart.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_beside(path, None)
    }

    /// The same with the tensor called `beside`, such as weights of classes.
    ///
    /// # Errors
    /// As [`TensorFile::read`].
    pub fn read_beside(path: &Path, beside: Option<&str>) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| Error::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let digest = format!("{:x}", Sha256::digest(&bytes));
        let (train, test, beside) = splits(bytes, beside).map_err(|reason| Error::Tensors {
            path: path.to_owned(),
            reason,
        })?;
        Ok(Self {
            name: path.display().to_string(),
            train,
            test,
            beside,
            digest,
        })
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
        self.train.y.dtype().is_int()
    }

    /// The labels (N, ...), of an integer type or a float.
    #[must_use]
    pub fn labels(&self) -> &Tensor {
        &self.train.y
    }

    /// Those of the test examples, where there are any.
    #[must_use]
    pub fn test_labels(&self) -> Option<&Tensor> {
        self.test.as_ref().map(|pair| &pair.y)
    }

    /// The tensor that was read beside them.
    #[must_use]
    pub fn beside(&self) -> Option<&Tensor> {
        self.beside.as_ref()
    }

    /// The examples of a network whose outputs have this shape (one example).
    ///
    /// # Errors
    /// As [`LabelledTensors::labelled`].
    pub fn examples(&self, outputs: &[usize]) -> Result<LabelledTensors> {
        LabelledTensors::labelled(&self.name, &self.train.x, &self.train.y, outputs)
    }

    /// The test examples, if there are any.
    ///
    /// # Errors
    /// As [`LabelledTensors::labelled`].
    pub fn test_examples(&self, outputs: &[usize]) -> Result<Option<LabelledTensors>> {
        let test = self.test.as_ref().map(|test| {
            let name = format!("{} (test)", self.name);
            LabelledTensors::labelled(&name, &test.x, &test.y, outputs)
        });
        test.transpose()
    }
}

/// Training pair, test pair, and the tensor called `beside`.
type Splits = (Pair, Option<Pair>, Option<Tensor>);

/// What there is in a file.
fn splits(bytes: Vec<u8>, beside: Option<&str>) -> std::result::Result<Splits, String> {
    let tensors = if bytes.starts_with(b"PK") {
        of_archive(&bytes, beside)?
    } else {
        of_safetensors(bytes, beside)?
    };
    let ([x, y], [x_test, y_test], beside) = tensors;
    let train = pair(["x", "y"], &x, &y)?;
    let test = match (x_test, y_test) {
        (Some(x), Some(y)) => Some(pair(["x_test", "y_test"], &x, &y)?),
        (None, None) => None,
        _ => {
            return Err(
                "holds one of x_test and y_test; test examples need both, or leave the other out"
                    .to_owned(),
            );
        }
    };
    if let Some(test) = &test {
        let like = |one: &Tensor, other: &Tensor| {
            one.rank() == other.rank() && one.dims().get(1..) == other.dims().get(1..)
        };
        let [x, y] = [(&train.x, &test.x), (&train.y, &test.y)];
        let kinds = train.y.dtype().is_int() == test.y.dtype().is_int();
        if !(like(x.0, x.1) && like(y.0, y.1) && kinds) {
            let shown = |tensor: &Tensor| format!("{:?} ({:?})", tensor.dims(), tensor.dtype());
            let [x, y] = [x, y].map(|(train, test)| [shown(train), shown(test)]);
            return Err(format!(
                "holds x {} and y {}, and x_test {} and y_test {}; test examples must be like the others",
                x[0], y[0], x[1], y[1]
            ));
        }
    }
    Ok((train, test, beside))
}

/// Inputs as floats with as many labels; `names` name them in errors.
fn pair(names: [&str; 2], x: &Tensor, y: &Tensor) -> std::result::Result<Pair, String> {
    let x = floats(x)?;
    let y = if y.dtype().is_float() {
        floats(y)?
    } else {
        y.clone()
    };
    let counts = [&x, &y].map(|tensor| tensor.dims().first().copied());
    if counts[0] != counts[1] {
        let (dims, [of_x, of_y]) = ([x.dims(), y.dims()], names);
        return Err(format!(
            "holds {of_x} {:?} and {of_y} {:?}, whose first axes must be the examples; save one label for each input",
            dims[0], dims[1]
        ));
    }
    Ok(Pair { x, y })
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

/// `x` and `y`, `x_test` and `y_test` where they are there, and what is asked for beside them.
type Named = ([Tensor; 2], [Option<Tensor>; 2], Option<Tensor>);

/// The tensors of these names by `tensor`, of a file that holds `known`.
fn named(
    known: &[String],
    beside: Option<&str>,
    mut tensor: impl FnMut(&str) -> std::result::Result<Tensor, String>,
) -> std::result::Result<Named, String> {
    let is_there = |name: &str| known.iter().any(|known| known == name);
    if let Some(name) = ["x", "y"].into_iter().find(|name| !is_there(name)) {
        let known = known.join(", ");
        return Err(format!("holds no {name} but {known}; {MISSING}"));
    }
    if let Some(name) = beside.filter(|name| !is_there(name)) {
        let known = known.join(", ");
        return Err(format!(
            "holds no {name} but {known}; save it under that name"
        ));
    }
    let train = [tensor("x")?, tensor("y")?];
    let mut of_test = |name: &str| is_there(name).then(|| tensor(name)).transpose();
    let test = [of_test("x_test")?, of_test("y_test")?];
    Ok((train, test, beside.map(tensor).transpose()?))
}

fn of_safetensors(bytes: Vec<u8>, beside: Option<&str>) -> std::result::Result<Named, String> {
    if let Some(form) = magic::name(&bytes).filter(|form| !form.contains("safetensors")) {
        return Err(format!("is {form}; {MISSING} in a safetensors or npz file"));
    }
    let file = BufferedSafetensors::new(bytes);
    let file =
        file.map_err(|error| format!("is not a whole safetensors file ({error}); save it again"))?;
    let names: Vec<String> = file.tensors().into_iter().map(|(name, _)| name).collect();
    named(&names, beside, |name| {
        file.load(name, &Device::Cpu)
            .map_err(|error| error.to_string())
    })
}

fn of_archive(bytes: &[u8], beside: Option<&str>) -> std::result::Result<Named, String> {
    let mut archive = Archive::open(bytes).map_err(|error| error.to_string())?;
    let names: Vec<String> = archive
        .names()
        .map(|name| name.trim_end_matches(".npy").to_owned())
        .collect();
    named(&names, beside, |name| {
        let member = archive
            .member(&format!("{name}.npy"))
            .map_err(|error| error.to_string())?;
        let member = member.read(bytes).map_err(|error| error.to_string())?;
        let array = npy::parse(&member).map_err(|error| format!("holds an {name} that {error}"))?;
        of_array(&array).map_err(|error| format!("holds an {name} that {error}"))
    })
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
