#!/bin/sh
# Writes what each program begins from into fuzz/corpus, from the little files in fixtures.
set -eu
cd "$(dirname "$0")"
seed() { # program, name in the corpus, first line; the rest comes from standard input
    mkdir -p "corpus/$1"
    { printf '%s\n' "$3"; cat; } > "corpus/$1/$2"
}
(cd ../fixtures/sets && find . -type f ! -name gallery.csv ! -name questions.csv) | sed 's|^\./||' | while read -r f; do
    seed sets "$(echo "$f" | tr / -)" "$f" < "../fixtures/sets/$f"
done

seed questions jsonl mine.jsonl <<'EOF'
{"id": "q1", "reference": "a.jpg", "text": "in red", "target": "b.jpg"}
{"reference": "b.jpg", "text": "in blue", "targets": ["a.jpg", "c.jpg"], "negatives": ["d.jpg"], "change": "explicit", "slice": "colour"}
EOF
seed questions csv mine.csv <<'EOF'
id,reference,text,targets,negatives,change,slice
q1,a.jpg,"in ""red"", then",b.jpg|c.jpg,d.jpg,implied,colour
EOF
seed questions coco mine.json <<'EOF'
{"images": [{"id": 1, "file_name": "a.jpg"}, {"id": "2", "file_name": "b.jpg", "caption": "b"}], "annotations": [{"id": 1, "reference_id": 1, "target_id": "2", "text": "in red"}]}
EOF
seed questions gallery gallery.test.jsonl <<'EOF'
{"name": "a", "path": "a.png", "caption": "a", "split": "test"}
{"name": "b", "path": "c.mp4@00:41-00:45"}
EOF
seed questions triplets triplets.test.jsonl <<'EOF'
{"id": "q1", "reference": "a", "text": "make it blue", "targets": ["b"], "subset": ["a", "b"], "change": "explicit", "slice": "colour"}
EOF
shard=$(mktemp -d)
printf 'a' > "$shard/k.ref.jpg"; printf 'b' > "$shard/k.tgt.jpg"; printf '{"text": "in red"}' > "$shard/k.json"
(cd "$shard" && tar --format=ustar -cf - k.ref.jpg k.tgt.jpg k.json) | head -c 4096 | seed questions tar mine.tar
(cd "$shard" && tar --format=pax -cf - k.ref.jpg k.tgt.jpg k.json) | head -c 8192 | seed questions pax mine.tar
rm -r "$shard"

printf 'q1 Q0 a 1 0.5 me\nq1 Q0 b 2 0.25 me\n' | seed answers trec run.trec
printf '{"q1": {"a": 0.5, "b": -1}}' | seed answers json run.trec
printf 'q1 0 a 1\nq1 0 b 0\n' | seed answers qrels qrels.txt
printf '{"q1": {"a": 1, "b": 0}}' | seed answers qrels-json qrels.txt
printf '{"version": "rc2", "metric": "recall", "1": ["a", "b"]}' | seed answers cirr sheet.json
printf '{"0": [1, 2, 3], "1": [4]}' | seed answers circo sheet.json
seed answers card card.json <<'EOF'
{"card": 1, "program": "likebut", "machine": "m", "ask": {"set": "world", "methods": ["sum"]}, "model": null, "exams": []}
EOF

header="{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"
printf '\223NUMPY\001\000\073\000%s0123456789abcdef' "$header" | seed vectors npy v.npy
printf 'name,x,y\na,0.5,-1\n"b,c",2,3\n' | seed vectors csv v.csv
printf '{"name":"a","vector":[0.5,-1]}\n{"id":"b","vectors":[[2,3]]}\n' | seed vectors jsonl v.jsonl
seed vectors pth v.pth < ../fixtures/golden/checkpoints/embeddings.pth
seed vectors safetensors v.safetensors < ../fixtures/golden/checkpoints/kinds.safetensors

mkdir -p corpus/checkpoint corpus/pickle corpus/manifest
find ../fixtures/golden/checkpoints -maxdepth 1 -type f -size -64k -exec cp {} corpus/checkpoint/ \;
for f in corpus/checkpoint/*; do
    case "$f" in *.pth|*.pt|*.ckpt|*.bin)
        # The pickle within, where unzip is at hand.
        unzip -p "$f" '*data.pkl' > "corpus/pickle/$(basename "$f")" 2>/dev/null || rm -f "corpus/pickle/$(basename "$f")";;
    esac
done
find ../models ../fixtures -name 'manifest*.json' -o -name 'model.json' | while read -r f; do
    cp "$f" "corpus/manifest/$(echo "$f" | tr / -)"
done
echo "corpora:"; for d in corpus/*; do echo "  $d: $(find "$d" -type f | wc -l) files"; done
