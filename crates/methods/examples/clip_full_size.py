"""The references' side of the full-size comparison: see clip_full_size.rs.

    python3 clip_full_size.py write   KIND FOLDER           random weights, as the published folders have them
    python3 clip_full_size.py vectors KIND FOLDER PICTURE…  what the reference makes of pictures and texts, in f32

KIND is l14 (transformers' CLIPModel, as openai/clip-vit-large-patch14), h14, g14 or bigg14 (open_clip, as
laion/CLIP-ViT-H-14…, …-g-14… and …-bigG-14…). FOLDER must lie outside the repository: weights are bf16, 0.9, 2, 2.7 and 5 GB.
Each step is a process of its own, so that the weights are in memory once; the second holds them as f32.
Needs torch, transformers, open_clip, safetensors, Pillow 11.3, numpy.
"""

import gzip
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

SIDE = 224
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
OPEN_CLIP = {"h14": "ViT-H-14", "g14": "ViT-g-14", "bigg14": "ViT-bigG-14"}
TEXTS = [
    "a photo of a cat", "make the ball red", "The SAME dog, but on a beach at sunset!", "it’s naïve café — “quoted”",
    "two   spaces\tand a tab", "👍🏽 12345 & more", "", "a very long sentence about nothing at all " * 20,
]


def draw(model):
    """Weights that keep their size through sixty layers."""
    generator = torch.Generator().manual_seed(2026)
    with torch.no_grad():
        for name, p in model.named_parameters():
            x = torch.randn(p.shape, generator=generator)
            if p.ndim >= 2 and "embedding" not in name:
                fan = p[0].numel() if name not in ("visual.proj", "text_projection") else p.shape[0]
                x = x * fan**-0.5
            elif name.startswith("logit"):
                x = torch.full_like(x, 4.6)
            elif p.ndim == 1 and name.endswith("weight"):
                x = 1 + 0.2 * x
            else:
                x = 0.1 * x
            p.copy_(x)
    print(sum(p.numel() for p in model.parameters()), "numbers in", sum(1 for _ in model.parameters()), "tensors")


def build(kind):
    if kind == "l14":
        from transformers import CLIPConfig, CLIPModel

        config = CLIPConfig(
            text_config=dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12),
            vision_config=dict(
                hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14
            ),
            projection_dim=768,
        )
        return CLIPModel(config)
    import open_clip

    return open_clip.create_model(OPEN_CLIP[kind], precision="fp32", pretrained=None)


def list_of_merges():
    from open_clip.tokenizer import default_bpe

    return default_bpe()


def write(kind, folder):
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_default_dtype(torch.bfloat16)
    model = build(kind).to(torch.bfloat16)
    torch.set_default_dtype(torch.float32)
    draw(model)
    if kind == "l14":
        model.save_pretrained(folder)
        lines = gzip.decompress(Path(list_of_merges()).read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines) + "\n", encoding="utf-8")
        view = dict(
            do_resize=True, size={"shortest_edge": SIDE}, resample=3, do_center_crop=True,
            crop_size={"height": SIDE, "width": SIDE}, do_normalize=True, image_mean=MEAN, image_std=STD,
        )
        (folder / "preprocessor_config.json").write_text(json.dumps(view))
    else:
        import open_clip

        state = {k: v.contiguous() for k, v in model.state_dict().items() if k != "attn_mask"}
        save_file(state, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
        config = dict(model_cfg=open_clip.get_model_config(OPEN_CLIP[kind]), preprocess_cfg=dict(mean=MEAN, std=STD))
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        shutil.copy(list_of_merges(), folder / "bpe_simple_vocab_16e6.txt.gz")


def centre_crop(image):
    w, h = image.size
    long = lambda a, b: int(SIDE * a / b)
    w, h = (SIDE, long(h, w)) if w <= h else (long(w, h), SIDE)
    image = image.resize((w, h), Image.BICUBIC)
    # As torchvision rounds, which OpenAI, OpenCLIP and the present processors of transformers use.
    left, top = round((w - SIDE) / 2), round((h - SIDE) / 2)
    x = torch.from_numpy(np.array(image.crop((left, top, left + SIDE, top + SIDE)))).permute(2, 0, 1).float() / 255
    return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


@torch.no_grad()
def vectors(kind, folder, pictures):
    (folder / "pictures").mkdir(exist_ok=True)
    pixels = []
    for i, path in enumerate(pictures):
        # As PNG, so that no decoder's opinion comes between.
        image = Image.open(path).convert("RGB")
        image.save(folder / "pictures" / f"{i:02}.png")
        pixels.append(centre_crop(image))
    began = time.time()
    if kind == "l14":
        from transformers import CLIPModel, CLIPTokenizer

        model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
        merges = [tuple(l.split()) for l in (folder / "merges.txt").read_text(encoding="utf-8").split("\n")[1:-1]]
        sys.path.insert(0, str(Path(__file__).parents[3] / "fixtures" / "golden"))
        from words import clip_vocab

        tokenizer = CLIPTokenizer(vocab=clip_vocab(merges), merges=merges)
        tokens = tokenizer(TEXTS, truncation=True, max_length=77, padding=True, return_tensors="pt")
        see = lambda x: model.visual_projection(model.vision_model(x).pooler_output)
        said = model.text_projection(model.text_model(**tokens).pooler_output)
    else:
        import open_clip

        model = build(kind).eval()
        # Copied into f32 one by one: never twice in memory.
        model.load_state_dict(load_file(folder / "open_clip_model.safetensors"), strict=True)
        see = model.encode_image
        said = model.encode_text(open_clip.get_tokenizer(OPEN_CLIP[kind])(TEXTS))
    print(f"loaded in {time.time() - began:.1f} s")
    began = time.time()
    seen = torch.cat([see(p[None]) for p in pixels])
    print(f"{(time.time() - began) / len(pixels):.2f} s a picture")
    unit = torch.nn.functional.normalize
    save_file({"pictures": unit(seen).contiguous(), "texts": unit(said).contiguous()}, folder / "vectors.safetensors")
    (folder / "texts.json").write_text(json.dumps(TEXTS))


if __name__ == "__main__":
    step, kind, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if step == "write":
        write(kind, folder)
    else:
        vectors(kind, folder, [Path(p) for p in sys.argv[4:]])
