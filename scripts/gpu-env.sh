# Sourced by the scripts that build with the tag gpu: where cgo finds the
# generated header and archive. GPU_ROOT is the repository.
: "${GPU_ROOT:=$PWD}"
export CGO_ENABLED=1
export CGO_CFLAGS="-O2 -I$GPU_ROOT/.build/gpu/include"
export CGO_LDFLAGS="-L$GPU_ROOT/.build/gpu/lib"
