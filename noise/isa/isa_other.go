//go:build !amd64

package isa

func best() Level { return Portable }
