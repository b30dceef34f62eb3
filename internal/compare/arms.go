package compare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/uierr"
	"gopkg.in/yaml.v3"
)

// What an arm has in common with the experiment that it is compared on.
const (
	MatchQueries = "queries" // the queries of training, clean passes and the allocator's included
	MatchFLOPs   = "flops"   // the floating-point operations of training
	MatchSteps   = "steps"   // the steps, whatever they cost
)

// Arm is one setting: the experiment with some keys changed.
type Arm struct {
	Name  string   `yaml:"name" json:"name"`
	Set   []string `yaml:"set" json:"set"`     // key=value, as --set takes them
	Match string   `yaml:"match" json:"match"` // queries (the default), flops or steps
}

// maxArmsFile is the largest arms file that is read.
const maxArmsFile = 1 << 20

var armName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$`)

// ReadArms reads what --arms names: a YAML file with a list under `arms:`, or
// names of settings parted by commas (Names).
func ReadArms(from string) ([]Arm, error) {
	switch {
	case from == "":
		return nil, uierr.New("no arms are named",
			"give --arms FILE (configs/arms/ has some), or names such as --arms uniform,neyman,bp")
	case strings.HasSuffix(from, ".yaml") || strings.HasSuffix(from, ".yml") || strings.ContainsAny(from, `/\`):
		return readFile(from)
	}
	var arms []Arm
	for _, n := range strings.Split(from, ",") {
		a, ok := named(strings.TrimSpace(n))
		if !ok {
			return nil, uierr.New(fmt.Sprintf("--arms %s: no setting is called %q", from, strings.TrimSpace(n)),
				"the names are "+strings.Join(Names(), ", ")+"; a file ends in .yaml")
		}
		arms = append(arms, a)
	}
	return arms, check("--arms "+from, arms, nil)
}

// Names lists the settings that need no file: every allocator, one antithetic
// pair per image in more steps, the other schedules, SPSA and backpropagation
// at equal floating-point operations.
func Names() []string {
	return append(append(config.Choices("allocator.name"), "one-pair", "joint", "random_site", "weight"),
		lr.Those(lr.Silent)...)
}

func named(n string) (Arm, bool) {
	switch n {
	case "one-pair":
		return Arm{n, []string{"allocator.name=uniform", "estimator.antithetic=true", "allocator.min_queries=2",
			"budget.queries_per_image=2"}, MatchQueries}, true
	case "joint", "random_site":
		return Arm{n, []string{"estimator.schedule=" + n}, MatchQueries}, true
	case "weight":
		return Arm{n, []string{"estimator.name=weight", "estimator.schedule=all", "allocator.name=uniform"},
			MatchQueries}, true
	}
	if lr.Is(n, lr.Silent) {
		return Arm{n, []string{"estimator.name=" + n, "estimator.schedule=", "allocator.name=uniform"}, MatchFLOPs}, true
	}
	return Arm{n, []string{"allocator.name=" + n}, MatchQueries}, slices.Contains(config.Choices("allocator.name"), n)
}

// readFile reads an arms file strictly.
func readFile(path string) ([]Arm, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, uierr.Wrap(err, fmt.Sprintf("--arms %s: no such file", path),
			"give a YAML file of arms; configs/arms/ has some")
	case err != nil:
		return nil, fmt.Errorf("arms: %w", err)
	case st.IsDir() || st.Size() > maxArmsFile:
		return nil, uierr.New(fmt.Sprintf("--arms %s is no file of arms", path),
			fmt.Sprintf("an arms file is YAML of at most %d bytes", maxArmsFile))
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("arms: %w", err)
	}
	return parse(filepath.Clean(path), raw)
}

func parse(path string, raw []byte) ([]Arm, error) {
	var file struct {
		Arms []yaml.Node `yaml:"arms"`
	}
	if _, err := config.Document(path, raw); err != nil {
		return nil, err
	}
	if err := strict(path, 0, raw, &file); err != nil {
		return nil, err
	}
	var arms []Arm
	var lines []int
	for i := range file.Arms {
		n := &file.Arms[i]
		room := maxArmNodes
		flat, ok := inline(n, &room)
		if !ok {
			return nil, uierr.New(fmt.Sprintf("%s:%d: aliases of aliases make this arm endless", path, n.Line),
				"write its keys out")
		}
		one, err := yaml.Marshal(flat)
		if err != nil {
			return nil, fmt.Errorf("arms: %w", err)
		}
		var a Arm
		if err := strict(path, n.Line, one, &a); err != nil {
			return nil, err
		}
		if a.Match == "" {
			a.Match = MatchQueries
		}
		arms, lines = append(arms, a), append(lines, n.Line)
	}
	return arms, check(path, arms, lines)
}

// maxArmNodes bounds an arm with its aliases written out.
const maxArmNodes = 10000

// inline is a copy of n with its aliases written out, so that it can be read
// without the rest of its file; false where that takes more nodes than room.
func inline(n *yaml.Node, room *int) (*yaml.Node, bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if *room--; *room < 0 {
		return nil, false
	}
	out := *n
	out.Anchor, out.Content = "", nil
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		out.Value = "null" // an empty one would come out as an empty text
	}
	for _, c := range n.Content {
		x, ok := inline(c, room)
		if !ok {
			return nil, false
		}
		if n.Kind == yaml.SequenceNode && x.ShortTag() == "!!null" {
			x.Tag, x.Value = "!!str", "" // the decoder would leave it out
		}
		out.Content = append(out.Content, x)
	}
	return &out, true
}

var (
	yamlLine  = regexp.MustCompile(`line (\d+): `)
	yamlField = regexp.MustCompile(`field (\S+) not found in type \S+`)
)

// strict decodes YAML in which every key is known; line is where raw stands in
// its file, 0 where it is the file.
func strict(path string, line int, raw []byte, to any) error {
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	err := d.Decode(to)
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	hint := "an arms file is\n  arms:\n    - {name: a, set: [allocator.name=uniform]}"
	hint = strings.ReplaceAll(hint, "\n", " ")
	text := err.Error()
	if e := new(yaml.TypeError); errors.As(err, &e) {
		text = e.Errors[0]
	}
	text = strings.TrimPrefix(text, "yaml: ")
	if m := yamlField.FindStringSubmatch(text); m != nil {
		known := "arms"
		if line > 0 {
			known = "name, set and match"
		}
		text, hint = yamlLine.FindString(text)+"unknown key "+m[1], "the keys are "+known
	}
	where := path
	if line > 0 {
		where = fmt.Sprintf("%s:%d", path, line)
		text = yamlLine.ReplaceAllString(text, "")
	} else if m := yamlLine.FindStringSubmatch(text); m != nil {
		where = path + ":" + m[1]
		text = yamlLine.ReplaceAllString(text, "")
	}
	return uierr.Wrap(err, where+": "+text, hint)
}

// check refuses arms that cannot be told apart or stored.
func check(path string, arms []Arm, lines []int) error {
	if len(arms) == 0 {
		return uierr.New(path+": no arms",
			"list them under arms:, for example - {name: neyman, set: [allocator.name=neyman]}")
	}
	seen := map[string]bool{}
	for i, a := range arms {
		where := path
		if i < len(lines) {
			where = fmt.Sprintf("%s:%d", path, lines[i])
		}
		switch {
		case !armName.MatchString(a.Name):
			return uierr.New(fmt.Sprintf("%s: %q is no name of an arm", where, a.Name),
				"a name has letters, digits, '-', '_' and '.', at most 40, and is also the folder of its runs")
		case seen[strings.ToLower(a.Name)]:
			return uierr.New(fmt.Sprintf("%s: two arms are called %s", where, a.Name), "give each a name of its own")
		case !slices.Contains([]string{MatchQueries, MatchFLOPs, MatchSteps}, a.Match):
			return uierr.New(fmt.Sprintf("%s: match: %q", where, a.Match), "match is queries, flops or steps")
		}
		for _, s := range a.Set {
			if err := config.CheckSet(fmt.Sprintf("%s: arm %s: %s", where, a.Name, s), s); err != nil {
				return err
			}
		}
		seen[strings.ToLower(a.Name)] = true
	}
	return nil
}
