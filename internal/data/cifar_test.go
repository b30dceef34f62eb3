package data

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
)

// record is one CIFAR record whose pixel p of plane c is byte(p + 50c + k).
func record(k int, labels ...byte) []byte {
	b := slices.Clone(labels)
	for c := range 3 {
		for p := range cifarPlane {
			b = append(b, byte(p+50*c+k))
		}
	}
	return b
}

func makeCIFAR10(tb testing.TB) string {
	dir := filepath.Join(tb.TempDir(), cifar10.folder)
	for f, name := range append(slices.Clone(cifar10.train), cifar10.test...) {
		var b []byte
		for i := range 3 {
			b = append(b, record(10*f+i, byte((3*f+i)%10))...)
		}
		write(tb, b, dir, name)
	}
	write(tb, []byte(strings.Join(cifar10.classes, "\n")+"\n\n"), dir, cifar10.names)
	return dir
}

func TestCIFAR10(t *testing.T) {
	dir := makeCIFAR10(t)
	for _, path := range []string{dir, filepath.Dir(dir)} {
		ds := open(t, dataConfig("cifar10", path), Train)
		if ds.Len() != 15 || ds.Classes()[9] != "truck" || ds.Info(4).Label != 4 ||
			ds.Info(4).ID != "train/data_batch_2.bin/00001" {
			t.Fatalf("%d images, %+v", ds.Len(), ds.Info(4))
		}
		im, err := ds.Image(4)
		if err != nil || !bytes.Equal(im.Pix[:6], []byte{11, 61, 111, 12, 62, 112}) {
			t.Errorf("%v %v", im.Pix[:6], err)
		}
		if n := open(t, dataConfig("cifar10", path), Test).Len(); n != 3 {
			t.Error(n)
		}
	}
}

func TestCIFAR100TakesTheFineLabel(t *testing.T) {
	dir := t.TempDir()
	write(t, append(record(0, 3, 42), record(1, 4, 99)...), dir, "train.bin")
	write(t, record(0, 3, 7), dir, "test.bin")
	ds := open(t, dataConfig("cifar100", dir), Train)
	if ds.Len() != 2 || ds.Info(0).Label != 42 || ds.Info(1).Label != 99 || len(ds.Classes()) != 100 {
		t.Errorf("%d %+v", ds.Len(), ds.Info(0))
	}
	if im, err := ds.Image(1); err != nil || im.Pix[0] != 1 {
		t.Error(im, err)
	}
}

func TestCIFARDamage(t *testing.T) {
	dir := makeCIFAR10(t)
	cfg := dataConfig("cifar10", dir)
	path := filepath.Join(dir, "data_batch_3.bin")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, good[:len(good)-1], path)
	_, err = Open(cfg, Train)
	refused(t, err, "data_batch_3.bin", "whole number of records")
	write(t, nil, path)
	_, err = Open(cfg, Train)
	refused(t, err, "data_batch_3.bin")
	bad := bytes.Clone(good)
	bad[3073] = 10
	write(t, bad, path)
	_, err = Open(cfg, Train)
	refused(t, err, "record 1 has label 10")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = Open(cfg, Train)
	refused(t, err, "data_batch_3.bin")
	_, err = Open(dataConfig("cifar10", t.TempDir()), Train)
	refused(t, err, "cifar10")
	write(t, good, path)
	write(t, []byte("one\ntwo\n"), dir, cifar10.names)
	_, err = Open(cfg, Train)
	refused(t, err, "batches.meta.txt", "2 class names")
}

func FuzzCIFAR(f *testing.F) {
	f.Add(record(0, 3), true)
	f.Add(record(0, 3, 99), false)
	f.Add([]byte{1, 2, 3}, true)
	f.Fuzz(func(t *testing.T, b []byte, ten bool) {
		dir, kind, name := t.TempDir(), "cifar10", "test_batch.bin"
		if !ten {
			kind, name = "cifar100", "test.bin"
		}
		write(t, b, dir, name)
		readAll(t, dataConfig(kind, dir))
	})
}

// readAll reads every image of a test split and checks what came of it.
func readAll(t *testing.T, cfg config.Data) {
	ds, err := Open(cfg, Test)
	if err != nil {
		refused(t, err)
		return
	}
	defer ds.Close()
	for i := range ds.Len() {
		if l := ds.Info(i).Label; l < 0 || l >= len(ds.Classes()) {
			t.Fatalf("label %d of %d", l, len(ds.Classes()))
		}
		im, err := ds.Image(i)
		if err != nil {
			refused(t, err)
		} else if len(im.Pix) != 3*im.Width*im.Height || im.Width < 1 || im.Height < 1 {
			t.Fatalf("%d×%d with %d bytes", im.Width, im.Height, len(im.Pix))
		}
	}
}
