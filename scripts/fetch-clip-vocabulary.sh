#!/usr/bin/env bash
# Makes vocab.json and merges.txt of CLIP (49,408 pieces) out of the file that the
# package open_clip_torch 3.3.0 holds (bpe_simple_vocab_16e6.txt.gz, MIT, OpenAI),
# and with them checks internal/tokenizer:
#
#   scripts/fetch-clip-vocabulary.sh .build/clip-vocabulary
#   FLOPS_TEST_CLIP_VOCABULARY=$PWD/.build/clip-vocabulary go test ./internal/tokenizer
set -euo pipefail
out=${1:?usage: scripts/fetch-clip-vocabulary.sh FOLDER}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m pip download --quiet --no-deps --dest "$tmp" open_clip_torch==3.3.0
mkdir -p "$out"
python3 - "$tmp"/*.whl "$out" <<'PY'
import gzip, hashlib, json, pathlib, sys, zipfile
raw = zipfile.ZipFile(sys.argv[1]).read("open_clip/bpe_simple_vocab_16e6.txt.gz")
want = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
if hashlib.sha256(raw).hexdigest() != want:
    sys.exit("fetch-clip-vocabulary: the package holds another file than expected")
merges = gzip.decompress(raw).decode().split("\n")[1:49152 - 256 - 2 + 1]
chars = [chr(b) for b in [*range(33, 127), *range(161, 173), *range(174, 256)]]
chars += [chr(256 + i) for i in range(256 - len(chars))]
words = chars + [c + "</w>" for c in chars] + [m.replace(" ", "") for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
out = pathlib.Path(sys.argv[2])
(out / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}, ensure_ascii=False))
(out / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
print(f"{len(words)} pieces, {len(merges)} merges in {out}")
PY
