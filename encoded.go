package kinglet

import (
	"bytes"
	"fmt"
)

// EncodedSeries is a Series whose final labels were encoded with
// AppendEncodedLabels. The bytes stay the owner's and are read only.
type EncodedSeries struct {
	Labels []byte
	Meta   *Meta
	Kind   Kind
	Names  Names
}

// NewShapeFromEncoded is NewShape for labels that are encoded already. It keeps
// none of the bytes, and works in room.
func NewShapeFromEncoded(room *LabelRoom, series []EncodedSeries) *Shape {
	p := newPacker(room, len(series))
	for i := range series {
		if series[i].Names != NamesLegacy {
			checkFinalEncoded(series[i].Labels)
			p.shape.legacy = p.shape.legacy && LegacyNames(series[i].Labels)
		}
		p.add(series[i].Labels, series[i].Kind, series[i].Meta)
	}
	return p.shape
}

// checkFinalEncoded is checkFinal for encoded labels.
func checkFinalEncoded(labels []byte) {
	var last []byte
	for len(labels) > 0 {
		name, value, rest := CutLabel(labels)
		if len(name) == 0 || len(value) == 0 {
			panic(fmt.Sprintf("kinglet: label %q has an empty name or value", name))
		}
		if last != nil && bytes.Compare(last, name) >= 0 {
			panic(fmt.Sprintf("kinglet: label %q does not sort after %q", name, last))
		}
		last, labels = name, rest
	}
}
