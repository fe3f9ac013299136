#!/usr/bin/env bash
# What a GPU has to show on its first day, in under 9 minutes, cheapest first; it stops at the first wrong number.
#   bash day.sh            on a GPU         bash day.sh cpu      a rehearsal on the CPU
# Beside it lie what `cargo xtask gpu` has packed: program.tar.xz and peers/. PyTorch with its CUDA libraries must be there;
# $OUT gets products.md and epochs.md, tables as docs/PERFORMANCE.md has them.
set -Eeuo pipefail
trap 'echo "STOPPED by: $BASH_COMMAND" >&2' ERR
device=${1:-cuda}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=${OUT:-$here/out}
mkdir -p "$out"
tar xJf "$here/program.tar.xz" -C "$work"
cd "$work"
python=${PYTHON:-python3}
if [ "$device" = cuda ]; then
    # The libraries are those of PyTorch's wheels: two gigabytes that need not be carried.
    libraries=$($python -c 'import glob, nvidia; print(":".join(d for p in nvidia.__path__ for d in glob.glob(p + "/*/lib")))')
    export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
step() { printf '\n[%3d s] %s\n' "$SECONDS" "$*"; }
stop() { echo "WRONG: $*" >&2; exit 1; }

step "libraries and program"
if [ "$device" = cuda ]; then
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
    missing=$(ldd flatness | grep 'not found' || true)
    [ -z "$missing" ] || stop "libraries are missing: $missing"
fi
./flatness --version

step "device tests: float64 to 1e-10, float32 to 1e-4"
for tests in kernels-tests curvature-tests; do
    timeout 120 "./$tests" --test-threads 1 --nocapture device > "$tests.log" 2>&1 || { tail -n 30 "$tests.log"; stop "$tests"; }
    # A test without a device to compare with passes.
    if [ "$device" = cuda ] && grep 'skipped: no CUDA device' "$tests.log"; then stop "$tests found no device"; fi
    tail -n 2 "$tests.log" | head -n 1
done

step "weights, data and vectors from PyTorch"
models="mlp-400:2000 cnn:1000 preresnet-20:256 vgg-16-bn:256 preresnet-164:256"
[ "$device" = cuda ] || models="mlp-400:512 cnn:128 preresnet-20:128"
for model in $models; do
    name=${model%:*}
    (cd "$here/peers" && $python make_fixture.py --model "$name" --n "${model#*:}" \
        --params "$work/$name.weights.safetensors" --data "$work/$name.data.safetensors" > /dev/null)
done
product() { # name, then options: one line of JSON
    timeout 100 ./flatness product --model "$1" --weights "$1.weights.safetensors" --data "$1.data.safetensors" "${@:2}"
}

cat > judge.py <<'P'
"""judge.py TOLERANCE EXPECTED GOT: fails where a number differs by more, relative to the expected one. Of v'Hv, whose terms
cancel, by ten times more, relative to |Hv| too: the CPU's own v'Hv of preresnet-20 in f32 is off by 1.4e-3 |Hv|, for the ReLUs
that rounding switches."""
import json, sys
tolerance, expected, got = float(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
for key in ("loss", "gradient_norm", "quadratic_form", "product_norm"):
    a, b = expected[key], got[key]
    scale = 10 * max(abs(a), expected["product_norm"]) if key == "quadratic_form" else abs(a)
    if not abs(a - b) <= tolerance * scale:
        sys.exit(f"{key} is {b}, expected {a} within {tolerance} of it")
P

step "the same bits twice, whatever the threads of the host"
first=$(product cnn --device "$device" --threads 1 --repeat 1)
for threads in 1 16 16; do
    [ "$device" = cuda ] || threads=1
    again=$(product cnn --device "$device" --threads $threads --repeat 1)
    $python judge.py 0 "$first" "$again" || stop "another product with $threads threads"
done

step "agreement with the CPU"
for model in $models; do
    name=${model%:*}
    for form in "f64 1e-9" "f32 5e-4"; do
        read -r dtype tolerance <<< "$form"
        expected=$(product "$name" --device cpu --dtype f64 --repeat 1 --n 64)
        got=$(product "$name" --device "$device" --dtype "$dtype" --repeat 1 --n 64)
        $python judge.py "$tolerance" "$expected" "$got" || stop "$name in $dtype"
    done
    echo "$name"
done

step "products, beside PyTorch"
cat > peer.py <<'P'
"""peer.py DEVICE NAME: seconds of a gradient, and of a double backward, without TF32; and v'Hv."""
import sys, time, torch
sys.path.insert(0, sys.argv[1])
import models
from safetensors.torch import load_file
from torch.nn import functional as F
device, name = sys.argv[2:]
torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
model = models.build(name)
model.load_state_dict(load_file(f"{name}.weights.safetensors"))
model.to(device).eval()
data = load_file(f"{name}.data.safetensors")
x, y = data["x"].to(device), data["y"].long().to(device)
parameters = [p for _, p in model.named_parameters()]
vectors = [data[f"v.{k}"].to(device) for k, _ in model.named_parameters()]
parts = list(zip(x.split(128), y.split(128)))
loss = lambda a, b: F.cross_entropy(model(a), b, reduction="sum") / len(x)
def gradient():
    for part in parts: torch.autograd.grad(loss(*part), parameters)
def product():
    total = 0.0
    for part in parts:
        g = torch.autograd.grad(loss(*part), parameters, create_graph=True)
        h = torch.autograd.grad(g, parameters, vectors)
        total += sum((a.double() * v.double()).sum() for a, v in zip(h, vectors)).item()
    return total
def timed(work, times=[]):
    result, times = work(), []
    for _ in range(5):
        begun = time.perf_counter()
        work()
        if device == "cuda": torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return sorted(times)[2], result
seconds, (twice, form) = timed(gradient)[0], timed(product)
print(f"{1e3 * seconds:.2f} {1e3 * twice:.2f} {form!r}")
P
{
    echo "| milliseconds | H v, kept | H v, anew | 8 H v, kept | PyTorch: gradient | double backward |"
    echo "|---|---|---|---|---|---|"
} > "$out/products.md"
for model in $models; do
    name=${model%:*} row="| ${model%:*}"
    for how in "--vectors 1" "--vectors 1 --retention recompute" "--vectors 8"; do
        # shellcheck disable=SC2086
        line=$(product "$name" --device "$device" --batch 128 --repeat 5 $how)
        row+=" | $($python -c 'import json, sys; print(round(1e3 * json.loads(sys.argv[1])["seconds_median"], 2))' "$line")"
    done
    read -r gradient twice form < <($python peer.py "$here/peers" "$device" "$name")
    own=$(product "$name" --device "$device" --batch 128 --repeat 1)
    $python -c 'import json, sys
a, own = float(sys.argv[1]), json.loads(sys.argv[2])
sys.exit(not abs(a - own["quadratic_form"]) <= 5e-3 * max(abs(a), own["product_norm"]))' "$form" "$own" || stop "$name: PyTorch has v'Hv = $form, not $own"
    echo "$row | $gradient | $twice |" | tee -a "$out/products.md"
done

images=2560 networks="vgg-16-bn preresnet-164"
[ "$device" = cuda ] || { images=256 networks=preresnet-20; }
step "epochs of $images pretended CIFAR-100 images"
$python - $images <<'P'
import os, sys, numpy
os.makedirs("cifar", exist_ok=True)
random = numpy.random.default_rng(0)
for name, count in (("train.bin", int(sys.argv[1])), ("test.bin", 200)):
    rows = random.integers(0, 256, (count, 3074), dtype=numpy.uint8)
    rows[:, 1] = numpy.arange(count) % 100
    rows[:, 0] = rows[:, 1] // 5
    rows.tofile(f"cifar/{name}")
for name, count in (("fine", 100), ("coarse", 20)):
    open(f"cifar/{name}_label_names.txt", "w").write("".join(f"{name}{i}\n" for i in range(count)))
P
{
    echo "| images per second | float32 | TF32 |"
    echo "|---|---|---|"
} > "$out/epochs.md"
for name in $networks; do
    row="| $name"
    for math in "" --tf32; do
        if [ "$device$math" = cpu--tf32 ]; then row+=" | -"; continue; fi
        runs=runs-$name$math
        # shellcheck disable=SC2086
        timeout 60 ./flatness train --model "$name" --data-set cifar-100 --data cifar --augmentation --epochs 2 --device "$device" $math --runs "$runs" \
            --log-level error --quiet
        row+=" | $(tail -n 1 "$runs"/*/metrics.jsonl | $python -c 'import json, sys; print(round(json.load(sys.stdin)["examples_per_second"]))')"
    done
    echo "$row |" | tee -a "$out/epochs.md"
done
[ "$device" = cuda ] || { step "rehearsed; the rest needs a GPU"; exit 0; }

step "where the time of a product goes, and memory"
if command -v ncu > /dev/null; then
    timeout 60 ncu --clock-control none --metrics gpu__time_duration.sum --csv --log-file "$out/kernels.csv" ./flatness product --model preresnet-20 \
        --weights preresnet-20.weights.safetensors --data preresnet-20.data.safetensors --device cuda --n 128 --repeat 1 > /dev/null || true
fi
if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck initcheck; do
        timeout 60 compute-sanitizer --error-exitcode 9 --tool $tool ./flatness product --model cnn --weights cnn.weights.safetensors \
            --data cnn.data.safetensors --device cuda --n 16 --repeat 1 > "$tool.log" 2>&1 || { tail -n 20 "$tool.log"; stop "$tool"; }
    done
fi
step "done: the tables are in $out"
