package tokenizer

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzFiles reads any bytes as the files of a folder of CLIP's tokenizer, and of
// SigLIP's: none panics, and what is read gives ids of its own.
func FuzzFiles(f *testing.F) {
	f.Add([]byte(`{"bos_token":"a","added_tokens_decoder":{"3":{"content":"<x>","lstrip":true}},"do_lower_case":true}`),
		[]byte(`{"a":0,"b":1,"ab</w>":2,"<x>":3}`), []byte("#version: 0.2\na b</w>\n"), "ab <x>")
	f.Add([]byte(`{"eos_token":{"content":"b"},"legacy":null}`), []byte(`{"a</w>":0,"b":2147483647}`), []byte("a\n"), "")
	f.Add([]byte(`[]`), []byte(`{"":-1}`), []byte{0xff}, "\xff")
	f.Fuzz(func(t *testing.T, config, vocab, merges []byte, text string) {
		dir := t.TempDir()
		for name, raw := range map[string][]byte{ConfigName: config, VocabName: vocab, MergesName: merges, SPName: vocab} {
			if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, load := range []func(string) (Tokenizer, error){LoadBPE, LoadUnigram} {
			tok, err := load(dir)
			if err != nil {
				continue
			}
			ids, _ := Encode(tok, text, 16)
			for _, id := range ids {
				if id < 0 || int(id) >= tok.Size() {
					t.Fatalf("%q: id %d of %d", text, id, tok.Size())
				}
			}
		}
	})
}
