//! Kernels of a device compiled as C++, where they run thread after thread on tensors of the CPU.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;

use candle_core::{DType, Device, Result, Tensor};
use flatness_kernels::launch::{
    Correlation, Images, Launch, Launcher, Matrix, PRELUDE, Product, TWIN_PRELUDE, Wanted,
    with_launcher,
};
use tempfile::TempDir;

use crate::{Recorder, values};

/// What `work` gives where its kernels are asked of C++, which it is run twice for: once to see which they are. Where there is
/// no compiler, one line on stderr says so.
pub fn as_cpp<T>(work: impl Fn() -> T) -> Option<T> {
    let recorder = Rc::new(Recorder::default());
    with_launcher(recorder.clone(), &work);
    let twin = Twin::new(&recorder.sources());
    let twin = twin
        .inspect_err(|reason| eprintln!("skipped: {reason}"))
        .ok()?;
    Some(with_launcher(Rc::new(twin), work))
}

/// Compiles every source for two generations of cards by NVRTC, which needs no card; says the version. Where there is no
/// library or no compiler, one line on stderr says so.
pub fn compiled_by_nvrtc(sources: &[(String, String)]) -> Option<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let program = cpp(&directory, include_str!("twin/nvrtc.cpp"), &["-ldl"]);
    let program = program
        .inspect_err(|reason| eprintln!("skipped: {reason}"))
        .ok()?;
    let mut command = Command::new(program);
    for (number, (name, source)) in sources.iter().enumerate() {
        let file = directory.path().join(format!("{number}-{name}.cu"));
        std::fs::write(&file, format!("{PRELUDE}{source}")).expect("a file");
        command.arg(file);
    }
    let done = command.output().expect("a program that starts");
    let said = String::from_utf8_lossy(&done.stdout);
    if done.status.code() == Some(77) {
        eprintln!("skipped: no libnvrtc where the dynamic linker looks");
        return None;
    }
    assert!(done.status.success(), "{said}");
    Some(said.trim().to_owned())
}

/// The program of a `source`, or the reason why there is none.
fn cpp(
    directory: &TempDir,
    source: &str,
    libraries: &[&str],
) -> std::result::Result<PathBuf, String> {
    let path = |name| Path::join(directory.path(), name);
    let (file, program) = (path("source.cpp"), path("program"));
    std::fs::write(&file, source).expect("a file");
    let mut compiler = Command::new("c++");
    compiler.args(["-std=c++17", "-O1", "-Wall", "-Werror"]);
    compiler.args(["-Wno-unused-variable", "-Wno-unused-but-set-variable", "-o"]);
    let done = compiler.arg(&program).arg(&file).args(libraries).output();
    let done = done.map_err(|error| format!("no C++ compiler ({error})"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "no C++: {said}");
    Ok(program)
}

/// A process that runs the kernels.
struct Twin {
    /// The number of each source.
    numbers: HashMap<String, u32>,
    child: RefCell<Child>,
    asked: RefCell<Option<ChildStdin>>,
    answers: RefCell<ChildStdout>,
    /// More than any launch takes.
    zeros: Tensor,
}

impl Twin {
    fn new(sources: &[(String, String)]) -> std::result::Result<Self, String> {
        let (mut kernels, mut calls) = (String::new(), String::new());
        for (number, (name, source)) in sources.iter().enumerate() {
            kernels.push_str(&format!("namespace k{number} {{\n{source}}}\n"));
            calls.push_str(&format!("[] {{ run(k{number}::{name}); }}, "));
        }
        let machine = include_str!("twin/machine.cpp")
            .replacen("PRELUDE", TWIN_PRELUDE, 1)
            .replacen("KERNELS", &kernels, 1)
            .replacen("CALLS", &calls, 1);
        let directory = tempfile::tempdir().expect("a directory");
        let program = cpp(&directory, &machine, &[])?;
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a program that starts");
        let numbers = sources.iter().zip(0..);
        Ok(Self {
            numbers: numbers
                .map(|((_, source), number)| (source.clone(), number))
                .collect(),
            asked: RefCell::new(child.stdin.take()),
            answers: RefCell::new(child.stdout.take().expect("a pipe")),
            child: RefCell::new(child),
            zeros: Tensor::zeros(1 << 10, DType::U32, &Device::Cpu).expect("zeros"),
        })
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        // The end of its input is the end of the process.
        self.asked.take();
        let _ = self.child.get_mut().wait();
    }
}

fn bytes(tensor: &Tensor) -> Vec<u8> {
    macro_rules! bytes {
        ($type:ty) => {{
            let flat = tensor
                .flatten_all()
                .and_then(|flat| flat.to_vec1::<$type>());
            flat.expect("elements")
                .into_iter()
                .flat_map(|x| x.to_ne_bytes())
                .collect()
        }};
    }
    match tensor.dtype() {
        DType::F32 => bytes!(f32),
        DType::F64 => bytes!(f64),
        DType::U32 => bytes!(u32),
        DType::U8 => bytes!(u8),
        other => panic!("no kernel takes {other:?}"),
    }
}

/// Puts elements in the place of those of a tensor.
fn overwrite(tensor: &Tensor, elements: &Tensor) -> Result<()> {
    tensor.slice_set(&elements.reshape(tensor.dims())?, 0, 0)
}

fn overwrite_by_values(tensor: &Tensor, values: Vec<f64>) -> Result<()> {
    let elements = Tensor::from_vec(values, tensor.elem_count(), tensor.device())?;
    overwrite(tensor, &elements.to_dtype(tensor.dtype())?)
}

impl Launcher for Twin {
    /// What is not written shows.
    fn room(&self, shape: &[usize], dtype: DType, like: &Tensor) -> Result<Tensor> {
        Tensor::full(f64::NAN, shape, like.device())?
            .to_dtype(dtype)?
            .force_contiguous()
    }

    /// The same every time: what a launch leaves in them shows in the next.
    fn zeros(&self, count: usize, _: &Tensor) -> Result<Tensor> {
        self.zeros.narrow(0, 0, count)
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<()> {
        let number = self.numbers.get(launch.source);
        let number =
            number.unwrap_or_else(|| panic!("a kernel not seen before: {}", launch.source));
        let mut asked = Vec::new();
        for head in [*number, launch.blocks, launch.threads] {
            asked.extend(head.to_ne_bytes());
        }
        asked.extend(launch.sizes.iter().flat_map(|size| size.to_ne_bytes()));
        asked.extend(
            launch
                .numbers
                .iter()
                .flat_map(|number| number.to_ne_bytes()),
        );
        for tensor in launch.read.iter().chain(launch.written) {
            asked.extend((tensor.elem_count() as u64).to_ne_bytes());
            asked.extend(bytes(tensor));
        }
        let mut pipe = self.asked.borrow_mut();
        let pipe = pipe.as_mut().expect("a process that listens");
        pipe.write_all(&asked)
            .and_then(|()| pipe.flush())
            .expect("a process that reads");
        for tensor in launch.written {
            let size = tensor.dtype().size_in_bytes();
            let mut answer = vec![0; tensor.elem_count() * size];
            let answered = self.answers.borrow_mut().read_exact(&mut answer);
            answered.unwrap_or_else(|_| panic!("{} leaves its tensors", launch.name));
            let shape = [tensor.elem_count()];
            let elements =
                Tensor::from_raw_buffer(&answer, tensor.dtype(), &shape, tensor.device())?;
            overwrite(tensor, &elements)?;
        }
        Ok(())
    }

    fn multiply(&self, product: &Product<'_>) -> Result<()> {
        let Product {
            sum,
            left,
            right,
            accumulate,
        } = product;
        let [a, b, mut c] = [left, right, sum].map(|matrix| values(matrix.tensor));
        let at = |matrix: &Matrix<'_>, row: usize, column: usize| {
            matrix.start + row * matrix.strides[0] + column * matrix.strides[1]
        };
        for row in 0..sum.shape[0] {
            for column in 0..sum.shape[1] {
                let inner = 0..left.shape[1];
                let terms = inner.map(|k| a[at(left, row, k)] * b[at(right, k, column)]);
                let entry = &mut c[at(sum, row, column)];
                *entry = terms.sum::<f64>() + if *accumulate { *entry } else { 0.0 };
            }
        }
        overwrite_by_values(sum.tensor, c)
    }

    fn correlates(&self) -> bool {
        true
    }

    fn correlate(&self, correlation: &Correlation<'_>) -> Result<()> {
        let Correlation {
            x,
            weight,
            y,
            window,
            wanted,
            accumulate,
        } = correlation;
        let mut all = [x, weight, y].map(|images| values(images.tensor));
        let target = match wanted {
            Wanted::Input => 0,
            Wanted::Weight => 1,
            Wanted::Output => 2,
        };
        let factor = [x, weight, y][target];
        let at = |images: &Images<'_>, [n, c, h, w]: [usize; 4]| {
            let [_, _, height, width] = images.shape;
            images.start + n * images.stride + (c * height + h) * width + w
        };
        let every = |[a, b, c, d]: [usize; 4]| {
            let indices = 0..a * b * c * d;
            indices.map(move |i| [i / (b * c * d), i / (c * d) % b, i / d % c, i % d])
        };
        if !accumulate {
            every(factor.shape).for_each(|index| all[target][at(factor, index)] = 0.0);
        }
        for [image, output, row, column] in every(y.shape) {
            for [input, i, p, q] in every([1, weight.shape[1], weight.shape[2], weight.shape[3]])
                .map(|[_, i, p, q]| [i, i, p, q])
            {
                let place = |outer: usize, inner: usize, extent: usize| {
                    let place = (outer * window.stride + inner).checked_sub(window.padding);
                    place.filter(|&place| place < extent)
                };
                let rows = place(row, p, x.shape[2]);
                let Some((h, w)) = rows.zip(place(column, q, x.shape[3])) else {
                    continue;
                };
                let places = [
                    at(x, [image, input, h, w]),
                    at(weight, [output, i, p, q]),
                    at(y, [image, output, row, column]),
                ];
                let others = [0, 1, 2].into_iter().filter(|&other| other != target);
                let term: f64 = others.map(|other| all[other][places[other]]).product();
                all[target][places[target]] += term;
            }
        }
        overwrite_by_values(factor.tensor, std::mem::take(&mut all[target]))
    }

    fn read(&self, tensors: &[&Tensor]) -> Result<Vec<Vec<f64>>> {
        Ok(tensors.iter().map(|tensor| values(tensor)).collect())
    }
}
