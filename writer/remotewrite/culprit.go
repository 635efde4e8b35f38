package remotewrite

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"kinglet"
	"kinglet/writer/queue"
)

// seriesOf cuts a block into blocks of one series each, fit for requests of that
// form, and tells how many samples that form cannot carry. There are none of a
// block that cannot be read.
func seriesOf(b queue.Block, f form) (all []queue.Block, lost int) {
	var err error
	if f != formMessage2 {
		if b, lost, err = plain(b); err != nil {
			return nil, 0
		}
	}
	if all, err = singles(b); err != nil {
		return nil, 0
	}
	return all, lost
}

// singles cuts a block into blocks of one series each, in order. The Target of
// each is a hash of its series' labels.
func singles(b queue.Block) ([]queue.Block, error) {
	raw, err := unpackBlocks([]queue.Block{b})
	if err != nil {
		return nil, err
	}
	var all []queue.Block
	var scratch []byte
	for rest := raw; len(rest) > 0; {
		message := rest
		var f field
		if f, rest, err = cutField(rest); err != nil {
			return nil, fmt.Errorf("cut a block into its series: %w", err)
		}
		if f.tag != tagTimeSeries {
			return nil, fmt.Errorf("cut a block into its series: %w", errDamaged)
		}
		one := b
		if one.Target, err = seriesHash(f.data); err != nil {
			return nil, fmt.Errorf("cut a block into its series: %w", err)
		}
		message = message[:len(message)-len(rest)]
		one.Lease, one.RawLen, one.Samples = nil, len(message), 1
		one.Stream, scratch = compress(message, scratch)
		all = append(all, one)
	}
	return all, nil
}

// seriesHash hashes the labels of a series; it is never 0, which is no target.
func seriesHash(series []byte) (uint64, error) {
	h := fnv.New64a()
	err := eachField(series, func(f field) error {
		if f.tag == tagSeriesLabels {
			_, _ = h.Write(f.data) // it never fails
		}
		return nil
	})
	return max(1, h.Sum64()), err
}

const (
	namedBlocks = 8   // of a target are read to name it
	maxName     = 300 // bytes
)

// nameOf names what blocks are of, if that is one target or one series: the
// labels that all their series have, cut to maxName. It unpacks blocks, and is for the
// log.
func nameOf(blocks []queue.Block) string {
	if len(blocks) == 0 || run(blocks) != len(blocks) {
		return ""
	}
	series, err := Decode(AppendBody(nil, blocks[:min(len(blocks), namedBlocks)]))
	if err != nil || len(series) == 0 {
		return ""
	}
	common := slices.Clone(series[0].Labels)
	for i := range series {
		common = slices.DeleteFunc(common, func(l kinglet.Label) bool { return !slices.Contains(series[i].Labels, l) })
	}
	if len(common) == 0 {
		return ""
	}
	pairs := make([]string, len(common))
	for i, l := range common {
		pairs[i] = fmt.Sprintf("%s=%q", l.Name, l.Value)
	}
	name := "{" + strings.Join(pairs, ",") + "}"
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "..."
	}
	return name
}
