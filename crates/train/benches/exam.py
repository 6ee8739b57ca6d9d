"""The same work in NumPy and faiss: python exam.py QUESTIONS ITEMS LENGTH prints rows of a table."""

import sys
import time

import numpy as np

questions, items, length = map(int, sys.argv[1:])
dice = np.random.default_rng(1)


class Timed:
    """Wall and processor time of all cores, in milliseconds."""

    def __init__(self):
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def __str__(self):
        wall, processor = time.perf_counter() - self.wall, time.process_time() - self.processor
        return f"{1e3 * wall:.0f} | {1e3 * processor:.0f}"


def unit(n):
    x = dice.standard_normal((n, length), dtype=np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


gallery, asked = unit(items), unit(questions)
target = (np.arange(questions) * 13 + 1) % items
size = f"| {questions} × {items} × {length} |"

start = Timed()
ranks = []
for at in range(0, questions, 128):
    scores = asked[at : at + 128] @ gallery.T
    own = scores[np.arange(len(scores)), target[at : at + 128]]
    ranks.append((scores >= own[:, None]).sum(1))
print(f"{size} NumPy {np.__version__}, ranks by counting | | {start} |")

start = Timed()
for at in range(0, questions, 128):
    np.argsort(-(asked[at : at + 128] @ gallery.T), axis=1)
print(f"{size} NumPy, everything sorted | | {start} |")

try:
    import faiss
except ImportError:
    sys.exit()
start = time.perf_counter()
index = faiss.IndexFlatIP(length)
index.add(gallery)
kept = time.perf_counter() - start
start = Timed()
index.search(asked, 50)
print(f"{size} faiss {faiss.__version__} IndexFlatIP, first 50 only | {1e3 * kept:.0f} | {start} |")
