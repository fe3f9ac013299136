//! The kernels as C++, thread after thread, against the order of the equation, to the last bit, and the CPU path.

use std::path::{Path, PathBuf};
use std::process::Command;

use candle_core::DType;

use super::{STAGES, SUMS};
use crate::dot;
use crate::seeded::{uniform, values};

/// A machine whose threads run one after the other: (type, count, elements of x and y) on standard input, the sum's bits out.
const MACHINE: &str = r#"
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <vector>
#define __device__ static
#define __global__
using std::size_t;
struct Index { unsigned x; };
static Index blockIdx, threadIdx, gridDim, blockDim;
KERNELS
static const unsigned STAGES[3][2] = {STAGE_SIZES};
template <typename Kernel> std::vector<double> launch(int stage, Kernel kernel) {
    gridDim.x = STAGES[stage][0], blockDim.x = STAGES[stage][1];
    std::vector<double> written(gridDim.x * blockDim.x);
    for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
        for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++) kernel(written.data());
    return written;
}
template <typename T, typename Kernel> double sum(FILE *file, size_t count, Kernel products) {
    std::vector<T> x(count), y(count);
    if (fread(x.data(), sizeof(T), count, file) + fread(y.data(), sizeof(T), count, file) != 2 * count) throw 1;
    auto of = launch(0, [&](double *to) { products(count, x.data(), y.data(), to); });
    for (int stage = 1; stage < 3; stage++) of = launch(stage, [&](double *to) { sums(of.size(), of.data(), to); });
    return of[0];
}
int main(int, char **arguments) {
    for (int index = 1; arguments[index]; index++) {
        FILE *file = fopen(arguments[index], "rb");
        unsigned long long head[2], bits;
        if (fread(head, 8, 2, file) != 2) return 1;
        double total = head[0] == 4 ? sum<float>(file, head[1], products_f32) : sum<double>(file, head[1], products_f64);
        memcpy(&bits, &total, 8);
        printf("%llu\n", bits);
    }
}
"#;

/// The program, or the reason why there is none.
fn machine(directory: &Path) -> Result<PathBuf, String> {
    let sizes = STAGES.map(|(blocks, threads)| format!("{{{blocks}, {threads}}}"));
    let source = MACHINE.replace("KERNELS", SUMS);
    let source = source.replace("STAGE_SIZES", &sizes.join(", "));
    let (file, program) = (directory.join("machine.cpp"), directory.join("machine"));
    std::fs::write(&file, source).unwrap();
    let mut compiler = Command::new("c++");
    compiler.args(["-std=c++17", "-O2", "-Wall", "-Werror", "-o"]);
    let done = compiler.arg(&program).arg(&file).output();
    let done = done.map_err(|error| format!("no C++ compiler ({error})"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "the kernels are no C++: {said}");
    Ok(program)
}

/// The sum in the order of the equation.
fn expected(x: &[f64], y: &[f64]) -> f64 {
    let mut sums = vec![0.0; 1 << 17];
    for (index, (x, y)) in x.iter().zip(y).enumerate() {
        let sum: &mut f64 = &mut sums[index % (1 << 17)];
        *sum = x.mul_add(*y, *sum);
    }
    let every = |first| (first..1 << 17).step_by(1 << 9);
    let fewer = (0..1 << 9).map(|first| every(first).fold(0.0, |sum, index| sum + sums[index]));
    fewer.fold(0.0, |sum, more| sum + more)
}

#[test]
fn sums_of_products_have_the_bits_of_their_order_and_are_those_of_the_cpu() {
    let directory = tempfile::tempdir().unwrap();
    let program = match machine(directory.path()) {
        Ok(program) => program,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    for dtype in [DType::F32, DType::F64] {
        for count in [0, 1, 1000, (1 << 17) - 1, 1 << 17, 3 * (1 << 17) + 5] {
            let operands = [1, 2].map(|seed| uniform(count, seed, dtype));
            let [x, y] = operands.each_ref().map(values);
            let mut bytes = [dtype.size_in_bytes() as u64, count as u64]
                .map(u64::to_ne_bytes)
                .concat();
            for element in x.iter().chain(&y) {
                match dtype {
                    DType::F32 => bytes.extend((*element as f32).to_ne_bytes()),
                    _ => bytes.extend(element.to_ne_bytes()),
                }
            }
            let file = directory.path().join("operands");
            std::fs::write(&file, bytes).unwrap();
            let output = Command::new(&program).arg(&file).output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            let sum = f64::from_bits(said.trim().parse().unwrap());
            let what = format!("{count} of {dtype:?}: {sum:e}");
            assert_eq!(sum.to_bits(), expected(&x, &y).to_bits(), "{what}");
            // Other orders of as many additions.
            let size: f64 = x.iter().zip(&y).map(|(x, y)| (x * y).abs()).sum();
            let error = (sum - dot(&operands[0], &operands[1]).unwrap()).abs();
            assert!(error <= 1e-13 * size, "{what}, {error:e}");
        }
    }
}
