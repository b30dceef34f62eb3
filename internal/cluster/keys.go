package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/flops-vit/flops/internal/uierr"
)

// keys are those of a run's own server.
type keys struct {
	users       []*server.NkeyUser
	coordinator nats.Option
}

// Files with the seeds of a run's keys, in RUN/cluster.
const (
	coordinatorKey = "coordinator.nk"
	workerKey      = "worker.nk"
	viewerKey      = "viewer.nk"
)

// openKeys reads the keys of a run, or makes them.
func openKeys(dir, run string) (*keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	k := &keys{}
	for _, u := range []struct {
		file   string
		allows *server.Permissions // nil: everything
	}{{coordinatorKey, nil}, {workerKey, workerMay(run)}, {viewerKey, viewerMay()}} {
		pair, err := openKey(filepath.Join(dir, u.file))
		if err != nil {
			return nil, err
		}
		public, err := pair.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("cluster: %w", err)
		}
		k.users = append(k.users, &server.NkeyUser{Nkey: public, Permissions: u.allows})
		if u.allows == nil {
			k.coordinator = nats.Nkey(public, pair.Sign)
		}
	}
	return k, nil
}

// openKey reads an nkey seed that nobody else may read, or makes one.
func openKey(path string) (nkeys.KeyPair, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		pair, err := nkeys.CreateUser()
		if err != nil {
			return nil, fmt.Errorf("cluster: %w", err)
		}
		seed, err := pair.Seed()
		if err == nil {
			err = os.WriteFile(path, append(seed, '\n'), 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("cluster: %w", err)
		}
		return pair, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, uierr.New(fmt.Sprintf("%s: others may read it (mode %#o)", path, st.Mode().Perm()), "chmod 600 "+path)
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	pair, err := nkeys.ParseDecoratedNKey(seed)
	if err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err), "remove it, and the run makes another")
	}
	return pair, nil
}

// workerMay is what a worker of a run may do: ask the run, and read its start.
func workerMay(run string) *server.Permissions {
	objects := "OBJ_" + bucket(run)
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: append([]string{
			subject(run, "manifest"), subject(run, "start"), subject(run, "hello"), subject(run, "work"), subject(run, "alive"),
			subject(run, "take"), subject(run, "begin"), subject(run, "piece"),
			"$JS.API.STREAM.INFO." + objects, "$JS.API.STREAM.MSG.GET." + objects, "$JS.API.DIRECT.GET." + objects,
			"$JS.API.DIRECT.GET." + objects + ".>", "$JS.API.CONSUMER.CREATE." + objects,
			"$JS.API.CONSUMER.CREATE." + objects + ".>", "$JS.API.CONSUMER.DELETE." + objects + ".>",
			"$JS.API.CONSUMER.INFO." + objects + ".>", "$JS.API.CONSUMER.MSG.NEXT." + objects + ".>",
			"$JS.ACK." + objects + ".>", "$JS.FC." + objects + ".>"}, tableMay()...)},
		Subscribe: &server.SubjectPermission{Allow: []string{workerInbox + ".>", viewerInbox + ".>"}},
	}
}

// viewerMay is what `flops cluster` may do: read the table of runs.
func viewerMay() *server.Permissions {
	return &server.Permissions{Publish: &server.SubjectPermission{Allow: tableMay()},
		Subscribe: &server.SubjectPermission{Allow: []string{viewerInbox + ".>"}}}
}

func tableMay() []string {
	const table = "KV_" + runsBucket
	return []string{"$JS.API.INFO", "$JS.API.STREAM.INFO." + table, "$JS.API.DIRECT.GET." + table,
		"$JS.API.DIRECT.GET." + table + ".>", "$JS.API.CONSUMER.CREATE." + table, "$JS.API.CONSUMER.CREATE." + table + ".>",
		"$JS.API.CONSUMER.DELETE." + table + ".>", "$JS.API.CONSUMER.INFO." + table + ".>",
		"$JS.API.CONSUMER.MSG.NEXT." + table + ".>", "$JS.ACK." + table + ".>", "$JS.FC." + table + ".>"}
}
