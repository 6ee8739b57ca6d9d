"""A training step of the vision transformer: likebut in turns with PyTorch, on the same threads.

    cargo bench -p likebut-nets --bench step --no-run     # prints the program's path
    pip install torch
    python crates/nets/benches/step.py PROGRAM [--threads 2] [--numbers f32,bf16] > results/step.md

A step is forward and backward, without the optimiser's. Medians of seven rounds after one for warming up; the
networks have random weights and the same shapes on both sides. PyTorch computes in f32 or under autocast to
bf16, eager and compiled; likebut in f32, or with bf16 products that are added up in f32. Without an instruction for bf16, PyTorch takes
several times as long in it as in f32: `--numbers f32` leaves it out.
"""

import argparse
import statistics
import sys
import warnings

import torch
import torch.nn.functional as F
from asked import ROUNDS, Ours, machine, settled, timed
from torch import nn

# Width, heads, MLP, picture and patch of each shape that the bench program knows.
SHAPES = {"6×192-50": (192, 3, 768, 112, 16), "6×256-65": (256, 4, 1024, 128, 16)}

NUMBERS = ("f32", "bf16")


class Block(nn.Module):
    def __init__(self, d, heads, mlp):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(d, eps=1e-6), nn.LayerNorm(d, eps=1e-6)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.fc1, self.fc2 = nn.Linear(d, mlp), nn.Linear(mlp, d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Vit(nn.Module):
    def __init__(self, d, heads, mlp, image, patch):
        super().__init__()
        self.patch = nn.Conv2d(3, d, patch, patch)
        self.cls = nn.Parameter(torch.randn(1, 1, d) * 0.02)
        self.pos = nn.Parameter(torch.randn(1, (image // patch) ** 2 + 1, d) * 0.02)
        self.blocks = nn.ModuleList(Block(d, heads, mlp) for _ in range(6))
        self.norm = nn.LayerNorm(d)

    def forward(self, pixels):
        x = self.patch(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def ways(ours, shape, batch, numbers):
    """Each way's name, and its step and its forward pass, as functions that run them once."""
    run = lambda what: lambda: ours.run(f"{what}-{shape}", batch, numbers)
    yield f"likebut {numbers}", (run("step"), run("see"))
    d, heads, mlp, image, patch = SHAPES[shape]
    pixels = torch.randn(batch, 3, image, image)
    autocast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=numbers == "bf16")

    def of(net, seen):
        def step():
            net.zero_grad(set_to_none=True)
            with autocast():
                out = seen(pixels)
            out.float().sum().backward()

        def see():
            with torch.no_grad(), autocast():
                seen(pixels)

        return lambda: timed(step), lambda: timed(see)

    net = Vit(d, heads, mlp, image, patch)
    yield f"PyTorch eager {numbers}", of(net, net)
    torch.compiler.reset()
    compiled = of(net, torch.compile(net))
    try:
        for run in compiled:
            run()
    except Exception as error:
        print(f"PyTorch cannot compile {shape}: {error}", file=sys.stderr)
    else:
        yield f"PyTorch compiled {numbers}", compiled


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--numbers", type=lambda t: t.split(","), default=list(NUMBERS))
    a = parser.parse_args()
    if unknown := set(a.numbers) - set(NUMBERS):
        parser.error(f"--numbers {','.join(sorted(unknown))}: there are {', '.join(NUMBERS)}")
    torch.set_num_threads(a.threads)
    warnings.simplefilter("ignore")
    ours = Ours(a.program, a.threads)
    print("# A training step beside PyTorch\n")
    print("Written by `crates/nets/benches/step.py`; do not edit.")
    print("A vision transformer, layers × width and tokens as named, forward and backward, and forward alone. Medians of")
    print("seven rounds; *times* is the time of the way named, by the clock, divided by that of likebut with the same")
    print("numbers, so that more than one is in our favour.\n")
    machine(a.threads, {"PyTorch": torch})
    print("| shape | batch | how | step, ms | its CPU ms | times | forward, ms | its CPU ms | times |")
    print("|---|--:|---|--:|--:|--:|--:|--:|--:|")
    for shape in SHAPES:
        for batch in (64, 128):
            for numbers in a.numbers:
                runs = list(ways(ours, shape, batch, numbers))
                rounds = [[[settled(run) for run in both] for _, both in runs] for _ in range(ROUNDS + 1)][1:]
                median = lambda i, what, j: statistics.median(r[i][what][j] for r in rounds)
                mine = [median(0, what, 0) for what in (0, 1)]
                for i, (name, _) in enumerate(runs):
                    cells = [
                        f"{median(i, what, 0):.1f} | {median(i, what, 1):.1f} | {median(i, what, 0) / mine[what]:.2f}"
                        for what in (0, 1)
                    ]
                    print(f"| {shape} | {batch} | {name} | {' | '.join(cells)} |", flush=True)
                ours.ask("forget")


main()
