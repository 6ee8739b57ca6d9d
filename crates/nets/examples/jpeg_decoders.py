"""Pillow's pixels of photographs, for jpeg_decoders.rs.

    python3 jpeg_decoders.py FOLDER PHOTO…     writes FOLDER/0000.ppm … and FOLDER/list.txt

Pillow's wheels decode by libjpeg-turbo, as everything does that published models were trained with.
"""

import sys
from pathlib import Path

from PIL import Image, ImageOps, features

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
names = []
for i, path in enumerate(sys.argv[2:]):
    image = Image.open(path)
    assert image.format == "JPEG", path
    ImageOps.exif_transpose(image).convert("RGB").save(folder / f"{i:04}.ppm")
    names.append(str(Path(path).resolve()))
(folder / "list.txt").write_text("\n".join(names) + "\n")
print(f"{len(names)} photographs, libjpeg-turbo {features.version('libjpeg_turbo')}")
