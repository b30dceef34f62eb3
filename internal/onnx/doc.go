// Package onnx writes networks as ONNX files (onnx.ai, opset 17), which other
// programs run: the forward of a vit.Net with its weights, for any number of images
// at once, and what is said of it as metadata.
//
// It walks the graph that every machine runs, and knows its ops; a family of networks
// that is built of them needs nothing here.
package onnx
