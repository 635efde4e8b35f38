package remotewrite

import (
	"time"

	"kinglet/writer/queue"
)

// Within a block the order of series is nobody's, and many of them may be refused
// at every scrape. Those that were refused before are sent behind the others, all
// at once: that costs few requests however many they are. One of them, another each
// time, is sent alone, so that what is taken again is found.

// apart puts the series that are suspected behind the others, the one that was not
// tested for the longest time first. Samples of one series stay in order.
func (v *divider) apart(series []queue.Block) []queue.Block {
	clean := make([]queue.Block, 0, len(series))
	var suspected []queue.Block
	oldest, tested := 0, time.Time{}
	for _, one := range series {
		s, ok := v.suspected(one.Target)
		if !ok {
			clean = append(clean, one)
			continue
		}
		if len(suspected) == 0 || s.tested.Before(tested) {
			oldest, tested = len(suspected), s.tested
		}
		suspected = append(suspected, one)
	}
	if oldest > 0 {
		first := suspected[oldest]
		copy(suspected[1:], suspected[:oldest])
		suspected[0] = first
	}
	return append(clean, suspected...)
}

// accuse suspects a series that was refused alone.
func (v *divider) accuse(series uint64) {
	now := time.Now()
	v.hold(series, suspect{now.Add(suspectFor), now, true})
}

// stillSuspected reports whether all of some series were suspected before, which
// they are for longer then.
func (v *divider) stillSuspected(some []queue.Block) bool {
	for i := range some {
		if _, ok := v.suspected(some[i].Target); !ok {
			return false
		}
	}
	until := time.Now().Add(suspectFor)
	for i := range some {
		s := v.suspects[some[i].Target]
		s.until = until
		v.suspects[some[i].Target] = s
	}
	return true
}

// nextSeries is next for the series of a block.
func (d *division) nextSeries(series []queue.Block) int {
	most := len(series)
	if d.bad > 0 {
		most = d.bad
	}
	clean := 0
	for clean < most {
		if _, suspected := d.suspected(series[clean].Target); suspected {
			break
		}
		clean++
	}
	if d.refused {
		most--
	}
	switch {
	case d.left <= lastParts:
		return most
	case clean == 0 && !d.probed:
		d.probed = true
		return 1
	case clean == 0 || d.bad == 0 || clean < d.bad:
		if clean > 0 {
			most = min(most, clean)
		}
		return most
	case d.found > 0:
		return 1 // culprits come in swarms
	}
	return (d.bad + 1) / 2
}
