#!/usr/bin/env bash
# Runs a model on ONNX Runtime's real CUDA provider where there is no GPU: on libraries that stand in for CUDA's, compute nothing, and log what is asked of them. Shows what the
# provider accepts, places and records; not one score, and no time. Needs gcc, binutils, and 300 MB of Microsoft.ML.OnnxRuntime.Gpu from NuGet.
#
#   tests/cuda-standins/run.sh [MODEL]
set -euo pipefail
cd "$(dirname "$0")/../.."
model=${1:-models/street-demo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dotnet publish src/OutlierPipeline.Cli -c Release -p:Accelerator=Cuda -r linux-x64 --no-self-contained --nologo -v quiet -o "$work/app"
provider=$work/app/libonnxruntime_providers_cuda.so

# Everything that the provider asks of a library, and that the sources here do not define, returns 0.
stand_in() { # NAME VERSION
    local source=$work/$1.c symbol
    { cat tests/cuda-standins/log.h; cat tests/cuda-standins/"$1".c 2>/dev/null || true; } > "$source"
    for symbol in $3; do
        grep -qE "[ *]$symbol\(" "$source" && continue
        case $symbol in
            cublas*emm*) echo "int $symbol(void) { return LOG(\"product $symbol\\n\"); }" ;;
            cudnnCreate*) echo "int $symbol(void **created) { *created = calloc(1, 64); return 0; }" ;;
            *) echo "int $symbol(void) { return 0; }" ;;
        esac >> "$source"
    done
    echo "lib$1.so.$2 { *; };" > "$work/$1.map"
    gcc -shared -fPIC -w -o "$work/lib$1.so.$2" "$source" -Wl,--version-script="$work/$1.map" -Wl,-soname,"lib$1.so.$2"
}
asked() { nm -D --undefined-only "$provider" | awk '{print $2}' | grep "$1" | sed 's/@.*//'; }
stand_in cudart 13 "$(asked '@libcudart.so.13')"
stand_in cublas 13 "$(asked '@libcublas.so.13')"
stand_in cublasLt 13 "$(asked '@libcublasLt.so.13')"
stand_in curand 10 ""
stand_in cuda 1 cuTensorMapEncodeTiled
stand_in cudnn 9 "$(strings -n 8 "$provider" | grep -E '^cudnn[A-Z][A-Za-z0-9_]+$' | sort -u)"

LD_LIBRARY_PATH=$work CUDA_LOG=$work/log timeout 120 dotnet exec "$work/app/outlier.dll" bench --model "$model" --accelerator cuda --precision fp16 --batch 4 --seconds 0.1 >"$work/out" 2>&1 || { tail -5 "$work/out"; exit 1; }
python3 - "$work" <<'PY'
import sys
work = sys.argv[1]
lines = open(work + "/log").read().splitlines()
# Every recording of every batch size.
recordings, open_at = [], None
for i, line in enumerate(lines):
    if line.startswith("record "): open_at = i
    elif line.startswith("recorded "): recordings.append((lines[open_at].split()[-1], lines[open_at + 1:i]))
replays = [i for i, line in enumerate(lines) if line.startswith("replay ")]
faults = set() if recordings and replays else {"nothing was recorded, or nothing replayed"}
for stream, recorded in recordings:
    if stream == "(nil)": faults.add("the default stream is recorded, which CUDA refuses")
    if any(not line.endswith(stream) for line in recorded if "stream" in line): faults.add("something recorded goes to another stream")
    for line in recorded:
        if line.startswith("copy-blocking"): faults.add("a copy that blocks is recorded")
        if line.startswith(("copy kind 1", "copy kind 2")): faults.add("a copy from or to the host is recorded, whose memory may be gone at the replay")
        if line.startswith("product") and "Batched" in line and "Strided" not in line: faults.add("a product of matrices by their addresses is recorded")
        if line.startswith("synchronize"): faults.add("a wait is recorded")
last = lines[replays[-1]:] if replays else []
kernels, products = (sum(line.startswith(kind) for line in recordings[-1][1]) if recordings else 0 for kind in ("kernel", "product"))
print(f"{kernels} kernels and {products} products a batch, beside the convolutions; {len(recordings)} recordings, {len(replays)} replays; after each: {', '.join(line.split(' stream')[0] for line in last[1:5])}")
for fault in sorted(faults): print("FAULT:", fault)
sys.exit(1 if faults else 0)
PY
