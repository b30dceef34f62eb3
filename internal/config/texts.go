package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/flops-vit/flops/internal/uierr"
)

// form is how the text of a key must look. Patterns are of the kind that JSON
// Schema and Go both read.
type form struct {
	has     []string // every one of these matches,
	hasNot  string   // and this one, where there is one, does not
	bare    []string // JSON types that do without quotes, too
	private bool     // not shown in messages
	why     string
	hint    string
	kinds   []string           // of devices, which has is made from
	check   func(string) error // what no pattern can say
}

var durationForm = form{has: []string{`^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`, `[1-9]`},
	why:  "is no duration",
	hint: "write a number and a unit, such as 100ms or 5s", check: duration}

var forms = map[string]form{
	"name": {hasNot: notName, bare: []string{"number", "boolean"}, why: "names no folder under runs/",
		hint: "use a plain name such as my-run; --output names any folder for a run"},
	"sites.blocks": {has: []string{`^(|all|none|last-[0-9]{1,9}| *[0-9]{1,9} *(, *[0-9]{1,9} *)*)$`},
		bare: []string{"integer"}, why: "names no blocks",
		hint: `use all, none, last-N, or numbers from 0 such as "3,4,5"`},
	"model.timeout": {has: []string{`^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`, `[1-9]`},
		why:  "is no duration",
		hint: "write a number and a unit, such as 30s or 2m", check: duration},
	"cluster.task":     durationForm,
	"cluster.ack_wait": durationForm,
	"cluster.nats": {has: []string{`^(|embedded|(nats|tls)://[^\s,@]+(,(nats|tls)://[^\s,@]+)*)$`}, private: true,
		why:  "names no NATS servers",
		hint: "use embedded, or addresses such as nats://a:4222,nats://b:4222; keys go into cluster.key or cluster.creds"},
	"cluster.listen": {has: []string{`^[^\s/]*:[0-9]{1,5}$`}, why: "is no address to listen at",
		hint: "give host:port, such as 127.0.0.1:4222 or 0.0.0.0:4222"},
	"model.url": {has: []string{`^(|[hH][tT][tT][pP][sS]?://(` + host + `(:[0-9]*)?|:[0-9]+)(/[^?#\s%]*)?)$`},
		private: true, why: "is no address of a server",
		hint:  "give scheme://host:port, as in http://127.0.0.1:8000; a token goes into model.token_env or model.token_file",
		check: func(s string) error { _, err := url.Parse(s); return err }},
	"train.device": deviceForm([]string{"cuda"}),
}

// deviceForm is the form of a device of some kinds.
func deviceForm(kinds []string) form {
	return form{kinds: kinds, has: []string{`^(auto|cpu|(` + strings.Join(kinds, "|") + `)(:[0-9]{1,4})?)$`},
		why:  "is no device",
		hint: "use auto, cpu, " + strings.Join(kinds, ", ") + " or " + kinds[0] + ":1"}
}

// OfferDevice adds a kind of device to the values of train.device, which take it
// by its name or as NAME:N. Call it from init.
func OfferDevice(kind string) {
	if known := forms["train.device"].kinds; !slices.Contains(known, kind) {
		forms["train.device"] = deviceForm(append(slices.Clone(known), regexp.QuoteMeta(kind)))
	}
}

// notName is what no name of a run holds, as it names a folder under runs/ on
// every system: separators, control characters, what begins with a dash (a flag
// to other commands), . and .., ends that Windows drops, and its device names.
const notName = `[/\\:\x00-\x1f\x7f-\x9f` + "\uFFFD" + `]|^-|^\.\.?$|[. ]$` +
	`|^([cC][oO][nN]|[pP][rR][nN]|[aA][uU][xX]|[nN][uU][lL]|([cC][oO][mM]|[lL][pP][tT])[1-9])(\.|$)`

// host is a name or an address in an URL, without a user.
const host = `(\[[0-9a-fA-F:.]+\]|[^/?#@\s%:\[\]]+)`

func duration(s string) error {
	d, err := time.ParseDuration(s)
	if err == nil && d <= 0 {
		err = fmt.Errorf("config: %v is no time to wait", d)
	}
	return err
}

// holds says whether a text has the form.
func (f form) holds(s string) bool {
	for _, p := range f.has {
		if !regexp.MustCompile(p).MatchString(s) {
			return false
		}
	}
	return (f.hasNot == "" || !regexp.MustCompile(f.hasNot).MatchString(s)) && (f.check == nil || f.check(s) == nil)
}

// texts checks the form of every text that has one.
func texts(c *Config) error {
	for _, f := range fields() {
		w, ok := forms[f.key]
		if !ok {
			continue
		}
		s := f.of(c).String()
		switch {
		case w.holds(s):
		case w.private:
			return uierr.New(fmt.Sprintf("%s: %s", f.key, w.why), w.hint)
		default:
			return bad(f.key, fmt.Sprintf("%q", s), w.why, w.hint)
		}
	}
	return nil
}

// nameOf is the name that an experiment has from its file.
func nameOf(path string) string {
	n := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if n == "" || !forms["name"].holds(n) {
		return "run"
	}
	return n
}
