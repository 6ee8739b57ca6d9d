"""The training step of `step.rs` in PyTorch: the same transformer, the same shapes, the same threads.

    python crates/nets/benches/step.py [threads ...]

Eager f32, eager with bf16 autocast, and both compiled where `--compile` is given.
Prints rows for the table of `step.rs`: forward and backward, medians of seven.
"""

import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

SHAPES = [("toy, 6×192, 50 tokens", 192, 3, 768, 112, 16), ("6×256, 65 tokens", 256, 4, 1024, 128, 16)]


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


def medians(work):
    """Milliseconds by the clock, and of all processors together."""
    for _ in range(2):
        work()
    clock, used = [], []
    for _ in range(7):
        start, cpu = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - start)
        used.append(time.process_time() - cpu)
    return f"{statistics.median(clock) * 1e3:.1f} | {statistics.median(used) * 1e3:.1f}"


def main():
    compiled = "--compile" in sys.argv
    for threads in [int(a) for a in sys.argv[1:] if a.isdigit()] or [1, 2]:
        torch.set_num_threads(threads)
        for name, d, heads, mlp, image, patch in SHAPES:
            for batch in (64, 128):
                net = Vit(d, heads, mlp, image, patch)
                run = torch.compile(net) if compiled else net
                pixels = torch.randn(batch, 3, image, image)
                for precision in ("f32", "bf16"):

                    def step():
                        net.zero_grad(set_to_none=True)
                        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                            out = run(pixels)
                        out.float().sum().backward()

                    def see():
                        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                            run(pixels)

                    how = f"PyTorch {torch.__version__.split('+')[0]} {'compiled' if compiled else 'eager'} {precision}"
                    print(f"| {name} | {batch} | {threads} | {how} | {medians(step)} | {medians(see)} |", flush=True)


main()
