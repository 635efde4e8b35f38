package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Every page has one series that counts its scrapes, with the target's number
// as a label: by it the receiver knows which scrape arrived, and when.
const (
	sequenceName = "bench_scrape_seq"
	targetLabel  = "bench_target"
)

// kind is how the values of an instrument move.
type kind int

const (
	still        kind = iota
	counter           // whole steps
	counterFloat      // steps of a fraction
	gauge             // any value up to scale
	gaugeBytes        // pages of 4 KiB up and down
	gaugeSmall        // a whole number up to scale
	histogram         // buckets, sum, count
	summary           // quantiles, sum, count
)

// line is one series of a page, its value as text kept ready.
type line struct {
	series string // name, labels and a space
	value  float64
	text   []byte
}

func (l *line) set(v float64) {
	l.value = v
	l.text = strconv.AppendFloat(l.text[:0], v, 'g', -1, 64)
}

// instrument is one counter, one gauge, or one whole histogram or summary.
type instrument struct {
	head   string // HELP and TYPE, at the first of a family
	kind   kind
	scale  float64
	moving bool // the others hold their values for ever
	lines  []line
	again  func() []string // the series under new labels, for churn; nil = they stay
}

// page is what one target shows: static text kept ready, so that only values
// that moved are formatted for a scrape and serving stays cheap. Pages of the
// same target number and shape are the same in every run.
type page struct {
	instruments []instrument
	series      int
	sequence    int64 // scrapes rendered
	counts      *line // the line that says so
	churn       float64
	random      *rand.Rand
}

// newPage makes the page of target id.
func newPage(id int, g group) (*page, error) {
	p := &page{random: rand.New(rand.NewPCG(uint64(id), 0x6b696e676c6574))}
	want := g.Series
	switch path, recorded := strings.CutPrefix(g.Shape, filePrefix); {
	case recorded:
		if err := p.addRecorded(path); err != nil {
			return nil, err
		}
		want = p.series + 1
	case g.Shape == "app":
		p.addApp(id, g.Series-1)
	case g.Shape == "cadvisor":
		p.addCadvisor(g.Series - 1)
	default:
		return nil, fmt.Errorf("shape %q: want app, cadvisor or file:PATH", g.Shape)
	}
	p.instruments = append(p.instruments, instrument{
		head:  headOf(sequenceName, "Scrapes of this target.", "counter"),
		lines: []line{{series: sequenceName + "{" + labels(targetLabel, strconv.Itoa(id)) + "} "}},
	})
	p.series++
	p.counts = &p.instruments[len(p.instruments)-1].lines[0]
	if p.series != want {
		return nil, fmt.Errorf("shape %s: made %d series, not %d: want another number", g.Shape, p.series, want)
	}
	return p, nil
}

// add appends an instrument; 58 % of them move, most of those at each scrape.
func (p *page) add(in instrument, series []string) *instrument {
	in.moving = in.kind != still && p.random.Float64() < 0.58
	in.lines = make([]line, len(series))
	for i, s := range series {
		in.lines[i].series = s
	}
	p.begin(&in)
	p.series += len(series)
	p.instruments = append(p.instruments, in)
	return &p.instruments[len(p.instruments)-1]
}

// begin gives an instrument its first values.
func (p *page) begin(in *instrument) {
	r, lines := p.random, in.lines
	last := len(lines) - 1
	switch in.kind {
	case histogram:
		total := float64(r.IntN(100))
		if in.moving {
			total += float64(r.IntN(100_000))
		}
		sum := 0.0
		for i := range last - 2 {
			sum += math.Floor((total - sum) * r.Float64() * 0.6)
			lines[i].set(sum)
		}
		lines[last-2].set(total)
		lines[last-1].set(total * in.scale * (0.5 + r.Float64()))
		lines[last].set(total)
	case summary:
		for i := range last - 1 {
			lines[i].set(in.scale * float64(i+1) * (0.5 + r.Float64()))
		}
		count := float64(r.IntN(1_000_000))
		lines[last-1].set(count * in.scale * (0.5 + r.Float64()))
		lines[last].set(count)
	case counter:
		lines[0].set(0)
		if in.moving || r.Float64() < 0.3 {
			lines[0].set(math.Floor(in.scale * 1000 * r.Float64()))
		}
	case counterFloat:
		lines[0].set(math.Round(in.scale*1e9*r.Float64()) / 1e6)
	case gauge:
		lines[0].set(in.scale * r.Float64())
	case gaugeBytes:
		lines[0].set(math.Floor(in.scale*r.Float64()/4096) * 4096)
	case gaugeSmall:
		lines[0].set(float64(r.IntN(int(in.scale) + 1)))
	default:
		for i := range lines {
			lines[i].set(in.scale)
		}
	}
}

// evolve moves all values one scrape on, and replaces this fraction of the
// series by others.
func (p *page) evolve(replaced float64) {
	p.sequence++
	p.counts.set(float64(p.sequence))
	for i := range p.instruments {
		if in := &p.instruments[i]; in.moving && p.random.IntN(10) > 0 {
			p.move(in)
		}
	}
	p.churn += replaced * float64(p.series)
	for tries := 0; p.churn >= 1 && tries < 4*len(p.instruments); tries++ {
		in := &p.instruments[p.random.IntN(len(p.instruments))]
		if p.replace(in) {
			p.churn -= float64(len(in.lines))
		}
	}
}

// replace gives the series of an instrument other labels and first values. It
// says no if they stay for ever.
func (p *page) replace(in *instrument) bool {
	if in.again == nil {
		return false
	}
	for i, s := range in.again() {
		in.lines[i].series = s
	}
	p.begin(in)
	return true
}

// replaceAll replaces every series once. Replaced series have labels that they
// share with nobody: what an agent keeps of a page is the most when all are, which
// takes half an hour of churn at 10 % a minute.
func (p *page) replaceAll() {
	for i := range p.instruments {
		p.replace(&p.instruments[i])
	}
}

func (p *page) move(in *instrument) {
	r, lines := p.random, in.lines
	last := len(lines) - 1
	switch in.kind {
	case histogram:
		for range 1 + r.IntN(3) {
			observed := float64(1 + r.IntN(5))
			for i := r.IntN(last-2) * 2 / 3; i < last-1; i++ {
				lines[i].value += observed
			}
			lines[last-1].value += observed * in.scale * r.Float64()
			lines[last].value += observed
		}
	case summary:
		for i := range last - 1 {
			lines[i].value *= 0.95 + 0.1*r.Float64()
		}
		lines[last-1].value += in.scale * r.Float64()
		lines[last].value += float64(1 + r.IntN(9))
	case counter:
		lines[0].value += 1 + math.Floor(in.scale*r.Float64())
	case counterFloat:
		lines[0].value = math.Round((lines[0].value+in.scale*r.Float64())*1e6) / 1e6
	case gauge:
		lines[0].value = in.scale * r.Float64()
	case gaugeBytes:
		lines[0].value = max(0, lines[0].value+float64((r.IntN(201)-100)*4096))
	case gaugeSmall:
		lines[0].value = float64(r.IntN(int(in.scale) + 1))
	}
	for i := range lines {
		lines[i].set(lines[i].value)
	}
}

// render appends the whole page to dst.
func (p *page) render(dst []byte) []byte {
	for i := range p.instruments {
		in := &p.instruments[i]
		dst = append(dst, in.head...)
		for j := range in.lines {
			dst = append(dst, in.lines[j].series...)
			dst = append(dst, in.lines[j].text...)
			dst = append(dst, '\n')
		}
	}
	return dst
}

// headOf is what stands before the first line of a family.
func headOf(name, help, kind string) string {
	return "# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n"
}

// labels writes names and values, in turn, as a page has them.
func labels(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(pairs[i] + "=" + strconv.Quote(pairs[i+1]))
	}
	return b.String()
}

// pick chooses one.
func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// draw makes n random letters of the alphabet given.
func draw(r *rand.Rand, alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

func hex(r *rand.Rand, n int) string { return draw(r, "0123456789abcdef", n) }

// podName is as a Deployment's pods are called.
func podName(r *rand.Rand, deployment string) string {
	const alphabet = "bcdfghjklmnpqrstvwxz2456789"
	return deployment + "-" + draw(r, alphabet, 10) + "-" + draw(r, alphabet, 5)
}

func namespaces() []string {
	return []string{
		"default", "kube-system", "monitoring", "payments-prod", "orders-prod", "ingress-nginx", "data-platform",
		"ml-serving", "cert-manager", "istio-system",
	}
}

func deployments() []string {
	return []string{
		"checkout", "orders-api", "payment-gateway", "user-profile", "recommendation-engine", "search-indexer",
		"kube-proxy", "coredns", "node-exporter", "ingress-nginx-controller", "fluent-bit", "notification-worker",
	}
}
