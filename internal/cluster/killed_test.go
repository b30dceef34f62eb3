package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys/fault"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/train"
)

// What a child process is told: its part, the run folder, the server's address, and whether
// that is a process of its own.
const (
	childRole    = "FLOPS_TEST_CLUSTER"
	childDir     = "FLOPS_TEST_CLUSTER_DIR"
	childAddr    = "FLOPS_TEST_CLUSTER_ADDR"
	childOutside = "FLOPS_TEST_CLUSTER_OUTSIDE"
)

// chaotic is the run that is killed: steps enough for it to be killed in each of its parts.
func chaotic(addr string, outside bool) config.Config {
	c := tiny()
	c.Train.Steps, c.Train.EvalEvery, c.Checkpoint.Every = 60, 20, 7
	c.Cluster.Listen, c.Cluster.AckWait = addr, "500ms"
	if outside {
		c.Cluster.NATS = "nats://" + addr
	}
	return c
}

// TestChild is a process of the tests that kill some; on its own it does nothing.
func TestChild(t *testing.T) {
	dir, addr, outside := os.Getenv(childDir), os.Getenv(childAddr), os.Getenv(childOutside) != ""
	switch os.Getenv(childRole) {
	case "server":
		host, port, err := net.SplitHostPort(addr)
		testkit.Must(t, err)
		n, err := strconv.Atoi(port)
		testkit.Must(t, err)
		s, err := server.NewServer(&server.Options{Host: host, Port: n, JetStream: true, StoreDir: storeOf(dir),
			NoSigs: true, NoLog: true})
		testkit.Must(t, err)
		s.Start()
		s.WaitForShutdown()
	case "train":
		x, err := train.Open(chaotic(addr, outside), nil)
		testkit.Must(t, err)
		slowed(200 * time.Microsecond)(x)
		c, err := New(x, Options{Dir: dir, Run: Name(dir)})
		testkit.Must(t, err)
		testkit.Must(t, c.Serve())
		_, err = train.Run(context.Background(), x, train.RunOptions{Dir: dir, Resume: true, Watch: c.Watch(&quiet{}),
			Taken: c.Taken, Each: c.Each})
		testkit.Must(t, err)
		testkit.Must(t, c.Close(true))
	case "worker":
		w, err := NewWorker(WorkerOptions{Dial: Dial{URL: "nats://" + addr}, Run: Name(dir),
			Local: func(c *config.Config) { c.Train.Threads, c.Train.Device = 1, "cpu" }})
		testkit.Must(t, err)
		defer w.Close()
		testkit.Must(t, w.Work(context.Background()))
	default:
		t.Skip("only run by other tests")
	}
}

// TestMain saves without waiting for the disk, here and in the processes that are killed.
func TestMain(m *testing.M) {
	fault.Hurry()
	m.Run()
}

// storeOf is where a server of its own keeps what it has.
func storeOf(dir string) string { return dir + ".store" }

// stage is a run of processes.
type stage struct {
	t                   *testing.T
	dir, addr           string
	outside             bool       // the server is a process of its own
	done                chan error // the coordinator has ended
	coordinator, server *exec.Cmd
	workers             []*exec.Cmd
	killed              struct{ workers, servers, coordinators int }
}

// newStage starts a run with so many workers.
func newStage(t *testing.T, dir string, outside bool, workers int) *stage {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	s := &stage{t: t, dir: dir, addr: l.Addr().String(), outside: outside, done: make(chan error, 1)}
	testkit.Must(t, l.Close())
	if outside {
		s.server = s.child("server")
	}
	s.train()
	for range workers {
		s.workers = append(s.workers, s.child("worker"))
	}
	return s
}

// child starts a process of a role.
func (s *stage) child(role string) *exec.Cmd {
	s.t.Helper()
	c := exec.Command(os.Args[0], "-test.run", "^TestChild$", "-test.timeout", "10m")
	c.Env = append(os.Environ(), childRole+"="+role, childDir+"="+s.dir, childAddr+"="+s.addr, "TMPDIR="+s.t.TempDir())
	if s.outside {
		c.Env = append(c.Env, childOutside+"=1")
	}
	testkit.Must(s.t, c.Start())
	return c
}

func (s *stage) train() {
	c := s.child("train")
	s.coordinator = c
	go func() { s.done <- c.Wait() }()
}

func (s *stage) killWorker(i int) {
	end(s.workers[i])
	s.workers[i] = s.child("worker")
	s.killed.workers++
}

func (s *stage) killServer(wipe bool) {
	end(s.server)
	if wipe {
		testkit.Must(s.t, os.RemoveAll(storeOf(s.dir)))
	}
	s.server = s.child("server")
	s.killed.servers++
}

// killCoordinator ends the process that trains, and its server where it has one; not one
// that has ended already.
func (s *stage) killCoordinator(wipe bool) {
	if err := s.coordinator.Process.Kill(); errors.Is(err, os.ErrProcessDone) {
		return
	}
	var exit *exec.ExitError
	if err := <-s.done; !errors.As(err, &exit) || exit.ExitCode() >= 0 { // it ended as it was killed
		s.done <- err
		return
	}
	if wipe && !s.outside {
		testkit.Must(s.t, os.RemoveAll(filepath.Join(s.dir, folder, "jetstream")))
	}
	s.train()
	s.killed.coordinators++
}

// end kills a process.
func end(c *exec.Cmd) {
	_ = c.Process.Kill() // it may have ended
	_ = c.Wait()
}

// play waits until the run has ended and calls act every pause until then.
func (s *stage) play(pause func() time.Duration, act func()) time.Duration {
	s.t.Helper()
	began := time.Now()
	defer func() {
		for _, w := range s.workers {
			end(w)
		}
		if s.server != nil {
			end(s.server)
		}
	}()
	for {
		select {
		case err := <-s.done:
			if err != nil {
				s.t.Fatalf("the coordinator failed: %v", err)
			}
			return time.Since(began)
		case <-time.After(pause()):
			act()
		}
	}
}

// between is a random time.
func between(lo, hi int) func() time.Duration {
	return func() time.Duration { return time.Duration(lo+rand.IntN(hi-lo)) * time.Millisecond }
}

// TestKilled kills processes at random instants and starts them again: of a hundred, 70
// workers, 15 servers and 15 coordinators. The storage of every second server goes with it.
// The run ends, and its files are those of the run alone. FLOPS_TEST_KILLS is how often,
// 1000 in scripts/cluster-chaos.sh.
func TestKilled(t *testing.T) {
	left, pause := 60, between(20, 220)
	if s := os.Getenv("FLOPS_TEST_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		testkit.Must(t, err)
		left, pause = n, between(200, 1000)
	} else if testing.Short() {
		t.Skip("starts processes")
	}
	c := chaotic("127.0.0.1:0", false)
	want := alone(t, c)
	usual := newStage(t, filepath.Join(t.TempDir(), "usual"), true, 2).play(between(1000, 1001), func() {})
	var all struct{ workers, servers, coordinators int }
	var took time.Duration
	runs := 0
	for ; left > 0; runs++ {
		outside := runs%3 > 0 // else the coordinator has the server
		s := newStage(t, filepath.Join(t.TempDir(), fmt.Sprintf("run%d", runs)), outside, 2)
		took += s.play(pause, func() {
			if left == 0 {
				return
			}
			left--
			switch i := rand.IntN(100); {
			case i < 70:
				s.killWorker(i % 2)
			case i < 85 && outside:
				s.killServer(left%2 == 0)
			default:
				s.killCoordinator(left%2 == 0)
			}
		})
		same(t, s.dir, want, c.Train.Steps)
		if t.Failed() {
			t.Fatalf("run %d", runs)
		}
		all.workers += s.killed.workers
		all.servers += s.killed.servers
		all.coordinators += s.killed.coordinators
	}
	t.Logf("%d runs, %+v killed in %v: %v a run, undisturbed %v, %.1f times", runs, all, took.Round(time.Millisecond),
		(took / time.Duration(runs)).Round(time.Millisecond), usual.Round(time.Millisecond),
		took.Seconds()/float64(runs)/usual.Seconds())
}

// TestKilledAgainAndAgain: a worker that is killed every 0.2 s, before it has ever done
// much, holds nobody up.
func TestKilledAgainAndAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	c := chaotic("127.0.0.1:0", false)
	want := alone(t, c)
	s := newStage(t, filepath.Join(t.TempDir(), "run"), false, 1)
	took := s.play(between(200, 201), func() { s.killWorker(0) })
	same(t, s.dir, want, c.Train.Steps)
	t.Logf("%d kills in %v", s.killed.workers, took)
}
