package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/uierr"
)

// The files of a folder that tokenizers are read from.
const (
	JSONName   = "tokenizer.json"
	VocabName  = "vocab.json"
	MergesName = "merges.txt"
	SPName     = "spiece.model"
	ConfigName = "tokenizer_config.json"
)

// names are the special tokens as tokenizer_config.json calls them.
type names struct {
	bos, eos, pad, unk string
	added              []special // those that it lists
	lower              bool
	keep               bool // legacy: the prefix that SentencePiece puts before a text stays
}

// readNames reads what there is of tokenizer_config.json over n.
func (n *names) read(dir string) error {
	path := filepath.Join(dir, ConfigName)
	raw, err := fsys.ReadSmall(path, jsonobj.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = n.parse(raw)
	}
	return said(err, path)
}

func (n *names) parse(raw []byte) error {
	m, err := jsonobj.Raw(raw)
	if err != nil {
		return err
	}
	for key, dst := range map[string]*string{"bos_token": &n.bos, "eos_token": &n.eos, "pad_token": &n.pad,
		"unk_token": &n.unk} {
		if err := tokenText(m[key], dst); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	for key, dst := range map[string]*bool{"do_lower_case": &n.lower, "legacy": &n.keep} {
		if raw := m[key]; len(raw) > 0 && string(raw) != "null" {
			if err := json.Unmarshal(raw, dst); err != nil {
				return fmt.Errorf("%s: %s is neither true nor false", key, jsonobj.Clip(string(raw)))
			}
		}
	}
	return n.readAdded(m["added_tokens_decoder"])
}

// readAdded reads added_tokens_decoder: id to token.
func (n *names) readAdded(raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	return jsonobj.Each(raw, func(key string, d *json.Decoder) error {
		var t addedToken
		if err := d.Decode(&t); err != nil {
			return fmt.Errorf("added_tokens_decoder: %s: %w", jsonobj.Clip(key), err)
		}
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 || id >= maxPieces {
			return fmt.Errorf("added_tokens_decoder: %s is no id", jsonobj.Clip(key))
		}
		n.added = append(n.added, special{t.Content, int32(id), t.LStrip, t.RStrip})
		return nil
	})
}

type addedToken struct {
	ID      int64  `json:"id"`
	Content string `json:"content"`
	LStrip  bool   `json:"lstrip"`
	RStrip  bool   `json:"rstrip"`
}

// tokenText reads a token, which stands as a text or as an object with one.
func tokenText(raw json.RawMessage, dst *string) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if json.Unmarshal(raw, dst) == nil {
		return nil
	}
	var t addedToken
	if err := json.Unmarshal(raw, &t); err != nil || t.Content == "" {
		return fmt.Errorf("%s is no token", jsonobj.Clip(string(raw)))
	}
	*dst = t.Content
	return nil
}

// said puts the file's name before what is wrong in it.
func said(err error, path string) error {
	if err == nil {
		return nil
	}
	if _, ok := uierr.As(err); ok || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return fsys.ReadError(err, path)
	}
	return uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err), "take the tokenizer's files as they came with the model")
}
