"""A training loop of one's own whose queries `flops allocate` shares out, through a pipe.

A linear classifier learns from losses alone: its outputs are perturbed in antithetic pairs, and each item's pairs say
how its loss answers (docs/protocol.md, "Sharing queries out"). Put your own model in place of loss(); only Python's
standard library is used here.

usage: python3 allocate.py [--flops PROGRAM] [--steps N] [other flags of flops allocate]
"""
import argparse
import json
import math
import random
import subprocess

CLASSES, WIDTH, ITEMS, BATCH, SIGMA, RATE = 4, 6, 120, 24, 0.05, 0.3


class Allocator:
    """`flops allocate` behind a pipe: a line out, a line back."""

    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **line):
        try:
            self.process.stdin.write(json.dumps(line, allow_nan=False) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self.process.stdout.readline()
        if not answer:  # what was wrong stands on standard error
            raise SystemExit(self.process.wait() or 1)
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def outputs(weights, x):
    return [sum(w * v for w, v in zip(row, x)) for row in weights]


def loss(z, label):
    """The cross-entropy of one item's outputs; anything that gives a number will do."""
    top = max(z)
    return top + math.log(sum(math.exp(v - top) for v in z)) - z[label]


def make_items(rng):
    """Items of classes that overlap: some are easy, some have another one's label."""
    centres = [[rng.gauss(0, 1.5) for _ in range(WIDTH)] for _ in range(CLASSES)]
    items = []
    for i in range(ITEMS):
        label = i % CLASSES
        x = [rng.gauss(c, 1) for c in centres[label]]
        items.append((x, label if rng.random() > 0.1 else rng.randrange(CLASSES)))
    return items


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flops", default="flops", help="the program")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--queries", type=int, default=8, help="mean per item and step")
    args, rest = parser.parse_known_args()

    rng = random.Random(0)
    items = make_items(rng)
    weights = [[0.0] * WIDTH for _ in range(CLASSES)]
    allocator = Allocator([args.flops, "allocate", "--allocator", "neyman",
                           "--queries-per-item", str(args.queries)] + rest)
    feedback, ratios, first, last = None, [], None, None
    for step in range(args.steps):
        ids = rng.sample(range(ITEMS), BATCH)
        z = [outputs(weights, items[i][0]) for i in ids]
        clean = [loss(z[k], items[i][1]) for k, i in enumerate(ids)]
        line = {"losses": clean, "ids": ids, "logits": z, "labels": [items[i][1] for i in ids]}
        if feedback:
            line["feedback"] = feedback
        answer = allocator.ask(**line)
        if "ratio" in answer:
            ratios.append(answer["ratio"])

        gradient, variance = [[0.0] * WIDTH for _ in range(CLASSES)], []
        for k, i in enumerate(ids):
            x, label = items[i]
            pairs, squares = answer["counts"][k] // 2, 0.0
            for _ in range(pairs):
                noise = [rng.gauss(0, 1) for _ in range(CLASSES)]
                up = loss([v + SIGMA * e for v, e in zip(z[k], noise)], label)
                down = loss([v - SIGMA * e for v, e in zip(z[k], noise)], label)
                c = (up - down) / (2 * SIGMA)
                squares += c * c / pairs
                for row, e in zip(gradient, noise):
                    for j, v in enumerate(x):
                        row[j] += c * e * v / (pairs * BATCH)
            variance.append(squares * sum(v * v for v in x))
        feedback = {"variance": variance}
        for row, g in zip(weights, gradient):
            for j, v in enumerate(g):
                row[j] -= RATE * v
        last = sum(clean) / BATCH
        first = last if first is None else first
    ratios.append(allocator.ask(feedback=feedback)["ratio"])
    allocator.close()

    late = ratios[len(ratios) // 2:]
    ratio = sum(late) / len(late)
    print(f"loss {first:.3f} -> {last:.3f} in {args.steps} steps of {BATCH * args.queries} queries")
    print(f"the gradient's variance is {ratio:.2f} of that at equal shares: worth {1 / ratio:.2f} times the queries")


if __name__ == "__main__":
    main()
