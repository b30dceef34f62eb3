package config

import (
	"reflect"
	"testing"
)

func TestChanges(t *testing.T) {
	if got := Changes(Default()); got != nil {
		t.Errorf("the default changes %v", got)
	}
	c := Default()
	c.Data.Augment, c.Data.Classes, c.Estimator.Antithetic, c.Optimizer.LR, c.Train.Seed,
		c.Name = []string{"flip", "crop"}, []string{}, true, 0.5, 7, "x"
	want := []Change{{"name", "x"}, {"data.augment", "flip crop"}, {"estimator.antithetic", true}, {"optimizer.lr", 0.5},
		{"train.seed", 7.0}}
	if got := Changes(c); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
