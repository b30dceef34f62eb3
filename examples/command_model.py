"""A model behind standard input and output, for `model: {kind: command, argv: [python3, examples/command_model.py]}`.

Replace describe() and logits() with your own model; the rest is the framing of docs/protocol.md. Only Python's standard
library is used here, and the model is a linear map with fixed random weights.

usage: python3 command_model.py [CLASSES [CHANNELS HEIGHT WIDTH]]
"""
import array
import json
import math
import random
import struct
import sys

CLASSES, CHANNELS, HEIGHT, WIDTH = ([int(a) for a in sys.argv[1:]] + [5, 3, 32, 32][len(sys.argv) - 1:])[:4]
PIXELS = CHANNELS * HEIGHT * WIDTH
_random = random.Random(0)
WEIGHTS = [[_random.gauss(0, 1 / math.sqrt(PIXELS)) for _ in range(PIXELS)] for _ in range(CLASSES)]


def describe():
    """What the model takes and gives, as the Open Inference Protocol writes it; -1 is any number of images."""
    return {
        "type": "model", "name": "linear",
        "inputs": [{"name": "pixel_values", "datatype": "FP32", "shape": [-1, CHANNELS, HEIGHT, WIDTH]}],
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, CLASSES]}],
    }


def logits(image):
    """CLASSES numbers for one image, a sequence of PIXELS numbers: channel by channel, each row by row."""
    return [sum(w * x for w, x in zip(row, image)) for row in WEIGHTS]


def read_exactly(n):
    data = sys.stdin.buffer.read(n)
    if len(data) < n:
        sys.exit(0)  # the other side has closed the pipe: the run is over
    return data


def read_message():
    (size,) = struct.unpack("<I", read_exactly(4))
    header = json.loads(read_exactly(size))
    values = array.array("f", read_exactly(header.get("bytes", 0)))
    if sys.byteorder == "big":
        values.byteswap()
    return header, values


def write_message(header, values=()):
    values = array.array("f", values)
    if sys.byteorder == "big":
        values.byteswap()
    header["bytes"] = 4 * len(values)
    document = json.dumps(header).encode()
    sys.stdout.buffer.write(struct.pack("<I", len(document)) + document + values.tobytes())
    sys.stdout.buffer.flush()


def main():
    while True:
        header, values = read_message()
        if header["type"] == "describe":
            write_message(describe())
        elif header["type"] == "infer" and header["shape"][1:] == [CHANNELS, HEIGHT, WIDTH]:
            n, out = header["shape"][0], []
            for i in range(n):
                out += logits(values[i * PIXELS:(i + 1) * PIXELS])
            write_message({"type": "logits", "id": header["id"], "shape": [n, CLASSES]}, out)
        else:
            write_message({"type": "error", "id": header.get("id", 0), "error": f"cannot answer {header}"})


main()
