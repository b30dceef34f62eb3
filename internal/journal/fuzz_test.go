package journal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
)

// FuzzJournal: a journal never panics and is sound up to where it says.
func FuzzJournal(f *testing.F) {
	path, _ := write(f, 2)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(whole[:headerSize])
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := newReader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		for {
			before := r.Offset()
			_, err := r.Next()
			var torn *TornError
			switch {
			case err == nil && r.Offset() > before:
				continue
			case errors.Is(err, io.EOF) && r.Offset() == int64(len(file)):
			case errors.As(err, &torn) && torn.Offset == before:
			default:
				t.Fatalf("at %d of %d: %v", before, len(file), err)
			}
			return
		}
	})
}
