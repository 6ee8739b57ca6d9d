"""The same work in NumPy and faiss: python exam.py QUESTIONS ITEMS LENGTH prints rows of a table."""

import sys
import time

import numpy as np

questions, items, length = map(int, sys.argv[1:])
dice = np.random.default_rng(1)


def unit(n):
    x = dice.standard_normal((n, length), dtype=np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


gallery, asked = unit(items), unit(questions)
target = (np.arange(questions) * 13 + 1) % items
size = f"| {questions} × {items} × {length} |"

start = time.perf_counter()
ranks = []
for at in range(0, questions, 128):
    scores = asked[at : at + 128] @ gallery.T
    own = scores[np.arange(len(scores)), target[at : at + 128]]
    ranks.append((scores >= own[:, None]).sum(1))
print(f"{size} NumPy {np.__version__}, ranks by counting | | {1e3 * (time.perf_counter() - start):.0f} |")

start = time.perf_counter()
for at in range(0, questions, 128):
    np.argsort(-(asked[at : at + 128] @ gallery.T), axis=1)
print(f"{size} NumPy, everything sorted | | {1e3 * (time.perf_counter() - start):.0f} |")

try:
    import faiss
except ImportError:
    sys.exit()
start = time.perf_counter()
index = faiss.IndexFlatIP(length)
index.add(gallery)
kept = time.perf_counter() - start
start = time.perf_counter()
index.search(asked, 50)
print(f"{size} faiss {faiss.__version__} IndexFlatIP, first 50 only | {1e3 * kept:.0f} | {1e3 * (time.perf_counter() - start):.0f} |")
