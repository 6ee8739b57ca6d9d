"""`likebut add` in turns with a PyTorch + Pillow loader, the way rclip and clip-retrieval do it.

    cargo build --release
    python crates/search/benches/add.py photos FOLDER_OF_PICTURES work/photos --n 2000
    python crates/search/benches/add.py clips FOLDER_OF_CLIPS work/clips --n 60
    python crates/search/benches/add.py model work/model
    python crates/search/benches/add.py run target/release/likebut --model work/model \
        --photos work/photos --clips work/clips --rounds 7 > results/add.md

*photos* are made of any pictures: enlarged to between 1 and 12 megapixels (evenly in the logarithm), with a
sensor's noise, as JPEG of quality 90; so their bytes and their detail per pixel are like a camera's.
*clips* are those of the folder, over and over, each under a name of its own.
*model* is CLIP ViT-B/32 with random weights, which both sides read.

The peer reads with Pillow (clips with PyAV: as many frames as likebut looks at, evenly spread, each sought from
the key frame before it) in as many worker processes as there are threads, hands batches of 64 to PyTorch, and writes one array. likebut
also digests every file, makes a thumbnail of it and keeps everything in its library.
Both start from nothing in each round; the files are in the page cache. Memory is the largest sum of
proportional set sizes over all processes of a side, looked at ten times a second.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
SIDE = 224
# What likebut looks at of a clip with a published model.
FRAMES = 8


def photos(source, out, n, seed=0):
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(seed)
    names = sorted(p for p in Path(source).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    out.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        picture = Image.open(names[i % len(names)]).convert("RGB")
        scale = (12 ** rng.random() * 1e6 / (picture.width * picture.height)) ** 0.5
        size = (round(picture.width * scale), round(picture.height * scale))
        pixels = np.asarray(picture.resize(size, Image.LANCZOS)).astype(np.int16)
        grain = rng.integers(-6, 7, (size[1], size[0], 1), np.int16)
        Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(out / f"{i:05}.jpg", quality=90)


def clips(source, out, n):
    endings = (".mp4", ".mov", ".mkv", ".webm", ".avi")
    names = sorted(p for p in Path(source).rglob("*") if p.suffix.lower() in endings)
    out.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        shutil.copy(names[i % len(names)], out / f"{i:03}{names[i % len(names)].suffix}")


def model(out):
    import torch
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    config = CLIPConfig()
    # OpenAI's are halves, saved as f32.
    CLIPModel(config).half().float().save_pretrained(out)
    view = {"crop_size": SIDE, "size": {"shortest_edge": SIDE}, "do_center_crop": True, "do_resize": True,
            "do_normalize": True, "do_rescale": True, "do_convert_rgb": True, "resample": 3,
            "rescale_factor": 1 / 255, "image_mean": MEAN, "image_std": STD,
            "image_processor_type": "CLIPImageProcessor"}
    (out / "preprocessor_config.json").write_text(json.dumps(view))
    # Merges of random pairs of letters: as many as CLIP has, and words are not what is measured.
    letters = [chr(c) for c in [*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324)]]
    pairs = [f"{a} {b}" for a in letters for b in letters] [: config.text_config.vocab_size - 2 - 2 * 256]
    (out / "merges.txt").write_text("#version: 0.2\n" + "\n".join(pairs) + "\n")


# The peer, as a program of its own: it is started afresh in each round.

def peer(folder, weights, out, threads, numbers):
    import numpy as np
    import torch
    from PIL import Image
    from transformers import CLIPVisionModelWithProjection

    torch.set_num_threads(threads)
    files = sorted(p for p in Path(folder).rglob("*") if p.is_file())

    class Files(torch.utils.data.Dataset):
        def __len__(self):
            return len(files)

        def __getitem__(self, i):
            still = files[i].suffix in (".jpg", ".png")
            seen = [Image.open(files[i])] if still else frames_of(files[i])
            return torch.stack([self.view(picture.convert("RGB")) for picture in seen])

        def view(self, picture):
            scale = SIDE / min(picture.size)
            size = [max(SIDE, int(side * scale)) for side in picture.size]
            left, top = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
            picture = picture.resize(size, Image.BICUBIC).crop((left, top, left + SIDE, top + SIDE))
            pixels = np.asarray(picture, dtype=np.float32) / 255
            return torch.from_numpy(((pixels - MEAN) / STD).astype(np.float32).transpose(2, 0, 1))

    net = CLIPVisionModelWithProjection.from_pretrained(weights).eval()
    loader = torch.utils.data.DataLoader(Files(), batch_size=64, num_workers=threads, collate_fn=list)
    rows = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=numbers == "bf16"):
        for items in loader:
            frames = torch.cat(items)
            vectors = torch.cat([net(part).image_embeds.float() for part in frames.split(64)])
            for own in torch.nn.functional.normalize(vectors).split([len(item) for item in items]):
                rows.append(torch.nn.functional.normalize(own.mean(0, keepdim=True)).numpy())
    np.save(out, np.concatenate(rows))


def frames_of(path):
    import av

    out = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        length = container.duration / av.time_base if container.duration else 0.0
        first = float((stream.start_time or 0) * stream.time_base)
        for i in range(FRAMES):
            wanted = first + length * (i + 0.5) / FRAMES
            container.seek(int(wanted / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                if frame.time is not None and frame.time >= wanted - 1e-3:
                    break
            out.append(frame.to_image())
    return out


def memory_of(root):
    """Proportional set size of a process and its children, bytes."""
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                waiting += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except (OSError, ValueError):
            continue
    return total


def timed(command, env=None):
    """Seconds by the clock, seconds of processor time, bytes at most."""
    before = os.times()
    began, most = time.perf_counter(), 0
    log = tempfile.TemporaryFile()
    process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=log, stderr=log)
    done = threading.Event()
    peak = [0]

    def watch():
        while not done.wait(0.1):
            peak[0] = max(peak[0], memory_of(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    after = os.times()
    if code not in (0, 3, 4):
        log.seek(0)
        sys.exit(f"{command[0]} ended with {code}: {log.read()[-2000:].decode()}")
    busy = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    return seconds, busy, peak[0]


def run(args):
    ways = {}
    read_with = {"photos": "Pillow", "clips": "PyAV"}
    here = [sys.executable, __file__, "peer"]
    for numbers in args.precision.split(","):
        ways[f"PyTorch + {{}}, {numbers}"] = lambda folder, out, n=numbers: timed(
            [*here, folder, str(args.model), out + ".npy", str(args.threads), n])
    for numbers in args.precision.split(","):
        ways[f"likebut, {numbers}"] = lambda folder, out, n=numbers: timed(
            [args.program, "add", folder, "--library", out, "--model", str(args.model), "--method", "sum",
             "--precision", n, "--jobs", str(args.threads), "--quiet"])
    model = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "")
    print("# `likebut add` beside a PyTorch loader\n")
    print("Printed by `crates/search/benches/add.py run`; what each side does stands at the head of that file.")
    print(f"{model} ({platform.machine()}), {args.threads} threads, {args.rounds} rounds in turns, medians; CLIP ViT-B/32 with random")
    print(f"weights, {FRAMES} frames of each clip.\n")
    for what, folder in (("photos", args.photos), ("clips", args.clips)):
        if folder is None:
            continue
        files = [p for p in Path(folder).rglob("*") if p.is_file()]
        megabytes = sum(p.stat().st_size for p in files) / 1e6
        seen = {way: [] for way in ways}
        for turn in range(args.rounds):
            for way, go in ways.items():
                with tempfile.TemporaryDirectory() as work:
                    seen[way].append(go(str(folder), f"{work}/out"))
                    print(f"{what} {turn} {way.format(read_with[what])}: {seen[way][-1]}", file=sys.stderr)
        print(f"## {len(files)} {what}, {megabytes:.0f} MB\n")
        print("| way | seconds | files per second | of the best peer | cores busy | memory, MB |")
        print("|---|---:|---:|---:|---:|---:|")
        middle = {way: [statistics.median(column) for column in zip(*rows)] for way, rows in seen.items()}
        best = min(row[0] for way, row in middle.items() if not way.startswith("likebut"))
        for way, (seconds, busy, peak) in middle.items():
            print(f"| {way.format(read_with[what])} | {seconds:.1f} | {len(files) / seconds:.1f} | {best / seconds:.2f} × | {busy / seconds:.2f} | {peak / 1e6:.0f} |")
        print()


def main():
    if sys.argv[1] == "peer":
        return peer(*sys.argv[2:5], int(sys.argv[5]), sys.argv[6])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = parser.add_subparsers(dest="way", required=True)
    for name, n in (("photos", 2000), ("clips", 60)):
        way = ways.add_parser(name)
        way.add_argument("source", type=Path)
        way.add_argument("out", type=Path)
        way.add_argument("--n", type=int, default=n)
    ways.add_parser("model").add_argument("out", type=Path)
    way = ways.add_parser("run")
    way.add_argument("program")
    way.add_argument("--model", type=Path, required=True)
    way.add_argument("--photos", type=Path)
    way.add_argument("--clips", type=Path)
    way.add_argument("--rounds", type=int, default=7)
    way.add_argument("--threads", type=int, default=os.cpu_count())
    way.add_argument("--precision", default="f32,bf16", help="of both sides")
    args = parser.parse_args()
    if args.way == "run":
        run(args)
    elif args.way == "model":
        model(args.out)
    else:
        {"photos": photos, "clips": clips}[args.way](args.source, args.out, args.n)


if __name__ == "__main__":
    main()
