package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/uierr"
)

// LoadBPE reads CLIP's tokenizer of a model folder: tokenizer.json, or else
// vocab.json and merges.txt.
func LoadBPE(dir string) (Tokenizer, error) {
	n := names{bos: "<|startoftext|>", eos: "<|endoftext|>", pad: "<|endoftext|>", unk: "<|endoftext|>"}
	if err := n.read(dir); err != nil {
		return nil, err
	}
	t := &bpe{ids: map[string]int32{}, rank: map[[2]string]int32{}}
	path := filepath.Join(dir, JSONName)
	raw, err := fsys.ReadSmall(path, jsonobj.MaxFile)
	if err == nil {
		return t, said(t.fromJSON(raw, n, path), path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, said(err, path)
	}
	path = filepath.Join(dir, VocabName)
	if raw, err = fsys.ReadSmall(path, jsonobj.MaxFile); errors.Is(err, fs.ErrNotExist) {
		return nil, uierr.Wrap(err, fmt.Sprintf("%s: no tokenizer: neither %s nor %s", dir, JSONName, VocabName),
			"texts need the tokenizer's files beside the weights; take them from where the model came from")
	}
	if err == nil {
		err = jsonobj.Each(raw, func(key string, d *json.Decoder) error { return t.entry(key, d) })
	}
	if err != nil {
		return nil, said(err, path)
	}
	path = filepath.Join(dir, MergesName)
	if raw, err = fsys.ReadSmall(path, jsonobj.MaxFile); err == nil {
		err = t.readMerges(string(raw))
	}
	if err == nil {
		err = t.finish(n)
	}
	return t, said(err, path)
}

// entry is a piece and its id.
func (t *bpe) entry(key string, d *json.Decoder) error {
	tok, err := jsonobj.Token(d)
	if err != nil {
		return err
	}
	num, ok := tok.(json.Number)
	id, err := strconv.ParseInt(string(num), 10, 32)
	if !ok || err != nil || id < 0 || id >= maxPieces {
		return fmt.Errorf("piece %q has %s for an id", jsonobj.Clip(key), jsonobj.Describe(tok))
	}
	t.put(key, int32(id))
	return nil
}

func (t *bpe) put(piece string, id int32) {
	t.ids[piece] = id
	t.size = max(t.size, int(id)+1)
}

// readMerges reads merges.txt: a pair on each line, after one with a version.
func (t *bpe) readMerges(text string) error {
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || i == 0 && strings.HasPrefix(line, "#version") {
			continue
		}
		if err := t.pair(line); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return nil
}

// pair adds a merge that is written with a space between.
func (t *bpe) pair(line string) error {
	a, b, ok := strings.Cut(line, " ")
	if !ok || a == "" || b == "" || strings.Contains(b, " ") {
		return fmt.Errorf("%q is no pair", jsonobj.Clip(line))
	}
	return t.merged([2]string{a, b})
}

func (t *bpe) merged(p [2]string) error {
	for _, piece := range []string{p[0], p[1], p[0] + p[1]} {
		if _, ok := t.ids[piece]; !ok {
			return fmt.Errorf("the merge of %q and %q needs the piece %q, which has no id", jsonobj.Clip(p[0]),
				jsonobj.Clip(p[1]), jsonobj.Clip(piece))
		}
	}
	if _, twice := t.rank[p]; !twice {
		t.rank[p] = int32(len(t.rank))
	}
	return nil
}

// fromJSON reads a tokenizer.json, which stands at a path.
func (t *bpe) fromJSON(raw []byte, n names, path string) error {
	m, err := jsonobj.Raw(raw)
	if err != nil {
		return err
	}
	model, err := jsonobj.Raw(m["model"])
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	var kind, suffix string
	for key, dst := range map[string]*string{"type": &kind, "end_of_word_suffix": &suffix} {
		if raw := model[key]; len(raw) > 0 && json.Unmarshal(raw, dst) != nil {
			return fmt.Errorf("model: %s is %s", key, jsonobj.Clip(string(raw)))
		}
	}
	if kind != "BPE" && kind != "" || suffix != wordEnd {
		return uierr.New(fmt.Sprintf("%s: a tokenizer of type %q whose words end with %q", path, jsonobj.Clip(kind),
			jsonobj.Clip(suffix)), "CLIP's has type \"BPE\" and words that end with \""+wordEnd+"\"; others are not read")
	}
	if err := jsonobj.Each(model["vocab"], t.entry); err != nil {
		return fmt.Errorf("model: vocab: %w", err)
	}
	if err := t.mergesJSON(model["merges"]); err != nil {
		return fmt.Errorf("model: merges: %w", err)
	}
	if raw := m["added_tokens"]; len(raw) > 0 {
		var added []addedToken
		if err := json.Unmarshal(raw, &added); err != nil {
			return fmt.Errorf("added_tokens: %w", err)
		}
		for _, a := range added {
			if a.ID < 0 || a.ID >= maxPieces {
				return fmt.Errorf("added_tokens: %q has the id %d", jsonobj.Clip(a.Content), a.ID)
			}
			n.added = append(n.added, special{a.Content, int32(a.ID), a.LStrip, a.RStrip})
		}
	}
	return t.finish(n)
}

// mergesJSON reads merges, each "a b" or ["a", "b"].
func (t *bpe) mergesJSON(raw json.RawMessage) error {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	if list == nil { // null, which reads as a list of none
		return errors.New("null is no list")
	}
	for i, raw := range list {
		var two []string
		var one string
		var err error
		switch {
		case json.Unmarshal(raw, &one) == nil:
			err = t.pair(one)
		case json.Unmarshal(raw, &two) == nil && len(two) == 2:
			err = t.merged([2]string(two))
		default:
			err = fmt.Errorf("%s is no pair", jsonobj.Clip(string(raw)))
		}
		if err != nil {
			return fmt.Errorf("number %d: %w", i, err)
		}
	}
	return nil
}

// finish finds the special tokens.
func (t *bpe) finish(n names) error {
	for _, a := range n.added {
		if a.text != "" {
			t.specials = append(t.specials, a)
			t.put(a.text, a.id)
		}
	}
	for _, s := range []struct {
		dst  *int32
		text string
	}{{&t.start, n.bos}, {&t.end, n.eos}, {&t.pad, n.pad}, {&t.unknown, n.unk}} {
		id, ok := t.ids[s.text]
		if !ok {
			return fmt.Errorf("the token %q has no id", jsonobj.Clip(s.text))
		}
		*s.dst = id
		t.specials = append(t.specials, special{text: s.text, id: id})
	}
	return nil
}
