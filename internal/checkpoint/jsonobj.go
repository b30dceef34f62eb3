package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxJSON bounds a JSON file of a model folder; the largest known, the config
// of a ViT with 21 843 named classes, has about 2 MB.
const maxJSON = 32 << 20

// object reads one JSON object key by key. Unlike json.Unmarshal it refuses a
// key that stands twice, tells "a" from "A", and accepts nothing
// after the object but white space.
func object(raw []byte, each func(key string, d *json.Decoder) error) error {
	if !utf8.Valid(raw) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := members(d, each); err != nil {
		return err
	}
	if rest := bytes.TrimSpace(raw[d.InputOffset():]); len(rest) > 0 {
		return fmt.Errorf("%d bytes after the JSON object", len(rest))
	}
	return nil
}

// members reads the object that d stands before.
func members(d *json.Decoder, each func(key string, d *json.Decoder) error) error {
	if err := delim(d, '{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := token(d)
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("%v where a key should stand", t)
		}
		if seen[key] {
			return fmt.Errorf("%q stands twice", clip(key))
		}
		seen[key] = true
		if err := each(key, d); err != nil {
			return err
		}
	}
	return delim(d, '}')
}

// array reads the array that d stands before.
func array(d *json.Decoder, each func(d *json.Decoder) error) error {
	if err := delim(d, '['); err != nil {
		return err
	}
	for d.More() {
		if err := each(d); err != nil {
			return err
		}
	}
	return delim(d, ']')
}

func token(d *json.Decoder) (json.Token, error) {
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("JSON ends in the middle")
	}
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	return t, nil
}

func delim(d *json.Decoder, want json.Delim) error {
	t, err := token(d)
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("%s where %q should stand", describe(t), want.String())
	}
	return nil
}

// text reads a string.
func text(d *json.Decoder) (string, error) {
	t, err := token(d)
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("%s where a string should stand", describe(t))
	}
	return s, nil
}

func describe(t json.Token) string {
	if s, ok := t.(string); ok {
		return fmt.Sprintf("%q", clip(s))
	}
	if t == nil {
		return "null"
	}
	return clip(fmt.Sprint(t))
}

// clip shortens what a hostile file may have made long.
func clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "..."
	}
	return s
}

// rawMembers splits an object into its keys and their unread values.
func rawMembers(raw []byte) (map[string]json.RawMessage, error) {
	m := map[string]json.RawMessage{}
	err := object(raw, func(key string, d *json.Decoder) error {
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("%s: %w", clip(key), err)
		}
		m[key] = v
		return nil
	})
	return m, err
}
