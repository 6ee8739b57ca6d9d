"""The reference's side of the full-size comparison: see blip2_full_size.rs.

    python3 blip2_full_size.py write   FOLDER                 random weights, as Salesforce/blip2-itm-vit-g-coco has them
    python3 blip2_full_size.py vectors FOLDER PICTURE…        what transformers makes of pictures and texts, in f32

FOLDER must lie outside the repository: the weights are 2.3 GB. Each step is a process of its own, so that
the weights are in memory once; the second needs 6 GB.
Needs torch, transformers, safetensors, Pillow 11.3, numpy.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from transformers import Blip2Config, Blip2ForImageTextRetrieval

SIDE = 364
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def config():
    return Blip2Config(
        vision_config=dict(image_size=SIDE),  # EVA ViT-g/14: 1408 wide, 39 deep, by default
        qformer_config=dict(vocab_size=30523, use_qformer_text_input=True),
        image_text_hidden_size=256,
    )


@torch.no_grad()
def write(folder):
    # bfloat16 from the start; a parameter at a time is drawn in f32.
    torch.set_default_dtype(torch.bfloat16)
    model = Blip2ForImageTextRetrieval(config()).to(torch.bfloat16)
    torch.set_default_dtype(torch.float32)
    generator = torch.Generator().manual_seed(2026)
    for name, p in model.named_parameters():
        x = torch.randn(p.shape, generator=generator)
        if "norm" in name.lower():
            x = 1 + 0.2 * x if name.endswith("weight") else 0.2 * x
        elif p.dim() == 2 and "embeddings" not in name:
            x = x / p.shape[1] ** 0.5
        elif p.dim() == 4:
            x = x / (p.shape[1] * p.shape[2] * p.shape[3]) ** 0.5
        else:
            x = 0.5 * x
        p.copy_(x)
    model.save_pretrained(folder, max_shard_size="8GB")
    numbers = sum(p.numel() for p in model.parameters())
    print(f"{numbers} numbers in {sum(1 for _ in model.parameters())} tensors")


def squash(path):
    image = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.BICUBIC)
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
    return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


@torch.no_grad()
def vectors(folder, pictures):
    began = time.time()
    model = Blip2ForImageTextRetrieval.from_pretrained(folder, dtype=torch.float32).eval()
    print(f"loaded in {time.time() - began:.1f} s")
    pixels = torch.stack([squash(p) for p in pictures])
    generator = torch.Generator().manual_seed(7)
    # The vocabulary is not part of a checkpoint, so a text is ids: [CLS], words, [SEP], padding.
    lens = [6 + 3 * i % 17 for i in range(len(pictures))]
    ids = torch.zeros(len(pictures), max(lens), dtype=torch.long)
    for row, n in zip(ids, lens):
        row[0], row[1 : n - 1], row[n - 1] = 101, torch.randint(1000, 30522, (n - 2,), generator=generator), 102
    mask = (ids > 0).long()
    out = {"pixels": pixels, "ids": ids.float(), "lens": torch.tensor(lens).float()}
    unit = lambda x: F.normalize(x, dim=-1)
    rows = {"image_tokens": [], "composed_tokens": [], "itm": []}
    for i in range(len(pictures)):
        began = time.time()
        seen = model.vision_model(pixels[i : i + 1]).last_hidden_state
        if i == 0:
            out["seen"] = seen
        ones = torch.ones(seen.shape[:2], dtype=torch.long)
        q = model.query_tokens
        looked = model.qformer(query_embeds=q, encoder_hidden_states=seen, encoder_attention_mask=ones).last_hidden_state
        both = model.embeddings(input_ids=ids[i : i + 1], query_embeds=q)
        whole = torch.cat([torch.ones(1, q.shape[1], dtype=torch.long), mask[i : i + 1]], 1)
        heard = model.qformer(
            query_embeds=both, query_length=q.shape[1], attention_mask=whole,
            encoder_hidden_states=seen, encoder_attention_mask=ones,
        ).last_hidden_state[:, : q.shape[1]]
        rows["image_tokens"].append(unit(model.vision_projection(looked)))
        rows["composed_tokens"].append(unit(model.text_projection(heard)))
        rows["itm"].append(model.itm_head(heard).mean(1))
        print(f"{pictures[i].name}: {time.time() - began:.1f} s", flush=True)
    out |= {k: torch.cat(v) for k, v in rows.items()}
    read = model.qformer(query_embeds=model.embeddings(input_ids=ids), query_length=0, attention_mask=mask)
    out["text"] = unit(model.text_projection(read.last_hidden_state[:, 0]))
    out["itc"] = torch.einsum("bqe,te->bqt", out["image_tokens"], out["text"]).amax(1)
    about = {"pictures": "\n".join(str(p) for p in pictures)}
    save_file({k: v.clone().contiguous() for k, v in out.items()}, folder / "vectors.safetensors", metadata=about)


folder = Path(sys.argv[2])
if sys.argv[1] == "write":
    write(folder)
else:
    vectors(folder, [Path(p) for p in sys.argv[3:]])
