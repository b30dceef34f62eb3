// Package cuda runs the graphs of internal/vit on an NVIDIA GPU: device memory,
// kernels, a gorgonia.VM that dispatches the fused ops to them, and a
// vit.Backend whose suffixes, losses and gradient accumulation stay on the
// device.
//
// The layers, each knowing only the one before:
//
//   - Driver: memory, copies and launches. driver_gpu.go is the CUDA driver
//     through gorgonia.org/cu (build tag gpu). The tests' driver runs the same
//     kernels compiled for the host.
//   - Device: a driver with its arena, its GEMM (cuBLAS where it is found, the
//     package's own kernel elsewhere) and one method per kernel, which knows
//     the launch geometry.
//   - VM: a compiled graph. An op that it does not know is an error that names
//     it; nothing is ever copied to the host behind the caller's back.
//   - backend: what vit.Model asks of a device. The step itself, what a clean
//     pass, a query and a gradient are, is vit's.
//
// Kernels are CUDA C under kernels/, compiled by clang to the checked-in
// kernels/kernels.ptx (scripts/ptx.sh), which the driver translates for the
// card. They use explicit fused multiply-adds and IEEE operations only and are
// compiled without contraction on both sides, so that the host's results are
// the device's, bit for bit.
package cuda
