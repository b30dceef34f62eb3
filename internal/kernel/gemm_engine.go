package kernel

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/flops-vit/flops/noise/isa"
)

// engine is one way to multiply matrices: micro-kernels under the shared
// driver, or the sgemm of a library.
type engine struct {
	name   string
	detail string // what Describe adds
	mr, nr int    // rows and columns of a full tile
	// Largest block of rows (A in the second-level cache), of k (a panel of B
	// in the first), of columns (C in the second until its epilogue is done).
	mc, kc, nc int
	tile       []tileFunc // by number of rows, 1 to mr
	// sgemm computes C = A·B, all row-major; nil if there are micro-kernels.
	sgemm func(m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int)
	// library says that sgemm is foreign: a call allocates its argument list.
	library bool
	// unsteady says that a row's bits depend on where it stands.
	unsteady bool
}

// EnvKernel is the environment variable that selects an engine by name, and with it
// the level of vectors and noise.
const EnvKernel = isa.Env

var (
	current atomic.Pointer[engine]
	note    string // what Describe has to say about the choice
)

// engines are those that can run here, best first, and the names of those that
// failed their check.
var engines = sync.OnceValues(func() (usable []*engine, failed []string) {
	usable, failed = checked(vectorEngines())
	if e := libraryEngine(); e != nil {
		usable = append(usable, e)
	}
	return append(usable, gonumEngine, portable), failed
})

// checked splits the engines into those that multiply properly and the names of
// those that do not.
func checked(list []*engine) (usable []*engine, failed []string) {
	for _, e := range list {
		if selfCheck(e) == nil {
			usable = append(usable, e)
		} else {
			failed = append(failed, e.name)
		}
	}
	return usable, failed
}

var choose = sync.OnceFunc(func() {
	usable, failed := engines()
	var e *engine
	e, note = pick(usable, failed, os.Getenv(EnvKernel))
	current.CompareAndSwap(nil, e)
})

// pick returns the engine asked for by name, or the best, and what is to be
// said about it.
func pick(usable []*engine, failed []string, name string) (e *engine, note string) {
	e = usable[0]
	if len(failed) > 0 {
		note = " (" + strings.Join(failed, ", ") + " failed the start-up check)"
	}
	if name == "" || halfAlone(name) {
		return e, note
	}
	if asked := find(usable, name); asked != nil {
		return asked, note
	}
	return e, note + fmt.Sprintf(" (%s=%s is none of %s)", EnvKernel, name, strings.Join(names(usable), ", "))
}

func active() *engine {
	if e := current.Load(); e != nil {
		return e
	}
	choose()
	return current.Load()
}

// Describe says in one string which engine multiplies matrices here: "avx2
// 6x16", "avx512 14x32", "openblas 0.3.21", "gonum"; and, where the choice
// needs a word, why it is not a better one.
func Describe() string {
	e := active()
	if e.detail == "" {
		return e.name + note
	}
	return e.name + " " + e.detail + note
}

// Kernels names the engines that can run here, best first.
func Kernels() []string {
	usable, _ := engines()
	return names(usable)
}

// Select makes the named engine (one of Kernels) the one that is used from now
// on. What is packed already keeps its engine.
func Select(name string) error {
	usable, _ := engines()
	e := find(usable, name)
	if e == nil {
		return fmt.Errorf("kernel %q is none of %s", name, strings.Join(names(usable), ", "))
	}
	choose() // so that the environment is not read later
	current.Store(e)
	return nil
}

func find(list []*engine, name string) *engine {
	for _, e := range list {
		if e.name == name {
			return e
		}
	}
	return nil
}

func names(list []*engine) []string {
	var out []string
	for _, e := range list {
		out = append(out, e.name)
	}
	return out
}
