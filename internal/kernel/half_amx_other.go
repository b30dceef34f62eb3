//go:build amd64 && !linux

package kernel

import "errors"

func allowTiles() error { return errors.New("only Linux is asked for it") }
