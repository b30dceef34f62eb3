package hf

import (
	"github.com/flops-vit/flops/internal/safetensors"
)

// isWeight says whether the format is one that the weights of a ViT come in.
func isWeight(d safetensors.DType) bool {
	return d == safetensors.F32 || d == safetensors.F16 || d == safetensors.BF16 || d == safetensors.F64
}

// torchName is the name that a config.json gives the format.
func torchName(d safetensors.DType) string {
	switch d {
	case safetensors.F16:
		return "float16"
	case safetensors.BF16:
		return "bfloat16"
	}
	return "float32"
}
