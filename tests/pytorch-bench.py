#!/usr/bin/env python3
"""The graph of a model package in PyTorch: eager and torch.compile, the same nodes and weights, uint8 in and scores out, both copies included.

    tests/pytorch-bench.py MODEL.onnx [--batch 1,128] [--seconds 2] [--device cuda|cpu] [--out FILE.json]

MODEL.onnx is a package's, or what outlier bench --graph writes: the nodes that the service computes. Needs torch, and nothing else: the graph is read with a few lines of protobuf decoding. Half precision is torch.autocast's.
"""
import argparse
import contextlib
import json
import struct
import time

import torch
import torch.nn.functional as F

WANTED = ["scores", "error_map", "latent"]
DTYPES = {1: torch.float32, 2: torch.uint8, 7: torch.int64}


def fields(data):
    """(field number, value) of a protobuf message: integers, or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value - (1 << 64) if value >= 1 << 63 else value

    while at < len(data):
        key = varint()
        number, wire = key >> 3, key & 7
        if wire == 0:
            yield number, varint()
        elif wire == 5:
            yield number, struct.unpack_from("<f", data, at)[0]
            at += 4
        elif wire == 2:
            length = varint()
            yield number, data[at:at + length]
            at += length
        else:
            raise ValueError(f"wire type {wire}")


def integers(value):
    """A repeated integer: packed, or one of many."""
    if isinstance(value, int):
        return [value]
    return [number for _, number in fields(b"".join(b"\x08" + piece for piece in split_varints(value)))]


def split_varints(data):
    start = 0
    for at, byte in enumerate(data):
        if byte < 128:
            yield data[start:at + 1]
            start = at + 1


def tensor(data):
    dims, kind, name, raw = [], 1, "", b""
    for number, value in fields(data):
        if number == 1:
            dims += integers(value)
        elif number == 2:
            kind = value
        elif number == 8:
            name = value.decode()
        elif number == 9:
            raw = value
    return name, torch.frombuffer(bytearray(raw), dtype=DTYPES[kind]).reshape(dims)


def node(data):
    inputs, outputs, op, attributes = [], [], "", {}
    for number, value in fields(data):
        if number == 1:
            inputs.append(value.decode())
        elif number == 2:
            outputs.append(value.decode())
        elif number == 4:
            op = value.decode()
        elif number == 5:
            name, single, many = "", None, []
            for field, content in fields(value):
                if field == 1:
                    name = content.decode()
                elif field in (2, 3):
                    single = content
                elif field == 8:
                    many += integers(content)
            attributes[name] = many or single
    return inputs, outputs, op, attributes


class Graph(torch.nn.Module):
    def __init__(self, file):
        super().__init__()
        with open(file, "rb") as stream:
            graph = dict(fields(stream.read()))[7]
        nodes, self.constants, constants = [], {}, {}
        for number, value in fields(graph):
            if number == 1:
                nodes.append(node(value))
            elif number == 5:
                name, values = tensor(value)
                constants[name] = values
        # Only what the wanted outputs need.
        needed, kept = set(WANTED), []
        for item in reversed(nodes):
            if needed & set(item[1]):
                kept.insert(0, item)
                needed |= set(item[0])
        self.nodes = kept
        # Shapes, slices and axes stay numbers; everything else moves to the device.
        for name, values in constants.items():
            if values.dtype == torch.int64:
                self.constants[name] = values.tolist()
            elif name in needed:
                self.register_buffer(name.replace(".", "_"), values)
        self.names = {name: name.replace(".", "_") for name in constants}

    def forward(self, image):
        values = {name: getattr(self, buffer) for name, buffer in self.names.items() if hasattr(self, buffer)}
        values.update(self.constants)
        values["image"] = image
        for inputs, outputs, op, attributes in self.nodes:
            values[outputs[0]] = compute(op, [values[name] for name in inputs], attributes)
        return [values[name] for name in WANTED]


def compute(op, x, a):
    if op == "Cast":
        return x[0].to(DTYPES[a["to"]])
    if op == "Identity":
        return x[0]
    if op == "Reshape":
        return x[0].reshape(x[1])
    if op == "Transpose":
        return x[0].permute(a["perm"])
    if op == "Conv":
        return F.conv2d(x[0], x[1], x[2], stride=a["strides"], padding=a["pads"][:2])
    if op == "Gemm":
        return torch.addmm(x[2], x[0], x[1])
    if op == "MatMul":
        return x[0] @ x[1]
    if op == "LeakyRelu":
        return F.leaky_relu(x[0], 0.1)
    if op == "DepthToSpace":
        return F.pixel_shuffle(x[0], a["blocksize"])
    if op == "Clip":
        return x[0].clamp(x[1], x[2])
    if op == "Concat":
        return torch.cat([part.float() for part in x], a["axis"])
    if op == "Gather":
        return x[0][..., x[1]]
    if op == "Slice":
        return x[0].narrow(x[3][0], x[1][0], x[2][0] - x[1][0])
    if op == "ReduceSum":
        return x[0].sum(x[1], keepdim=True)
    if op == "ReduceMax":
        return x[0].amax(x[1], keepdim=True)
    binary = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div}
    if op in binary:
        return binary[op](x[0], x[1])
    unary = {"Log": torch.log, "Exp": torch.exp, "Sqrt": torch.sqrt}
    if op in unary:
        # Scores and densities stay in float32.
        return unary[op](x[0].float())
    raise ValueError(f"operator {op}")


def measure(run, image, device, seconds):
    """p50 and p99 of a run in ms, and runs a second; from pinned memory to scores in memory."""
    def once():
        begun = time.perf_counter()
        outputs = run(image.to(device, non_blocking=True))
        [output.cpu() for output in outputs]
        return time.perf_counter() - begun

    for _ in range(5):
        once()
    times, begun = [], time.perf_counter()
    while time.perf_counter() - begun < seconds or len(times) < 3:
        times.append(once())
    times.sort()
    return {"p50Milliseconds": 1e3 * times[len(times) // 2], "p99Milliseconds": 1e3 * times[int(0.99 * (len(times) - 1))], "framesPerSecond": len(image) * len(times) / sum(times)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--batch", default="1,128")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out")
    parser.add_argument("--scores", metavar="IMAGE.raw", help="print the scores of frames of raw uint8 RGB at the model's size, and end")
    options = parser.parse_args()
    graph = Graph(options.model).to(options.device).eval()
    with open(options.model, "rb") as stream:
        model = dict(fields(stream.read()))[7]
    shape = next(shape for name, shape in inputs(model) if name == "image")
    if options.scores:
        with open(options.scores, "rb") as stream:
            image = torch.frombuffer(bytearray(stream.read()), dtype=torch.uint8).reshape([-1, *shape])
        with torch.no_grad():
            for row in graph(image.to(options.device))[0].cpu():
                print(" ".join(f"{value:.6g}" for value in row))
        return
    rows = []
    for size in map(int, options.batch.split(",")):
        image = torch.randint(0, 256, [size, *shape], dtype=torch.uint8)
        if options.device == "cuda":
            image = image.pin_memory()
        for precision in ["Fp32", "Fp16"] if options.device == "cuda" else ["Fp32"]:
            def eager(x):
                with torch.no_grad(), torch.autocast("cuda", torch.float16) if precision == "Fp16" else contextlib.nullcontext():
                    return graph(x)

            ways = {"eager": eager}
            if hasattr(torch, "compile"):
                ways["torch.compile"] = torch.compile(eager, mode="max-autotune", dynamic=False)
            for name, run in ways.items():
                try:
                    row = {"way": name, "precision": precision, "batch": size, **measure(run, image, options.device, options.seconds)}
                except Exception as error:  # one way that fails leaves the others their figures
                    row = {"way": name, "precision": precision, "batch": size, "error": str(error).splitlines()[0]}
                rows.append(row)
                print(row)
    if options.out:
        with open(options.out, "w") as stream:
            json.dump({"versions": f"PyTorch {torch.__version__}", "device": options.device, "network": rows}, stream, indent=2)


def inputs(graph):
    """Name and frame shape of each input of a graph."""
    for number, value in fields(graph):
        if number != 11:
            continue
        info = dict(fields(value))
        shape = dict(fields(dict(fields(info[2]))[1]))[2]
        yield info[1].decode(), [dict(fields(dim)).get(1, 0) for _, dim in list(fields(shape))[1:]]


if __name__ == "__main__":
    main()
