"""Writes internal/tokenizer/testdata: a byte-pair vocabulary and two SentencePiece
models of our own, small, with what transformers makes of many strings.

    pip install transformers==5.24.0 tokenizers sentencepiece protobuf
    python scripts/make-tokenizer-vectors.py internal/tokenizer/testdata

The vocabularies are learned from the text below.

    python scripts/make-tokenizer-vectors.py DIR --words FILE

prints what the tokenizer in DIR makes of a JSON list of texts: of vocabularies
that are not ours to check in.
"""
import argparse
import json
import os
import pathlib
import random
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import sentencepiece
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

TEXT = """a photo of a cat. a photo of a dog. a photo of a bird on a branch. a drawing of a red square beside a blue circle.
the cat's house is small; they're there, we've seen it, I'll go, she'd come. a blurry photo of the big road in the snow.
a satellite photo of a forest, a river, a harbor and 3 ships. the number 12345. a close-up of a traffic sign: stop!
ein Foto von einem Hund, une photo d'un chien, über straße naïve café résumé. 猫の写真 кот собака σκύλος ΣΚΥΛΟΣ.
texture of stripes, dots, checks and waves. an origami dog. a bright photo of the clean cat. itap of my cup."""

STRINGS = [
    "a photo of a cat.", "A Photo Of A DOG!", "", " ", "\t\n \r\n", "  a   photo\tof\na   cat  ", "it's the dog's; they're, we've, I'll, she'd, I'm, 'S",
    "IT'S DON'T 's", "don’t “quote” — dash", "café naïve résumé", "café", "ÜBER STRASSE straße İstanbul ǅ", "ΑΣ σς ΟΔΟΣ ΣΚΥΛΟΣ.", "😀 smile 👍🏽",
    "👨‍👩‍👧 family", "12345 3.14 1,000 2nd 4x4", "½ ² Ⅷ ٣٤", "ab12cd34", "!!! ??? ... ---", "a.b,c;d:e!f?g", "C++ C# $5.00 100% #tag @user a_b", "&lt;b&gt; &amp; &#233;",
    "<|startoftext|> a cat <|endoftext|>", "<|ENDOFTEXT|>x", "x<|endoftext|>y <|startoftext|><|endoftext|>", "猫の写真", "고양이 사진", "кот и СОБАКА", "صورة قطة", "हिन्दी फोटो",
    "ﬁne ＦＵＬＬ ™", "a b c​d\ufeffe", "x\x00y\x07z", "supercalifragilisticexpialidocious", "a" * 70, "word " * 90, "1 2 3 4 5 6 7 8 9 0 " * 8, "a photo of a {}.",
    "a\x1cb a\x85b a᠎b a\x0bb", "ᾼ K Å ẞ Ⓐ ꭰ a\u0345 1⃣", "▁a ▁ photo▁of", "a </s> cat</s>dog <unk> x<unk>", "</s>", " </s>  cat", "<unk>", "'''", "''s '",
    "cat\u0301\u0302 dog\u0328", "ͅ", "ſ ß ŉ ǰ ΐ", "a​</s>", "cat — dog – bird", "①②③", "ｶﾞ", "x" * 40 + "'s", "~`!@#$%^&*()_+-={}[]|\\:\";'<>?,./",
]


def strings():
    """STRINGS, and random mixtures of their characters."""
    r = random.Random(1)
    chars = sorted({c for s in STRINGS for c in s} - {"\ufffd"})
    words = sorted({w for s in STRINGS + [TEXT] for w in s.split()})
    out = list(STRINGS)
    for _ in range(60):
        out.append("".join(r.choice(chars) for _ in range(r.randint(1, 20))))
        out.append(r.choice([" ", "  ", "", "\t"]).join(r.choice(words) for _ in range(r.randint(1, 8))))
    return out


def clip(out):
    t = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.train_from_iterator([TEXT.lower()] * 3, trainers.BpeTrainer(vocab_size=560, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), end_of_word_suffix="</w>", show_progress=False))
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in json.loads(t.to_str())["model"]["merges"]]
    chars = [chr(b) for b in [*range(33, 127), *range(161, 173), *range(174, 256)]]
    chars += [chr(256 + i) for i in range(256 - len(chars))]
    words = list(dict.fromkeys(chars + [c + "</w>" for c in chars] + ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]))
    vocab = {w: i for i, w in enumerate(words)}
    hf = transformers.CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=32)
    d = out / "clip"
    d.mkdir(parents=True, exist_ok=True)
    hf.save_pretrained(d)
    whole = json.loads((d / "tokenizer.json").read_text())
    for name, spelling in [("pairs", [list(m) for m in merges]), ("spaced", [" ".join(m) for m in merges])]:
        whole["model"]["merges"] = spelling
        (out / f"clip-{name}.json").write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n")
    (d / "tokenizer.json").unlink()
    (d / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False, separators=(",", ":")) + "\n")
    (d / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n")
    vectors(out / "clip" / "vectors.json", hf, 32)


def siglip(out, name, **how):
    d = out / name
    d.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        lines = pathlib.Path(tmp, "text.txt")
        lines.write_text(TEXT.lower() + "\n")
        sentencepiece.SentencePieceTrainer.train(input=str(lines), model_prefix=tmp + "/m", hard_vocab_limit=False, minloglevel=2, add_dummy_prefix=True,
                                                 pad_id=0, eos_id=1, unk_id=2, bos_id=-1, **how)
        (d / "spiece.model").write_bytes(pathlib.Path(tmp, "m.model").read_bytes())
    hf = transformers.SiglipTokenizer(vocab_file=str(d / "spiece.model"), model_max_length=24)
    vectors(d / "vectors.json", hf, 24)


def vectors(path, hf, length):
    cases = [{"text": s, "ids": hf(s, truncation=True, max_length=length).input_ids} for s in strings()]
    path.write_text(json.dumps({"made_with": f"transformers {transformers.__version__}", "length": length}, separators=(",", ":"))[:-1] + ',"cases":[\n'
                    + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]}\n")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("--words", type=pathlib.Path)
    a = a.parse_args()
    if a.words:
        hf = (transformers.CLIPTokenizer if (a.out / "vocab.json").exists() else transformers.SiglipTokenizer).from_pretrained(a.out)
        json.dump([{"text": s, "ids": hf(s, truncation=True, max_length=64).input_ids} for s in json.loads(a.words.read_text())], sys.stdout)
        return
    clip(a.out)
    rules = pathlib.Path(tempfile.mkdtemp(), "rules.tsv")  # characters to characters, in hexadecimal
    rules.write_text("FB01\t66 69\n2122\t54 4D\nA0\t20\n200B\t20\n65 301\tE9\nFF26\t46\n7\t\n9\t20\nA\t20\n2167\t56 49 49 49\n")
    siglip(a.out, "siglip", vocab_size=130, normalization_rule_tsv=str(rules), character_coverage=0.98, user_defined_symbols=["photo", "é"])
    siglip(a.out, "siglip-bytes", vocab_size=400, normalization_rule_name="identity", byte_fallback=True, character_coverage=0.98, remove_extra_whitespaces=False)


if __name__ == "__main__":
    main()
