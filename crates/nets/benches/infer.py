"""Frozen networks: likebut in turns with PyTorch, OpenVINO and ONNX Runtime, on the same threads.

    cargo bench -p likebut-nets --bench infer --no-run     # prints the program's path
    pip install torch openvino nncf onnx onnxruntime
    python crates/nets/benches/infer.py PROGRAM [--threads 2] [--only vit-g-block-224,...] [--least BATCH] [--most BATCH]
        [--without 'PyTorch eager bf16,...'] > results/kernels.md

One round runs each way once; a table row holds the medians of seven rounds after one for warming up, by
the clock and in processor time, so that another program's load falls on all alike. Of a network that is
gigabytes large (`vit-g-...`, not its block) no two other ways fit beside each other: each has its eight rounds
in turns with likebut alone, and is dropped; its *times* are those of these rounds.
The networks have random weights and the same shapes on all sides. Those of likebut are halves, as many that
are published, which it keeps in half the memory (LIKEBUT_BENCH_FULL=1: not). What is not installed, or
cannot be converted, is left out and said to be. In 8-bit integers OpenVINO runs what nncf quantised with a
few random inputs, ONNX Runtime what it quantises dynamically. Ways `--without` which it runs are those that would
take hours: PyTorch in bf16 where the processor has no instruction for it, seven times as long as in f32.
"""

import argparse
import contextlib
import math
import statistics
import sys
import tempfile
import time
import warnings

import torch
import torch.nn.functional as F
from asked import ROUNDS, Ours, machine, settled, timed
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

try:
    import openvino
except ImportError:
    openvino = None
try:
    import nncf
except ImportError:
    nncf = None
try:
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic
except ImportError:
    onnxruntime = None

# Rows, k and columns of the bench program's work `product`.
PRODUCT = (2056, 1408, 1408)
# Operations of its work `units`, bytes of its work `memory`.
UNITS, MEMORY = 2**35, 2**29


class Block(nn.Module):
    """Pre-norm, as in EVA and CLIP."""

    def __init__(self, d, heads, mlp, causal=False):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(d, eps=1e-6), nn.LayerNorm(d, eps=1e-6)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.fc1, self.fc2 = nn.Linear(d, mlp), nn.Linear(mlp, d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.proj(seen.transpose(1, 2).reshape(b, t, d))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Vit(nn.Module):
    """Pictures to tokens; to one vector where there is a projection."""

    def __init__(self, d, depth, heads, mlp, image, patch, embed=None):
        super().__init__()
        self.patch = nn.Conv2d(3, d, patch, patch)
        self.cls = nn.Parameter(torch.randn(1, 1, d) * 0.02)
        self.pos = nn.Parameter(torch.randn(1, (image // patch) ** 2 + 1, d) * 0.02)
        self.blocks = nn.Sequential(*(Block(d, heads, mlp) for _ in range(depth)))
        self.norm = nn.LayerNorm(d)
        self.embed = nn.Linear(d, embed, bias=False) if embed else None

    def forward(self, pixels):
        x = self.patch(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        x = self.blocks(x)
        return F.normalize(self.embed(self.norm(x[:, 0])), dim=-1) if self.embed else x


class Text(nn.Module):
    """CLIP's: causal, the last token stands for all."""

    def __init__(self, d, depth, heads, mlp, embed, length):
        super().__init__()
        self.words = nn.Embedding(49_408, d)
        self.pos = nn.Parameter(torch.randn(1, length, d) * 0.01)
        self.blocks = nn.Sequential(*(Block(d, heads, mlp, True) for _ in range(depth)))
        self.norm, self.embed = nn.LayerNorm(d), nn.Linear(d, embed, bias=False)

    def forward(self, ids):
        x = self.norm(self.blocks(self.words(ids) + self.pos))
        return F.normalize(self.embed(x[:, -1]), dim=-1)


class Attention(nn.Module):
    """BERT's, with its residual and norm."""

    def __init__(self, d, seen, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = nn.Linear(d, d), nn.Linear(seen, d), nn.Linear(seen, d)
        self.output, self.norm = nn.Linear(d, d), nn.LayerNorm(d, eps=1e-12)

    def forward(self, x, seen):
        cut = lambda t: t.view(t.shape[0], t.shape[1], self.heads, -1).transpose(1, 2)
        out = F.scaled_dot_product_attention(cut(self.query(x)), cut(self.key(seen)), cut(self.value(seen)))
        return self.norm(x + self.output(out.transpose(1, 2).reshape(x.shape)))


class FeedForward(nn.Module):
    def __init__(self, d, mlp):
        super().__init__()
        self.inner, self.output, self.norm = nn.Linear(d, mlp), nn.Linear(mlp, d), nn.LayerNorm(d, eps=1e-12)

    def forward(self, x):
        return self.norm(x + self.output(F.gelu(self.inner(x))))


class QFormer(nn.Module):
    """BLIP-2's, with every second layer looking at the picture."""

    def __init__(self, d, depth, heads, mlp, seen, queries, words):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, queries, d))
        self.words = nn.Parameter(torch.randn(1, words, d)) if words else None
        self.own = nn.ModuleList(Attention(d, d, heads) for _ in range(depth))
        self.cross = nn.ModuleList(Attention(d, seen, heads) for _ in range((depth + 1) // 2))
        self.asking = nn.ModuleList(FeedForward(d, mlp) for _ in range(depth))
        self.reading = nn.ModuleList(FeedForward(d, mlp) for _ in range(depth if words else 0))

    def forward(self, sight):
        b, q = sight.shape[0], self.queries.shape[1]
        x = self.queries.expand(b, -1, -1)
        if self.words is not None:
            x = torch.cat([x, self.words.expand(b, -1, -1)], 1)
        for i, own in enumerate(self.own):
            x = own(x, x)
            asking = self.cross[i // 2](x[:, :q], sight) if i % 2 == 0 else x[:, :q]
            asking = self.asking[i](asking)
            x = asking if self.words is None else torch.cat([asking, self.reading[i](x[:, q:])], 1)
        return x


class Embedded(nn.Module):
    """The model inside the program."""

    def __init__(self, frames):
        super().__init__()
        self.frames = frames
        self.vit, self.norm = Vit(192, 6, 3, 768, 112, 8), nn.LayerNorm(192)
        self.qformer, self.proj = QFormer(192, 4, 3, 384, 192, 16, 0), nn.Linear(192, 128)

    def forward(self, pixels):
        x = self.norm(self.vit(pixels))
        x = x.reshape(x.shape[0] // self.frames, -1, x.shape[2])
        return F.normalize(F.normalize(self.proj(self.qformer(x)), dim=-1).mean(1), dim=-1)


def pixels(side, frames=1):
    return lambda batch: torch.randn(batch * frames, 3, side, side)


def tokens(t, d):
    return lambda batch: torch.randn(batch, t, d)


def ids(batch):
    return torch.full((batch, 77), 7)


ALL = ("f32", "bf16", "int8")
BYTES = {"f32": 4, "bf16": 2, "int8": 1}
# So many weights of f32 likebut keeps as halves, if they are some.
HALVED = 1 << 18
# Work, how the network is made, its input, the batches, what is multiplied.
WORKS = [
    ("vit-g-block-224", lambda: Block(1408, 16, 6144), tokens(257, 1408), (1, 4, 8), ALL),
    ("vit-g-block-364", lambda: Block(1408, 16, 6144), tokens(677, 1408), (1, 4, 8), ALL),
    ("qformer", lambda: QFormer(768, 12, 12, 3072, 1408, 32, 0), tokens(257, 1408), (1, 8), ("bf16",)),
    ("qformer-text", lambda: QFormer(768, 12, 12, 3072, 1408, 32, 32), tokens(257, 1408), (1, 8), ("bf16",)),
    ("clip-b32", lambda: Vit(768, 12, 12, 3072, 224, 32, 512), pixels(224), (1, 32), ALL),
    ("clip-b16", lambda: Vit(768, 12, 12, 3072, 224, 16, 512), pixels(224), (1, 32), ("bf16",)),
    ("clip-l14", lambda: Vit(1024, 24, 16, 4096, 224, 14, 768), pixels(224), (1, 32), ("bf16",)),
    ("clip-b32-text", lambda: Text(512, 12, 8, 2048, 512, 77), ids, (1, 32), ("bf16",)),
    ("clip-l14-text", lambda: Text(768, 12, 12, 3072, 768, 77), ids, (1, 32), ("bf16",)),
    ("embedded", lambda: Embedded(1), pixels(112), (1, 32), ("f32", "bf16")),
    ("embedded-clip", lambda: Embedded(2), pixels(112, 2), (1, 32), ("f32", "bf16")),
    ("vit-g-224", lambda: Vit(1408, 39, 16, 6144, 224, 14), pixels(224), (1, 4, 8), ALL),
    ("vit-g-364", lambda: Vit(1408, 39, 16, 6144, 364, 14), pixels(364), (1, 4, 8), ALL),
]
# What it is compared with.
WAYS = ("PyTorch eager", "PyTorch compiled", "OpenVINO", "ONNX Runtime")
# Gigabytes of weights: likebut and one other way at a time; PyTorch compiles one of its blocks, which are alike.
LARGE = ("vit-g-224", "vit-g-364")


def operations(net, x):
    """Multiplications and additions of one forward pass, those of matrix products alone."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(x)
    return counter.get_total_flops()


def weights(net, kind):
    """Bytes of weights that likebut reads in every forward pass, those of matrix products alone."""
    layers = [layer.weight.numel() for layer in net.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    return sum(n * (2 if kind == "f32" and n >= HALVED else BYTES[kind]) for n in layers)


def limits(ours):
    """What one large product reaches, what the units do, and what memory gives, for each kind of number."""
    return (
        {kind: ceiling(ours, "product", kind, 2 * math.prod(PRODUCT)) for kind in ALL},
        {kind: ceiling(ours, "units", kind, UNITS) for kind in ALL},
        {"f32": ceiling(ours, "memory", "f32", MEMORY)},
    )


def ceiling(ours, work, kind, count):
    """Billions of `count` that one run of a work makes a second; nothing where the program cannot say."""
    if not ours.knows(work, 1, kind):
        return None
    ms = statistics.median(settled(lambda: ours.run(work, 1, kind))[0] for _ in range(ROUNDS))
    ours.ask("forget")
    return count / ms / 1e6


def ways(ours, work, make, given, batch, threads, numbers, without):
    """Each way's name and a function that runs it once. Of a way that was dropped nothing is kept; one that is left
    out is not even made: to quantise a whole ViT-g takes minutes, and more memory than to run it."""
    kinds = lambda way: [kind for kind in numbers if f"{way} {kind}" not in without]
    for kind in numbers:
        yield f"likebut {kind}", lambda kind=kind: ours.run(work, batch, kind)
    frozen, x = lambda: make().eval().requires_grad_(False), given(batch)
    for kind, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        y = x.to(dtype) if x.is_floating_point() else x
        if kind in kinds("PyTorch eager"):
            yield f"PyTorch eager {kind}", torch_way(frozen().to(dtype), y)
        if kind in kinds("PyTorch compiled"):
            try:
                compiled = torch_way(compiled_form(work, frozen().to(dtype)), y)
                compiled()
            except Exception as error:
                print(f"PyTorch cannot compile {work}: {error}", file=sys.stderr)
            else:
                yield f"PyTorch compiled {kind}", compiled
            compiled = None
    yield from openvino_ways(work, frozen(), x, given, threads, kinds("OpenVINO"))
    yield from onnx_ways(work, frozen(), x, threads, kinds("ONNX Runtime"))


def torch_way(net, x):
    def run():
        with torch.inference_mode():
            return timed(lambda: net(x))

    return run


def compiled_form(work, net):
    torch.compiler.reset()
    if work not in LARGE:
        return torch.compile(net)
    for block in net.blocks:
        block.compile()
    return net


def openvino_ways(work, net, x, given, threads, kinds):
    if not openvino or not kinds:
        return
    try:
        with torch.no_grad():
            model = openvino.convert_model(net, example_input=x)
        models = {kind: (model, kind) for kind in kinds if kind != "int8"}
        if "int8" in kinds and nncf:
            inputs = nncf.Dataset([given(x.shape[0]).numpy() for _ in range(4)])
            kind = nncf.ModelType.TRANSFORMER
            with contextlib.redirect_stdout(sys.stderr):
                models["int8"] = (nncf.quantize(model.clone(), inputs, model_type=kind, subset_size=4), "f32")
    except Exception as error:  # whatever the converter meets: the row is left out, and said to be
        print(f"OpenVINO cannot convert {work}: {error}", file=sys.stderr)
        return
    del net, model
    for kind in list(models):
        model, precision = models.pop(kind)
        hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
        compiled = openvino.Core().compile_model(model, "CPU", hints)
        model = None
        yield f"OpenVINO {kind}", openvino_way(compiled, x)
        compiled = None


def openvino_way(compiled, x):
    request = compiled.create_infer_request()
    return lambda: timed(lambda: request.infer([x.numpy()], share_inputs=True))


def onnx_ways(work, net, x, threads, kinds):
    kinds = [kind for kind in kinds if kind != "bf16"]
    if not onnxruntime or not kinds:
        return
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        plain, small = f"{folder}/plain.onnx", f"{folder}/int8.onnx"
        try:
            torch.onnx.export(net, (x,), plain, input_names=["x"], dynamo=False, opset_version=17)
            net = None  # of a whole ViT-g there is no room for three while it is quantised
            if "int8" in kinds:
                # Weights that a matrix product reads; quantised when they are, inputs as they come.
                only = ["MatMul", "Gemm"]
                large = work in LARGE
                quantize_dynamic(plain, small, only, weight_type=QuantType.QInt8, use_external_data_format=large)
        except Exception as error:
            print(f"ONNX cannot hold {work}: {error}", file=sys.stderr)
            return
        data = {"x": x.numpy()}
        for kind in kinds:
            path = small if kind == "int8" else plain
            session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
            yield f"ONNX Runtime {kind}", lambda s=session: timed(lambda: s.run(None, data))
            session = None


def medians(runs, once):
    """Of each way its milliseconds by the clock and in processor time; all have run in turns."""
    rounds = [[once(run) for _, run in runs] for _ in range(ROUNDS + 1)][1:]
    median = lambda i, j: statistics.median(r[i][j] for r in rounds)
    return {name: (median(i, 0), median(i, 1)) for i, (name, _) in enumerate(runs)}


def rested(run):
    """A run after half a second, when others' threads spin no more."""
    time.sleep(0.5)
    return run()


def rows(runs, large):
    """Of each way its name, milliseconds by the clock and in processor time, and both divided by those of likebut
    with the same numbers. Of large networks each other way has turns with that alone, and is then dropped; who has
    nobody beside it runs by itself."""
    if not large:
        found = medians(list(runs), settled)
        return [(name, *ms, *over(ms, found[mine(name)])) for name, ms in found.items()]
    ours, others = {}, []
    for name, run in runs:
        if name == mine(name):
            ours[name] = (run, [])
            continue
        run_of_ours, seen = ours[mine(name)]
        pair = medians([(mine(name), run_of_ours), (name, run)], rested)
        del run  # before the next way takes its own memory
        seen.append(pair[mine(name)])
        others.append((name, *pair[name], *over(pair[name], pair[mine(name)])))
        print(f"{name}: {others[-1][3]:.2f}", file=sys.stderr, flush=True)
    for name, (run, seen) in ours.items():
        if not seen:
            seen.append(medians([(name, run)], rested)[name])
    median = lambda seen, i: statistics.median(ms[i] for ms in seen)
    return [(name, median(seen, 0), median(seen, 1), 1.0, 1.0) for name, (_, seen) in ours.items()] + others


def mine(name):
    return "likebut " + name.split()[-1]


def over(ms, ours):
    return ms[0] / ours[0], ms[1] / ours[1]


def beside_the_best(table):
    """From (work, batch, way, ms, times): per item, and whichever other way is fastest with the same numbers."""
    print("\n## Beside the best of the others, and how time grows with the batch\n")
    print("*Times* is the time of the fastest other way with the same numbers, divided by that of likebut.\n")
    print("| work | numbers | batch | ms an item | the fastest other | times |")
    print("|---|---|--:|--:|---|--:|")
    kinds = {}
    for work, batch, way, ms, times in table:
        name, kind = way.rsplit(" ", 1)
        kinds.setdefault((work, kind), {}).setdefault(batch, {})[name] = (ms, times)
    for (work, kind), batches in kinds.items():
        for batch, ways in batches.items():
            ms, _ = ways.pop("likebut")
            name = min(ways, key=lambda way: ways[way][1], default=None)
            other = f"{name} | {ways[name][1]:.2f}" if name else "- | -"
            print(f"| {work} | {kind} | {batch} | {ms / batch:.2f} | {other} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--least", type=int, default=1, help="the smallest batch")
    parser.add_argument("--most", type=int, default=32, help="the largest batch")
    parser.add_argument("--without", default="", help="ways not to run, as the tables name them")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    warnings.simplefilter("ignore")
    only = [name for name in a.only.split(",") if name]
    if unknown := set(only) - {work for work, *_ in WORKS}:
        parser.error(f"--only: no work is called {', '.join(sorted(unknown))}; there are {', '.join(w for w, *_ in WORKS)}")
    without = {name for name in a.without.split(",") if name}
    others = {f"{way} {kind}" for way in WAYS for kind in ALL}
    if unknown := without - others:
        parser.error(f"--without: nothing is called {', '.join(sorted(unknown))}; there are {', '.join(sorted(others))}")
    if not 1 <= a.least <= a.most or a.threads < 1:
        parser.error("--least, --most and --threads: at least 1, and --least no more than --most")
    ours = Ours(a.program, a.threads)
    print("# Frozen networks beside PyTorch, OpenVINO and ONNX Runtime\n")
    print("Written by `crates/nets/benches/infer.py`; do not edit.")
    print("Medians of seven rounds in which each way runs, and is timed, once it has run for a while; *times* is the time of the way")
    print("named divided by that of likebut with the same numbers, so that more than one is in our favour. Ways of a whole")
    print("ViT-g take turns with likebut two by two, after half a second's rest each.")
    if without:
        print(f"Not run: {', '.join(sorted(without))}.")
    print()
    machine(a.threads, {"PyTorch": torch, "OpenVINO": openvino, "ONNX Runtime": onnxruntime})
    print("| work | batch | how | ms | its CPU ms | times, by the clock | times, in CPU time |")
    print("|---|--:|---|--:|--:|--:|--:|")
    before = limits(ours)
    speeds, table = [], []
    for work, make, given, batches, numbers in WORKS:
        if only and work not in only:
            continue
        for batch in (b for b in batches if a.least <= b <= a.most):
            runs = ways(ours, work, make, given, batch, a.threads, numbers, without)
            found = rows(runs, work in LARGE)
            for name, clock, used, times, times_used in found:
                print(f"| {work} | {batch} | {name} | {clock:.1f} | {used:.1f} | {times:.2f} | {times_used:.2f} |", flush=True)
            table += [(work, batch, name, clock, times) for name, clock, _, times, _ in found]
            clocks = {name: clock for name, clock, *_ in found}
            ours.ask("forget")
            net = make().eval().requires_grad_(False)
            count = operations(net, given(1)) * batch
            for kind in numbers:
                ms = clocks[f"likebut {kind}"]
                speeds.append((work, batch, kind, count / ms / 1e6, weights(net, kind) / ms / 1e6))
            del net
    beside_the_best(table)
    # The machine may be at work on something else for the second that each takes: a limit is the most that was seen.
    alone, units, memory = ({k: v and max(v, now[k]) for k, v in then.items()} for then, now in zip(before, limits(ours)))
    print("\n## How far from the limit\n")
    print("The same runs of likebut as billions of multiplications and additions a second (those of matrix products), as")
    print("a share of what the processor's units do on numbers that never leave the registers, and of what likebut reaches")
    print(f"in one product alone, {PRODUCT[0]} × {PRODUCT[1]} by {PRODUCT[1]} × {PRODUCT[2]}. Then the billions of bytes a second at which the")
    print("weights come in, each read once, as a share of what memory gives where it is only read. Limits are measured before")
    print("the networks and after them, and are the most that was seen.\n")
    print("| work | batch | numbers | a second | of the units | of one product | weights, GB/s | of memory |")
    print("|---|--:|---|--:|--:|--:|--:|--:|")
    share = lambda part, whole: f"{part / whole:.2f}" if whole else "-"
    for kind in ALL:
        if units[kind]:
            print(f"| the units | | {kind} | {units[kind]:.0f} | 1.00 | | | |")
    for kind in ALL:
        print(f"| one product | | {kind} | {alone[kind]:.0f} | {share(alone[kind], units[kind])} | 1.00 | | |")
    print(f"| memory | | | | | | {memory['f32']:.1f} | 1.00 |")
    for work, batch, kind, speed, read in speeds:
        of = f"{share(speed, units[kind])} | {share(speed, alone[kind])} | {read:.1f} | {share(read, memory['f32'])}"
        print(f"| {work} | {batch} | {kind} | {speed:.0f} | {of} |")
    print("\n## How time grows with threads\n")
    print("Likebut alone, milliseconds by the clock, as many threads as the column says, in turns.\n")
    counts = sorted({1, *(1 << i for i in range(1, 8) if 1 << i < a.threads), a.threads})
    print("| work | batch | numbers | " + " | ".join(f"{n}" for n in counts) + " | times |")
    print("|---|--:|---|" + "--:|" * (len(counts) + 1))
    teams = [Ours(a.program, n) for n in counts]
    for work, batch, kind in ((w, b, k) for w, b, k, *_ in speeds if k != "int8"):
        rounds = [[settled(lambda: team.run(work, batch, kind))[0] for team in teams] for _ in range(ROUNDS + 1)][1:]
        ms = [statistics.median(r[i] for r in rounds) for i in range(len(teams))]
        print(f"| {work} | {batch} | {kind} | " + " | ".join(f"{v:.1f}" for v in ms) + f" | {ms[0] / ms[-1]:.2f} |", flush=True)
        for team in teams:
            team.ask("forget")


main()
