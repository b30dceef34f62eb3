package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/uierr"
)

// vectors are texts and what transformers makes of them, cut to a length
// (scripts/make-tokenizer-vectors.py).
type vectors struct {
	Length int
	Cases  []struct {
		Text string
		IDs  []int32
	}
}

// against compares a tokenizer with transformers.
func against(t *testing.T, tok Tokenizer, v vectors) {
	t.Helper()
	bad := 0
	for _, c := range v.Cases {
		got, _ := Encode(tok, c.Text, v.Length)
		want := slices.Clone(c.IDs)
		for len(want) < v.Length { // neither pads the vectors
			want = append(want, tok.End())
		}
		if !slices.Equal(got, want) {
			if bad++; bad < 8 {
				t.Errorf("%q: %v, transformers has %v", c.Text, got[:len(c.IDs)], c.IDs)
			}
		}
	}
	if bad > 0 || len(v.Cases) < 40 {
		t.Errorf("%d of %d differ", bad, len(v.Cases))
	}
}

func readVectors(t *testing.T, path string) (v vectors) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// bpeFolder is the byte-pair tokenizer in one of its spellings.
func bpeFolder(t *testing.T, spelling string) string {
	t.Helper()
	dir := filepath.Join("testdata", "clip")
	if spelling == "files" {
		return dir
	}
	to := t.TempDir()
	for from, name := range map[string]string{filepath.Join("testdata", "clip-"+spelling+".json"): JSONName,
		filepath.Join(dir, ConfigName): ConfigName} {
		raw, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// All three spellings of CLIP's files give transformers' ids.
func TestBPE(t *testing.T) {
	v := readVectors(t, filepath.Join("testdata", "clip", "vectors.json"))
	for _, spelling := range []string{"files", "pairs", "spaced"} {
		t.Run(spelling, func(t *testing.T) {
			tok, err := LoadBPE(bpeFolder(t, spelling))
			if err != nil {
				t.Fatal(err)
			}
			against(t, tok, v)
		})
	}
}

// Two SentencePiece models, one with rules of characters and pieces that are never
// cut, one whose unknown characters fall back to bytes.
func TestUnigram(t *testing.T) {
	for _, name := range []string{"siglip", "siglip-bytes"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", name)
			tok, err := LoadUnigram(dir)
			if err != nil {
				t.Fatal(err)
			}
			against(t, tok, readVectors(t, filepath.Join(dir, "vectors.json")))
		})
	}
}

// Texts as long as a model takes are not cut; longer ones are, and keep their end.
func TestWrap(t *testing.T) {
	for dir, load := range map[string]func(string) (Tokenizer, error){"clip": LoadBPE, "siglip": LoadUnigram} {
		tok, err := load(filepath.Join("testdata", dir))
		if err != nil {
			t.Fatal(err)
		}
		bare := tok.Pieces("a photo of a cat")
		around := 2
		if dir == "siglip" {
			around = 1
		}
		if ids, cut := tok.Wrap(bare, len(bare)+around); cut || ids[len(ids)-1] != tok.End() {
			t.Errorf("%s: a text that fits: %v, cut %v", dir, ids, cut)
		}
		if ids, cut := tok.Wrap(bare, len(bare)+around-1); !cut || ids[len(ids)-1] != tok.End() ||
			len(ids) != len(bare)+around-1 {
			t.Errorf("%s: a text that is one too long: %v, cut %v", dir, ids, cut)
		}
		if ids, _ := tok.Wrap(nil, 8); len(ids) != 8 {
			t.Errorf("%s: an empty text has %v", dir, ids)
		}
	}
}

// A word of a hundred thousand letters takes no quadratic time.
func TestLongWord(t *testing.T) {
	tok, err := LoadBPE(filepath.Join("testdata", "clip"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tok.Pieces(strings.Repeat("photo", 20_000))); n < 20_000 || n > 100_000 {
		t.Errorf("%d pieces", n)
	}
}

func TestRefuses(t *testing.T) {
	vocab := `{"a":0,"a</w>":1,"aa</w>":2,"<|startoftext|>":3,"<|endoftext|>":4}`
	model := func(m string) map[string]string { return map[string]string{JSONName: `{"model":` + m + `}`} }
	for name, c := range map[string]struct {
		load  func(string) (Tokenizer, error)
		files map[string]string
		want  string
	}{
		"nothing":     {LoadBPE, nil, "no tokenizer"},
		"no merges":   {LoadBPE, map[string]string{VocabName: vocab}, MergesName},
		"no pair":     {LoadBPE, map[string]string{VocabName: vocab, MergesName: "#version: 0.2\na\n"}, "line 2"},
		"no such":     {LoadBPE, map[string]string{VocabName: vocab, MergesName: "a b\n"}, `"b"`},
		"id":          {LoadBPE, map[string]string{VocabName: `{"a":-1}`, MergesName: ""}, "id"},
		"huge id":     {LoadBPE, map[string]string{VocabName: `{"a":99999999999}`, MergesName: ""}, "id"},
		"a text's id": {LoadBPE, map[string]string{VocabName: `{"a":"b"}`, MergesName: ""}, "id"},
		"no end":      {LoadBPE, map[string]string{VocabName: `{"a":1}`, MergesName: ""}, "startoftext"},
		"cut JSON":    {LoadBPE, map[string]string{JSONName: `{"model":`}, "model: EOF"},
		"WordPiece": {LoadBPE, model(`{"type":"WordPiece","end_of_word_suffix":"</w>","vocab":{},"merges":[]}`),
			"WordPiece"},
		"GPT-2": {LoadBPE, model(`{"type":"BPE","end_of_word_suffix":"","vocab":{},"merges":[]}`), "words"},
		"bad merges": {LoadBPE,
			model(`{"type":"BPE","end_of_word_suffix":"</w>","vocab":` + vocab + `,"merges":[["a"]]}`), "merges"},
		"null merges": {LoadBPE,
			model(`{"type":"BPE","end_of_word_suffix":"</w>","vocab":` + vocab + `,"merges":null}`), "merges: null"},
		"no model":  {LoadUnigram, nil, "no tokenizer"},
		"its JSON":  {LoadUnigram, map[string]string{JSONName: "{}"}, JSONName},
		"cut model": {LoadUnigram, map[string]string{SPName: "\x0a\xff\x01abc"}, "middle"},
		"a byte-pair model": {LoadUnigram,
			map[string]string{SPName: "\x0a\x09\x0a\x05<unk>\x18\x02\x12\x02\x18\x02"}, "kind 2"},
		"no unknown": {LoadUnigram, map[string]string{SPName: "\x0a\x03\x0a\x01a"}, "unknown"},
		"cut map": {LoadUnigram,
			map[string]string{SPName: "\x0a\x09\x0a\x05<unk>\x18\x02\x1a\x06\x12\x04\xff\xff\xff\xff"}, "charsmap"},
		"bad config": {LoadUnigram, map[string]string{ConfigName: `{"eos_token": 3}`}, "eos_token"},
	} {
		dir := t.TempDir()
		for f, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, f), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := c.load(dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || !uierr.IsMistake(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzModels reads any bytes as the files of a tokenizer, and any text by what was
// read.
func FuzzModels(f *testing.F) {
	for _, name := range []string{"siglip", "siglip-bytes"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name, SPName))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, "a photo\u2167 of</s> a cat")
	}
	raw, err := os.ReadFile(filepath.Join("testdata", "clip-spaced.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, "it's <|endoftext|>İ")
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		var all []Tokenizer
		if m, err := parseSP(raw); err == nil {
			u := &unigram{m: m, lower: true, unk: "<unk>", specials: []special{{text: "</s>", lstrip: true, rstrip: true}}}
			u.lead = len(m.encode(u.unk))
			all = append(all, u)
		}
		b := &bpe{ids: map[string]int32{}, rank: map[[2]string]int32{}}
		if b.fromJSON(raw, names{bos: "a", eos: "a", pad: "a", unk: "a"}, JSONName) == nil {
			all = append(all, b)
		}
		for _, tok := range all {
			ids, _ := Encode(tok, text, 16)
			for _, id := range ids {
				if id < 0 || int(id) >= tok.Size() {
					t.Fatalf("%q: id %d of %d", text, id, tok.Size())
				}
			}
		}
	})
}

// The zoo's folders: the ids of their own prompts.
func TestSharedFolders(t *testing.T) {
	for name, load := range map[string]func(string) (Tokenizer, error){"clip": LoadBPE, "clip-eos2": LoadBPE,
		"open-clip": LoadBPE, "siglip": LoadUnigram} {
		dir := testkit.Shared(t, filepath.Join("models", "zoo", name))
		raw, err := os.ReadFile(filepath.Join(dir, "reference.json"))
		if err != nil {
			t.Skip(err)
		}
		var ref struct {
			Prompts []string
			IDs     [][]int32 `json:"input_ids"`
		}
		if err := json.Unmarshal(raw, &ref); err != nil {
			t.Fatal(err)
		}
		tok, err := load(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range ref.Prompts {
			got, _ := Encode(tok, p, len(ref.IDs[i]))
			want := ref.IDs[i]
			if name == "open-clip" { // which pads with another id
				n := slices.Index(want, tok.End()) + 1
				got, want = got[:n], want[:n]
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q: %v, want %v", name, p, got, want)
			}
		}
	}
}

// CLIP's own vocabulary, which scripts/fetch-clip-vocabulary.sh fetches, on 48
// awkward texts.
func TestPublishedVocabulary(t *testing.T) {
	dir := os.Getenv("FLOPS_TEST_CLIP_VOCABULARY")
	if dir == "" {
		t.Skip("FLOPS_TEST_CLIP_VOCABULARY names no folder")
	}
	raw, err := os.ReadFile(testkit.Shared(t, filepath.Join("models", "tokenizers", "clip.json")))
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		Cases []struct {
			Text        string
			HuggingFace []int32
		}
	}
	if err := json.Unmarshal(raw, &ref); err != nil {
		t.Fatal(err)
	}
	tok, err := LoadBPE(dir)
	if err != nil {
		t.Fatal(err)
	}
	v := vectors{Length: 77}
	for _, c := range ref.Cases {
		v.Cases = append(v.Cases, struct {
			Text string
			IDs  []int32
		}{c.Text, c.HuggingFace})
	}
	against(t, tok, v)
}
