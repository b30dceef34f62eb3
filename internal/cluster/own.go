package cluster

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/uierr"
)

// What is each machine's own to say, and no network's: where things are, what is run, how
// others are reached, and how many at once. stripped and own are two sides of it.

// stripped is a config less that.
func stripped(c config.Config) config.Config {
	d := config.Default()
	c.Extends, c.Cluster = "", d.Cluster
	c.Model.Path, c.Model.URL, c.Model.Argv = "", "", nil
	c.Model.TokenEnv, c.Model.TokenFile, c.Model.CAFile = "", "", ""
	c.Model.InFlight, c.Model.Retries, c.Model.Timeout = d.Model.InFlight, d.Model.Retries, d.Model.Timeout
	c.Data.Path = ""
	c.Train.CacheDir, c.Train.Threads, c.Train.Device, c.Data.Workers = "", 0, d.Train.Device, 0
	c.Objective.Own = maps.Clone(c.Objective.Own)
	for _, key := range []string{objective.Embeddings.Key, objective.TestEmbeddings.Key} {
		if _, ok := c.Objective.Own[key]; ok {
			c.Objective.Own[key] = ""
		}
	}
	return c
}

// own are such keys, as they are where nobody says otherwise.
func own() map[string]string {
	d := config.Default()
	return map[string]string{
		"model.path": "", "model.url": "", "model.argv": "[]", "model.token_env": "", "model.token_file": "",
		"model.ca_file": "", "model.in_flight": fmt.Sprint(d.Model.InFlight), "model.retries": fmt.Sprint(d.Model.Retries),
		"model.timeout": d.Model.Timeout, "data.path": "", "data.workers": "0", "train.cache_dir": "",
		"train.threads": "0", "train.device": d.Train.Device, "objective.embeddings": "",
		"objective.test_embeddings": "",
	}
}

// CheckSets refuses to set on a worker what the run decides.
func CheckSets(sets []string) error {
	mine := own()
	for _, s := range sets {
		key, _, _ := strings.Cut(s, "=")
		if _, ok := mine[key]; !ok {
			return uierr.New("--set "+key+": is the run's to say, and no worker's",
				"a worker may set "+strings.Join(slices.Sorted(maps.Keys(mine)), ", "))
		}
	}
	return nil
}

// received is a config that came over the network with this machine's own settings,
// whatever it says of them. It leads to no other file.
func received(path, text string, sets []string) (config.Config, error) {
	var up struct {
		Extends string `yaml:"extends"`
	}
	if err := yaml.Unmarshal([]byte(text), &up); err != nil || up.Extends != "" {
		return config.Config{}, uierr.New("the run's experiment is none", "give the worker the version of flops that trains")
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return config.Config{}, fmt.Errorf("cluster: %w", err)
	}
	var all []string
	for key, value := range own() {
		all = append(all, key+"="+value)
	}
	c, err := config.StoredAs(path, append(all, sets...))
	if err != nil {
		return c, err
	}
	c.Cluster = config.Default().Cluster
	return c, nil
}
