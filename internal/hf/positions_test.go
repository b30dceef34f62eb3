package hf

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// torchPositions were made by PyTorch 1.13 (torch.nn.functional.interpolate).
func torchPositions(t *testing.T) []struct {
	From, To, Dim int
	Pos, Want     []float32
} {
	t.Helper()
	b, err := os.ReadFile("testdata/torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Positions []struct {
			From, To, Dim int
			Pos, Want     []float32
		}
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v.Positions
}

func TestInterpolatePositions(t *testing.T) {
	for _, p := range torchPositions(t) {
		got, err := InterpolatePositions(p.Pos, 1, [2]int{p.From, p.From}, [2]int{p.To, p.To}, p.Dim, Bicubic)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			// float32 sums of 16 products of size about 1, in torch
			if d := math.Abs(float64(got[i] - p.Want[i])); d > 2e-6 {
				t.Fatalf("%d to %d, value %d: %v, torch has %v", p.From, p.To, i, got[i], p.Want[i])
			}
		}
	}
	if _, err := InterpolatePositions(make([]float32, 10), 1, [2]int{3, 3}, [2]int{4, 4}, 2, Bicubic); err == nil {
		t.Error("a wrong length was accepted")
	}
}
