// Package jsonobj reads the JSON of files that others wrote: key by key, nothing
// twice, nothing after the end. Its errors say what stands where, shortened, and
// leave the file's name to the caller.
package jsonobj

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

// MaxFile bounds a JSON file of a model folder; the largest known, the config
// of a ViT with 21 843 named classes, has about 2 MB.
const MaxFile = 32 << 20

// Each reads one JSON object key by key. Unlike json.Unmarshal it refuses a
// key that stands twice, tells "a" from "A", and accepts nothing
// after the object but white space.
func Each(raw []byte, each func(key string, d *json.Decoder) error) error {
	if !utf8.Valid(raw) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := Members(d, each); err != nil {
		return err
	}
	if rest := bytes.TrimSpace(raw[d.InputOffset():]); len(rest) > 0 {
		return fmt.Errorf("%d bytes after the JSON object", len(rest))
	}
	return nil
}

// Members reads the object that d stands before.
func Members(d *json.Decoder, each func(key string, d *json.Decoder) error) error {
	if err := delim(d, '{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := Token(d)
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("%v where a key should stand", t)
		}
		if seen[key] {
			return fmt.Errorf("%q stands twice", Clip(key))
		}
		seen[key] = true
		if err := each(key, d); err != nil {
			return err
		}
	}
	return delim(d, '}')
}

// Array reads the array that d stands before.
func Array(d *json.Decoder, each func(d *json.Decoder) error) error {
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

// Token reads the next token.
func Token(d *json.Decoder) (json.Token, error) {
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
	t, err := Token(d)
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("%s where %q should stand", Describe(t), want.String())
	}
	return nil
}

// Text reads a string.
func Text(d *json.Decoder) (string, error) {
	t, err := Token(d)
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("%s where a string should stand", Describe(t))
	}
	return s, nil
}

// Describe is a token as a message shows it.
func Describe(t json.Token) string {
	if s, ok := t.(string); ok {
		return fmt.Sprintf("%q", Clip(s))
	}
	if t == nil {
		return "null"
	}
	return Clip(fmt.Sprint(t))
}

// Clip shortens what a hostile file may have made long.
func Clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "..."
	}
	return s
}

// Raw splits an object into its keys and their unread values.
func Raw(raw []byte) (map[string]json.RawMessage, error) {
	m := map[string]json.RawMessage{}
	err := Each(raw, func(key string, d *json.Decoder) error {
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("%s: %w", Clip(key), err)
		}
		m[key] = v
		return nil
	})
	return m, err
}

// Number reads an integer of 0 to 2⁶³−1, written without fraction or exponent.
func Number(d *json.Decoder) (int64, error) {
	t, err := Token(d)
	if err != nil {
		return 0, err
	}
	s, ok := t.(json.Number)
	if !ok {
		return 0, fmt.Errorf("%s where a number should stand", Describe(t))
	}
	n, err := strconv.ParseUint(s.String(), 10, 63)
	if err != nil || n > math.MaxInt {
		return 0, fmt.Errorf("%s is not a size or an offset", Clip(s.String()))
	}
	return int64(n), nil
}

// Indented is v as a file that people read.
func Indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}
