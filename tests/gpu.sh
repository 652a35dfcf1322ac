#!/usr/bin/env bash
# Every check and benchmark that needs an NVIDIA GPU, in one run of under 8 minutes; writes one JSON.
#
#   tests/gpu.sh [OUT.json]
#
# Where the .NET SDK is, it builds with -p:Accelerator=Cuda and runs the GPU tests too. Where only the runtime is, OUTLIER=DIR names a folder with
# the published command line (dotnet publish src/OutlierPipeline.Cli -c Release --no-self-contained -o DIR), and ONNX Runtime's CUDA libraries are found
# through LD_LIBRARY_PATH. PYTHON, if it has torch, measures the same graph in PyTorch.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-gpu.json}
model=${MODEL:-models/street-demo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! nvidia-smi >"$work/nvidia-smi.txt" 2>&1; then
    echo "no NVIDIA GPU answers here (nvidia-smi): nothing was measured" >&2
    exit 1
fi

tests=null
if [ -z "${OUTLIER:-}" ]; then
    dotnet build -c Release -p:Accelerator=Cuda --nologo -v quiet tests/OutlierPipeline.Tests
    dotnet build -c Release -p:Accelerator=Cuda --nologo -v quiet src/OutlierPipeline.Cli
    OUTLIER=src/OutlierPipeline.Cli/bin/Release/net10.0
    tests=$(dotnet exec tests/OutlierPipeline.Tests/bin/Release/net10.0/OutlierPipeline.Tests.dll -noColor -trait Category=Gpu | tee /dev/stderr | tail -1 | python3 -c 'import json,sys; print(json.dumps(sys.stdin.read().strip()))')
fi
outlier() { dotnet exec "$OUTLIER/outlier.dll" "$@"; }

outlier render --out "$work/frames" --frames 200 --fps 2 >/dev/null
frames=${JPEGS:-$work/frames}

# Each in a process of its own: one that fails leaves the others their figures.
measure() { # NAME, then options of outlier bench
    local name=$1; shift
    echo "== $name" >&2
    timeout 90 dotnet exec "$OUTLIER/outlier.dll" bench --model "$model" --seconds 2 --out "$work/$name.json" "$@" >&2 || echo "$name failed" >&2
}
measure cpu --accelerator cpu --batch 1,16,128
measure cuda-fp32 --accelerator cuda --precision fp32 --batch 1,32,128,512
measure cuda-fp16 --accelerator cuda --precision fp16 --batch 1,32,128,512 --end-to-end "$frames"
measure tensorrt-fp16 --accelerator tensorrt --precision fp16 --batch 1,128
if "${PYTHON:-python3}" -c 'import torch' 2>/dev/null; then
    timeout 150 "${PYTHON:-python3}" tests/pytorch-bench.py "$model/model.onnx" --batch 1,128,512 --out "$work/pytorch.json" >&2 || echo "pytorch failed" >&2
fi

python3 - "$work" "$out" "$tests" <<'PY'
import glob, json, os, subprocess, sys
work, out, tests = sys.argv[1:]
runs = {os.path.basename(file)[:-5]: json.load(open(file)) for file in sorted(glob.glob(work + "/*.json"))}
device = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True).stdout.strip()
json.dump({"device": device, "tests": json.loads(tests), "runs": runs}, open(out, "w"), indent=2)
print(f"{out}: {', '.join(runs) or 'nothing could be measured'}")
sys.exit(0 if "cuda-fp16" in runs else 1)
PY
