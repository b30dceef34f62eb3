package config

import (
	"slices"
	"testing"
)

// What nothing chosen reads is told, and what is read is not, whichever section and
// whether it is the implementation or another setting of it that decides.
func TestUnread(t *testing.T) {
	for _, c := range []struct {
		sets, want []string
	}{
		{nil, nil},
		{[]string{"sites.train=lora", "sites.alpha=8"}, nil},
		{[]string{"sites.train=core", "sites.alpha=8", "sites.rank=4"}, []string{"sites.alpha"}},
		{[]string{"sites.train=bias", "sites.rank=4", "sites.alpha=8"}, []string{"sites.rank", "sites.alpha"}},
		{[]string{"sites.train=bias", "sites.rank=8"}, []string{"sites.rank"}}, // its default, but somebody wrote it
		{[]string{"estimator.surrogate=local", "estimator.surrogate_kappa=1"}, []string{"estimator.surrogate_kappa"}},
		{[]string{"allocator.name=uniform", "allocator.decay=0.5"}, []string{"allocator.decay"}},
		{[]string{"optimizer.name=adamw", "optimizer.momentum=0.5"}, []string{"optimizer.momentum"}},
		{[]string{"optimizer.name=sgd", "optimizer.momentum=0.5"}, nil},
		{[]string{"estimator.surrogate=local", "estimator.kappa=1", "estimator.surrogate_gain=0.2"},
			[]string{"estimator.surrogate_gain"}},
		{[]string{"estimator.surrogate=feedback", "estimator.kappa=1", "estimator.feedback_rows=all"},
			[]string{"estimator.feedback_rows"}},
		{[]string{"estimator.surrogate=none", "estimator.kappa=1"}, []string{"estimator.kappa"}},
		{[]string{"estimator.surrogate=local", "estimator.exact_output=false"}, []string{"estimator.exact_output"}},
		{[]string{"estimator.surrogate=none", "estimator.exact_output=false"}, nil},
		{[]string{"sites.train=lora", "sites.kinds=[key]"}, []string{"sites.kinds"}}, // those are its targets
		{[]string{"sites.train=lora", "sites.kinds=[residual]"}, nil},
		{[]string{"sites.train=bias", "sites.kinds=[value]"}, nil},
		{[]string{"sites.train=norm", "sites.kinds=[query,key,value,attn_out,mlp_in,mlp_out]"}, nil},
		{[]string{"estimator.name=bp", "estimator.surrogate=local", "estimator.kappa=1"},
			[]string{"estimator.surrogate", "estimator.kappa"}},
		{[]string{"objective.temperature=0.2"}, []string{"objective.temperature"}},
	} {
		r, err := Load(write(t, "data: {kind: shapes}"), c.sets)
		if err != nil {
			t.Fatalf("%v: %v", c.sets, err)
		}
		got := Unread(r.Config, c.sets)
		slices.Sort(got)
		want := slices.Sorted(slices.Values(c.want))
		if !slices.Equal(got, want) {
			t.Errorf("%v: %v are told, not %v", c.sets, got, want)
		}
	}
}

// What a file says is told where it is no default, as a file may say all there is.
func TestUnreadOfFiles(t *testing.T) {
	for text, want := range map[string]string{
		"data: {kind: shapes}\nestimator: {surrogate: local, surrogate_kappa: 1}":   "",
		"data: {kind: shapes}\nestimator: {surrogate: local, surrogate_kappa: 0.5}": "estimator.surrogate_kappa",
	} {
		r, err := Load(write(t, text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := Braced(Unread(r.Config, nil)); got != want {
			t.Errorf("%q is told of, not %q", got, want)
		}
	}
}

func TestBraced(t *testing.T) {
	got := Braced([]string{"estimator.kappa", "sites.alpha", "estimator.feedback_gain"})
	if want := "estimator.{kappa,feedback_gain} sites.alpha"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}
