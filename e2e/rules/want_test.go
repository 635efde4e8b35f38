//go:build e2e

package rules

import (
	"fmt"
	"math"
	"strings"
)

// rounds holds when the results of n scrapes of the first target have arrived.
func rounds(n int) Want { return roundsAt(0, n) }

// roundsAt is rounds at another receiver.
func roundsAt(receiver, n int) Want {
	return func(w *World) error {
		found, err := w.findAt(receiver, `up{instance="$host"}`)
		if err != nil {
			return err
		}
		times := map[int64]bool{}
		for _, samples := range found {
			for _, s := range samples {
				if !s.IsStale() {
					times[s.T] = true
				}
			}
		}
		if len(times) < n {
			return fmt.Errorf("%d scrapes arrived at the receiver, want %d", len(times), n)
		}
		return nil
	}
}

// scrapes holds when the first target was asked n times.
func scrapes(n int) Want {
	return func(w *World) error {
		if got := len(w.targets[0].seen()); got < n {
			return fmt.Errorf("%d scrapes, want %d", got, n)
		}
		return nil
	}
}

// posts holds when the first receiver got n requests.
func posts(n int) Want {
	return func(w *World) error {
		if got := len(w.requests(0)); got < n {
			return fmt.Errorf("%d requests, want %d", got, n)
		}
		return nil
	}
}

// values holds if the selector picks one series and its samples begin so.
func values(selector string, want ...float64) Want {
	return func(w *World) error {
		got, err := w.one(selector)
		if err != nil {
			return err
		}
		return sameValues(selector, got, want, false)
	}
}

// only holds if the selector picks one series and these are all its samples.
func only(selector string, want ...float64) Want {
	return func(w *World) error {
		got, err := w.one(selector)
		if err != nil {
			return err
		}
		return sameValues(selector, got, want, true)
	}
}

func sameValues(selector string, got []Sample, want []float64, whole bool) error {
	ok := len(got) >= len(want) && (!whole || len(got) == len(want))
	for i := 0; ok && i < len(want); i++ {
		bits := math.Float64bits(want[i])
		ok = bits == math.Float64bits(anyValue) || bits == math.Float64bits(got[i].Value)
	}
	if ok {
		return nil
	}
	return fmt.Errorf("%s: values %s, want %s", selector, printSamples(got), printValues(want))
}

func printSamples(samples []Sample) string {
	var vs []float64
	for i, s := range samples {
		if i == 20 {
			break
		}
		vs = append(vs, s.Value)
	}
	return printValues(vs)
}

func printValues(vs []float64) string {
	parts := make([]string, len(vs))
	for i, v := range vs {
		switch bits := math.Float64bits(v); {
		case bits == math.Float64bits(stale):
			parts[i] = "stale"
		case bits == math.Float64bits(anyValue):
			parts[i] = "any"
		case v != v:
			parts[i] = fmt.Sprintf("NaN(%#x)", bits)
		default:
			parts[i] = fmt.Sprint(v)
		}
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// none holds if no series matches.
func none(selectors ...string) Want {
	return func(w *World) error {
		for _, sel := range selectors {
			found, err := w.find(sel)
			if err != nil {
				return err
			}
			if len(found) > 0 {
				return fmt.Errorf("%s arrived, want none%s", sel, listKeys(found))
			}
		}
		return nil
	}
}

// noValue holds if nothing but markers arrived for the series.
func noValue(selector string) Want {
	return func(w *World) error {
		found, err := w.find(selector)
		if err != nil {
			return err
		}
		for key, samples := range found {
			for _, s := range samples {
				if !s.IsStale() {
					return fmt.Errorf("%s arrived with %v, want no value", key, s.Value)
				}
			}
		}
		return nil
	}
}

// noStale holds if no stale marker was sent for what the selector picks.
func noStale(selector string) Want {
	return func(w *World) error {
		found, err := w.find(selector)
		if err != nil {
			return err
		}
		for key, samples := range found {
			for _, s := range samples {
				if s.IsStale() {
					return fmt.Errorf("stale marker for %s at %d, want none", key, s.T)
				}
			}
		}
		return nil
	}
}

// exactly holds if the selector picks one series and want is its whole label
// set, written {a="1",b="2"}.
func exactly(selector, want string) Want {
	return func(w *World) error {
		got, err := w.one(selector)
		if err != nil {
			return err
		}
		parsed, err := parseSelector(w.expand(want))
		if err != nil {
			return err
		}
		if g, e := got[0].Key(), labelText(parsed); g != e {
			return fmt.Errorf("labels %s, want %s", g, e)
		}
		return nil
	}
}

// sameTime holds if sample i of a has the timestamp of sample j of b.
func sameTime(a string, i int, b string, j int) Want {
	return func(w *World) error {
		as, err := w.one(a)
		if err != nil {
			return err
		}
		bs, err := w.one(b)
		if err != nil {
			return err
		}
		if len(as) <= i || len(bs) <= j {
			return fmt.Errorf("%s has %d samples, %s has %d; want to compare %d with %d", a, len(as), b, len(bs), i, j)
		}
		if as[i].T != bs[j].T {
			return fmt.Errorf("%s: sample %d is at %d, want %d, the time of %s", a, i, as[i].T, bs[j].T, b)
		}
		return nil
	}
}

// everyRequest holds if f does for each request of the first receiver, and
// there was one.
func everyRequest(f func(r Request) error) Want {
	return func(w *World) error {
		all := w.requests(0)
		if len(all) == 0 {
			return fmt.Errorf("no request")
		}
		for _, r := range all {
			if r.Fault != nil {
				return fmt.Errorf("request %d: %w", r.N, r.Fault)
			}
			if err := f(r); err != nil {
				return fmt.Errorf("request %d: %w", r.N, err)
			}
		}
		return nil
	}
}

// everySample holds if f does for each sample that was sent, taken or not.
func everySample(f func(s Sample) error) Want {
	return everyRequest(func(r Request) error {
		for _, s := range r.Samples {
			if err := f(s); err != nil {
				return fmt.Errorf("%.300s: %w", s.Key(), err)
			}
		}
		return nil
	})
}

// everyScrape holds if f does for each scrape of the first target.
func everyScrape(f func(s Scrape) error) Want {
	return func(w *World) error {
		for i, s := range w.targets[0].seen() {
			if err := f(s); err != nil {
				return fmt.Errorf("scrape %d: %w", i, err)
			}
		}
		return nil
	}
}

// header holds if a request's header is exactly want.
func header(name, want string) Want {
	return everyRequest(func(r Request) error {
		if got := r.Header.Values(name); len(got) != 1 || got[0] != want {
			return fmt.Errorf("%s: %q, want %q", name, got, want)
		}
		return nil
	})
}

// logs holds if the agent's log holds the text.
func logs(text string) Want {
	return func(w *World) error {
		if !strings.Contains(w.proc.log.text(), w.expand(text)) {
			return fmt.Errorf("the log does not hold %q", text)
		}
		return nil
	}
}

// running holds while the agent has not ended.
func running(w *World) error {
	if w.proc.ended() {
		return fmt.Errorf("the agent ended: %w", w.proc.exit())
	}
	return nil
}
