// Package hf reads and writes models as Hugging Face's libraries do: folders of
// transformers and of timm, whose config.json says what the network is and whose
// preprocessor_config.json how an image becomes its input. What a family of networks
// has of its own stands in one file, and registers itself.
//
// A folder:
//
//	config.json                      architecture and labels
//	preprocessor_config.json         size, mean and deviation; may be absent
//	model.safetensors                or
//	model.safetensors.index.json     {"weight_map": {TENSOR: FILE}} and the files
package hf
