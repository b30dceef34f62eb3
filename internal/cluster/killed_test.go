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

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/train"
)

// What a child process is told: its part, the run folder and the server.
const (
	childRole = "FLOPS_TEST_CLUSTER"
	childDir  = "FLOPS_TEST_CLUSTER_DIR"
	childAddr = "FLOPS_TEST_CLUSTER_ADDR"
)

// chaotic is the run that is killed: steps enough for it to be killed in each of its parts.
func chaotic(addr string) config.Config {
	c := tiny()
	c.Train.Steps, c.Train.EvalEvery, c.Checkpoint.Every = 60, 20, 7
	c.Cluster.Listen, c.Cluster.AckWait = addr, "500ms"
	return c
}

// TestChild is a process of TestKilled; on its own it does nothing.
func TestChild(t *testing.T) {
	dir, addr := os.Getenv(childDir), os.Getenv(childAddr)
	switch os.Getenv(childRole) {
	case "train":
		x, err := train.Open(chaotic(addr), nil)
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
		t.Skip("only run by TestKilled")
	}
}

// child starts a process of a role.
func child(t *testing.T, role, dir, addr string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run", "^TestChild$", "-test.timeout", "10m")
	c.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir, childAddr+"="+addr, "TMPDIR="+t.TempDir())
	testkit.Must(t, c.Start())
	return c
}

// TestKilled kills workers, and the coordinator with its server, at random instants, and
// starts them again: the run ends, and its files are those of the run alone.
// FLOPS_TEST_KILLS is how often, 1000 in scripts/cluster-chaos.sh.
func TestKilled(t *testing.T) {
	kills := 6
	if s := os.Getenv("FLOPS_TEST_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		testkit.Must(t, err)
		kills = n
	} else if testing.Short() {
		t.Skip("starts processes")
	}
	want := ""
	for run := 0; kills > 0; run++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		testkit.Must(t, err)
		addr := l.Addr().String()
		testkit.Must(t, l.Close())
		c := chaotic(addr)
		if want == "" {
			want = alone(t, c)
		}
		dir := filepath.Join(t.TempDir(), fmt.Sprintf("run%d", run))
		killed := killAtRandom(t, dir, addr, kills)
		kills -= killed
		same(t, dir, want, c.Train.Steps)
		if t.Failed() {
			t.Fatalf("run %d", run)
		}
		t.Logf("run %d survived %d kills, %d are left", run, killed, kills)
	}
}

// killAtRandom trains with two workers until the run has ended, killing at most so many
// processes: of ten, seven workers and three coordinators, whose server's storage goes
// with every second of them.
func killAtRandom(t *testing.T, dir, addr string, most int) (killed int) {
	t.Helper()
	done := make(chan error, 1)
	start := func() *exec.Cmd {
		c := child(t, "train", dir, addr)
		go func() { done <- c.Wait() }()
		return c
	}
	coordinator := start()
	workers := []*exec.Cmd{child(t, "worker", dir, addr), child(t, "worker", dir, addr)}
	defer func() {
		for _, w := range workers {
			_ = w.Process.Kill()
			_ = w.Wait()
		}
	}()
	for {
		select {
		case err := <-done:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				t.Fatalf("the coordinator failed: %v", err)
			}
			testkit.Must(t, err)
			return killed
		case <-time.After(time.Duration(200+rand.IntN(800)) * time.Millisecond):
		}
		if killed == most {
			continue
		}
		killed++
		if i := rand.IntN(10); i < 7 {
			i %= 2
			testkit.Must(t, workers[i].Process.Kill())
			_ = workers[i].Wait()
			workers[i] = child(t, "worker", dir, addr)
			continue
		}
		if err := coordinator.Process.Kill(); errors.Is(err, os.ErrProcessDone) {
			continue
		}
		<-done
		if killed%2 == 0 {
			testkit.Must(t, os.RemoveAll(filepath.Join(dir, folder, "jetstream")))
		}
		coordinator = start()
	}
}
