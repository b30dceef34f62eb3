package report

import "fmt"

// HParam is a setting of a run: its value is a float64, a bool or a text; other
// values are written as texts.
type HParam struct {
	Name  string
	Value any
}

// HParams writes the settings of a run for TensorBoard's table of runs: the
// message HParamsPluginData of its hparams plugin, in the metadata of a summary
// whose own value is nothing.
func (e *Events) HParams(settings []HParam) error {
	start := message(nil)
	for _, s := range settings {
		v := message(nil) // google.protobuf.Value
		switch x := s.Value.(type) {
		case float64:
			v = v.double(2, x)
		case bool:
			n := uint64(0)
			if x {
				n = 1
			}
			v = v.number(4, n)
		default:
			v = v.text(3, fmt.Sprint(x))
		}
		start = start.bytes(1, message(nil).text(1, s.Name).bytes(2, v)) // an entry of the map
	}
	start = start.double(5, float64(e.now().UnixNano())/1e9)
	plugin := message(nil).text(1, "hparams").bytes(2, message(nil).bytes(3, start))
	const float = 1                                         // DT_FLOAT
	one := message(nil).bytes(2, message(nil).number(1, 1)) // a shape of one dimension
	nothing := message(nil).number(1, float).bytes(2, one).bytes(5, []byte{0, 0, 0, 0})
	value := message(nil).text(1, "_hparams_/session_start_info").bytes(8, nothing)
	return e.value(0, value.bytes(9, message(nil).bytes(1, plugin)))
}
