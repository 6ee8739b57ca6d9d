"""The block of `block.rs` in PyTorch and OpenVINO: the same shapes, the same threads.

    python crates/kernels/benches/block.py [threads ...]

Prints rows for the table of `block.rs`. What is not installed is left out, and said to be.
"""

import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

WIDE, HEADS, MLP = 1408, 16, 6144


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDE, eps=1e-6), nn.LayerNorm(WIDE, eps=1e-6)
        self.qkv, self.proj = nn.Linear(WIDE, 3 * WIDE), nn.Linear(WIDE, WIDE)
        self.fc1, self.fc2 = nn.Linear(WIDE, MLP), nn.Linear(MLP, WIDE)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


def row(tokens, batch, threads, how, work):
    for _ in range(2):
        work()
    clock, used = [], []
    for _ in range(7):
        start, cpu = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - start)
        used.append(time.process_time() - cpu)
    ms, cpu = statistics.median(clock) * 1e3, statistics.median(used) * 1e3
    flops = 2 * batch * tokens * (WIDE * (4 * WIDE + 2 * MLP) + 2 * tokens * WIDE)
    print(f"| {tokens} | {batch} | {threads} | {how} | {ms:.1f} | {cpu:.1f} | {flops / ms * 1e-6:.0f} |", flush=True)


def main():
    block = Block().eval()
    half = Block().eval().to(torch.bfloat16)
    try:
        import openvino
    except ImportError:
        openvino = None
        print("OpenVINO is not installed; left out", file=sys.stderr)
    version = torch.__version__.split("+")[0]
    for threads in [int(a) for a in sys.argv[1:] if a.isdigit()] or [1, 2]:
        torch.set_num_threads(threads)
        for tokens, batch in [(257, 1), (257, 4), (257, 8), (677, 1), (677, 4)]:
            x = torch.randn(batch, tokens, WIDE)
            with torch.inference_mode():
                row(tokens, batch, threads, f"PyTorch {version} eager f32", lambda: block(x))
                y = x.to(torch.bfloat16)
                row(tokens, batch, threads, f"PyTorch {version} eager bf16", lambda: half(y))
            if openvino:
                core = openvino.Core()
                with torch.no_grad():
                    model = openvino.convert_model(block, example_input=x)
                for precision in ("f32", "bf16"):
                    hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
                    run = core.compile_model(model, "CPU", hints).create_infer_request()
                    numbers = x.numpy()
                    name = f"OpenVINO {openvino.__version__.split('-')[0]} {precision}"
                    row(tokens, batch, threads, name, lambda: run.infer([numbers], share_inputs=True))


main()
