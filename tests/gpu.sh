#!/usr/bin/env bash
# Every check and benchmark that needs an NVIDIA GPU, in one run of under 8 minutes; writes one JSON, and says which of the project's aims it meets.
#
#   tests/gpu.sh [OUT.json]
#
# Where the .NET SDK is, it builds with -p:Accelerator=Cuda. Where only the runtime is, say where the published programs are:
#   OUTLIER=DIR  dotnet publish src/OutlierPipeline.Cli -c Release -p:Accelerator=Cuda -r linux-x64 --no-self-contained -o DIR
#   TESTS=DIR    the same of tests/OutlierPipeline.Tests (optional; without libtorch, which no GPU test needs)
# CUDA 13, cuDNN 9, nvJPEG and NVRTC are found through LD_LIBRARY_PATH.
#   MODEL=DIR    a package of 256x128 pixels, which the aims speak of (optional): outlier train --architecture vae --height 128 --width 256 ...; else models/street-demo, of 160x96
#   JPEGS=DIR    720p pictures; else ffmpeg draws some
#   SERVICE=DIR  the published service (optional): 64 cameras at 30 frames/s through Kafka
#   PYTHON=...   a Python with torch, to measure the same graph in PyTorch
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-gpu.json}
model=${MODEL:-models/street-demo}
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! nvidia-smi >"$work/nvidia-smi.txt" 2>&1; then
    echo "no NVIDIA GPU answers here (nvidia-smi): nothing was measured" >&2
    exit 1
fi

if [ -z "${OUTLIER:-}" ]; then
    for project in src/OutlierPipeline.Cli src/OutlierPipeline.Service tests/OutlierPipeline.Tests; do dotnet build -c Release -p:Accelerator=Cuda --nologo -v quiet $project; done
    OUTLIER=src/OutlierPipeline.Cli/bin/Release/net10.0
    SERVICE=${SERVICE:-src/OutlierPipeline.Service/bin/Release/net10.0}
    TESTS=${TESTS:-tests/OutlierPipeline.Tests/bin/Release/net10.0}
fi
tests=null
if [ -n "${TESTS:-}" ]; then
    timeout 120 dotnet exec "$TESTS/OutlierPipeline.Tests.dll" -noColor -trait Category=Gpu 2>&1 | tee "$work/tests.txt" >&2 || true
    tests=$(tail -1 "$work/tests.txt" | "$python" -c 'import json,sys; print(json.dumps(sys.stdin.read().strip()))')
fi
outlier() { dotnet exec "$OUTLIER/outlier.dll" "$@"; }

frames=${JPEGS:-}
if [ -z "$frames" ]; then
    frames=$work/frames
    outlier render --out "$frames" --frames 200 --fps 2 --size 1280x720 >/dev/null
fi

# Each in a process of its own: one that fails leaves the others their figures.
measure() { # NAME, then options of outlier bench
    local name=$1; shift
    echo "== $name" >&2
    timeout 120 dotnet exec "$OUTLIER/outlier.dll" bench --model "$model" --seconds 2 --out "$work/$name.json" "$@" >&2 || echo "$name failed" >&2
}
measure cpu --accelerator cpu --batch 1,16 --graph "$work/graph.onnx"
measure cuda-fp16 --accelerator cuda --precision fp16 --batch 1,32,128,512 --end-to-end "$frames"
measure cuda-fp32 --accelerator cuda --precision fp32 --batch 1,128
model=models/camvid-day measure features-cuda-fp16 --accelerator cuda --precision fp16 --batch 1,32,128 --end-to-end "$frames"
measure tensorrt-fp16 --accelerator tensorrt --precision fp16 --batch 1,128
if "$python" -c 'import torch' 2>/dev/null; then
    timeout 150 "$python" tests/pytorch-bench.py "$work/graph.onnx" --batch 128,512 --seconds 1 --out "$work/pytorch.json" >&2 || echo "pytorch failed" >&2
fi
if [ -n "${SERVICE:-}" ]; then
    echo "== load" >&2
    outlier broker --partitions 16 >"$work/broker" &
    broker=$!
    for _ in $(seq 50); do [ -s "$work/broker" ] && break; sleep 0.2; done
    dotnet exec "$SERVICE/OutlierPipeline.Service.dll" --Kafka:BootstrapServers="$(cat "$work/broker")" --Kafka:Client:fetch.wait.max.ms=5 --Model:Path="$model" --Inference:Accelerator=Cuda \
        --Alerts:Database="$work/alerts.db" --Frames:MaxBufferedBytes=536870912 >"$work/service.txt" 2>&1 &
    service=$!
    timeout 120 dotnet exec "$OUTLIER/outlier.dll" load --bootstrap "$(cat "$work/broker")" --cameras 16 --up-to 128 --fps 30 --seconds 9 --process $service --out "$work/load.json" --plot "${out%.json}-load.png" >&2 || tail -5 "$work/service.txt" >&2
    kill $service $broker 2>/dev/null || true
fi

"$python" - "$work" "$out" "$tests" <<'PY'
import glob, json, os, subprocess, sys
work, out, tests = sys.argv[1:]
runs = {os.path.basename(file)[:-5]: json.load(open(file)) for file in sorted(glob.glob(work + "/*.json"))}
device = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True).stdout.strip()
aims = []

def aim(name, value, test):
    aims.append({"aim": name, "value": value, "met": None if value is None else bool(test(value))})

half = runs.get("cuda-fp16", {})
rows = [row for row in half.get("network", []) if row["accelerator"] == "Cuda, graphs"]
large = max((row["framesPerSecond"] for row in rows if row["batch"] >= 128), default=None)
aim("frames/s at batches of 128 and more, 200,000 at 256x128", large, lambda value: value >= 200_000)
compiled = max((row["framesPerSecond"] for row in runs.get("pytorch", {}).get("network", []) if row["way"] == "torch.compile" and row["precision"] == "Fp16" and "error" not in row), default=None)
aim("against torch.compile in half precision, 1.25", large and compiled and large / compiled, lambda value: value >= 1.25)
aim("p50 of a lone frame in ms, 0.25", next((row["p50Milliseconds"] for row in rows if row["batch"] == 1), None), lambda value: value <= 0.25)
aim("deviation of scores from a CPU's in float32, 0.01", next((row["deviation"] for row in rows), None), lambda value: value <= 0.01)
features = runs.get("features-cuda-fp16", {})
feature_rows = [row for row in features.get("network", []) if row["accelerator"] == "Cuda, graphs"]
aim("features: deviation of scores from a CPU's in float32, 0.04 with the likelihood", next((row["deviation"] for row in feature_rows), None), lambda value: value <= 0.04)
aim("features: end to end against a bare loop, 0.95", next((path.get("ratioToBareLoop") for path in features.get("endToEnd", [])), None), lambda value: value >= 0.95)
paths = {path["decoder"]: path for path in half.get("endToEnd", [])}
gpu, cpu = paths.get("nvJPEG"), paths.get("libjpeg-turbo")
aim("from JPEG bytes to scores against libjpeg-turbo, 2.5", gpu and cpu and gpu["framesPerSecond"] / cpu["framesPerSecond"], lambda value: value >= 2.5)
aim("grey levels between nvJPEG's pictures and the CPU's, 2", gpu and gpu["pictureDifference"], lambda value: value <= 2)
aim("managed bytes a frame, 1", gpu and gpu["allocatedBytes"], lambda value: value < 1)
step = next((step for step in runs.get("load", []) if step["cameras"] == 64), None)
aim("p99 in ms with 64 cameras at 30 frames/s, produced to read, 15 within the service", step and step["p99Milliseconds"], lambda value: value <= 15 and step["skipped"] == 0)
json.dump({"device": device, "tests": json.loads(tests), "aims": aims, "runs": runs}, open(out, "w"), indent=2)
for item in aims:
    value = "not measured" if item["value"] is None else f"{item['value']:.4g}"
    print(f"{'-' if item['met'] is None else 'met' if item['met'] else 'MISSED':7} {item['aim']}: {value}")
print(f"{out}: {', '.join(runs) or 'nothing could be measured'}")
sys.exit(0 if rows else 1)
PY
