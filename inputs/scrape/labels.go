package scrape

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"kinglet"
	"kinglet/conf/relabel"
)

// Honor says who wins when the page has a label that the target has too.
type Honor uint8

const (
	HonorTarget   Honor = iota // the target's label replaces the exposed one, as Categraf
	HonorExported              // the target's wins, the exposed one becomes exported_NAME
	HonorExposed               // the exposed label wins
)

// LabelConfig is what makes the final labels of a target's series. The fields
// are applied in the order of the steps of docs/scraping.md.
type LabelConfig struct {
	IgnoreMetrics   *Globs          // names of families to leave out
	IgnoreLabelKeys *Globs          // exposed labels to leave out
	Target          []kinglet.Label // from the URL: instance and the like
	Honor           Honor
	NamePrefix      string // joined with _, unless the family's name begins with it
	Drop, Pass      *Globs // by metric name; nil Pass passes all
	Enums           []Enum

	MetricsNamePrefix string            // put before every name as it is
	Instance          map[string]string // set over everything; "-" deletes
	Global            map[string]string // set where absent
	Hostname          string            // agent_hostname where absent; "" = none

	AnyName bool // names may hold any UTF-8; otherwise what remote write 1.0 cannot carry becomes _

	Relabel       *relabel.Rules // over every sample, up and scrape_* too
	MetricRelabel *relabel.Rules // over the page's samples only
}

// Enum maps the values of some metrics to others.
type Enum struct {
	Metrics *Globs
	Values  map[float64]float64
}

// HostnameLabel is the label that names the host.
const HostnameLabel = "agent_hostname"

// errNoName says that metric_relabel_configs left a series without its name (RW-133).
var errNoName = errors.New("metric_relabel_configs leave a series without a metric name: keep the label __name__")

// Labeler makes final labels of exposed ones. It is immutable and safe for
// concurrent use.
type Labeler struct {
	cfg      LabelConfig
	instance []kinglet.Label // sorted, without deletions
	deleted  []string        // sorted
	global   []kinglet.Label // sorted
}

// NewLabeler makes a Labeler. Configured labels that no series can have, which
// the inputs refuse, are left out: a name that is empty or the metric name's.
func NewLabeler(cfg LabelConfig) *Labeler {
	cfg.Target = usable(slices.Clone(cfg.Target))
	cfg.Hostname = validText(cfg.Hostname)
	l := &Labeler{cfg: cfg, global: usable(sortedLabels(cfg.Global))}
	for _, label := range usable(sortedLabels(cfg.Instance)) {
		if label.Value == "-" {
			l.deleted = append(l.deleted, label.Name)
			continue
		}
		l.instance = append(l.instance, label)
	}
	return l
}

// usable takes out of labels, in place, what no series can have, and what is
// there twice; values are made UTF-8.
func usable(labels []kinglet.Label) []kinglet.Label {
	kept := labels[:0]
	for _, label := range labels {
		label.Name, label.Value = validText(label.Name), validText(label.Value)
		if label.Name != "" && label.Name != kinglet.MetricNameLabel && indexOf(kept, label.Name) < 0 {
			kept = append(kept, label)
		}
	}
	return kept
}

// validText is s with every byte that is no UTF-8 replaced, which a URL may bring.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// family is what a page said of the metric family that a series belongs to.
type family struct {
	name string
	kind kinglet.MetricType
}

// labeled is a series with final labels.
type labeled struct {
	labels []kinglet.Label     // sorted; nil if the series is left out
	values map[float64]float64 // from processor_enum; nil for none
	meta   *kinglet.Meta       // of the target's own series; nil otherwise
}

// series makes the final labels of one exposed series. It takes exposed, which
// holds the metric name, and may change it. An error fails the scrape.
func (l *Labeler) series(exposed []kinglet.Label, f family) (labeled, error) {
	name, labels := cutName(exposed)
	if f.name == "" {
		f.name = name
	}
	if l.cfg.IgnoreMetrics.Match(f.name) {
		return labeled{}, nil
	}
	bound := boundLabel(name, f)
	if l.cfg.IgnoreLabelKeys != nil {
		labels = slices.DeleteFunc(labels, func(label kinglet.Label) bool {
			return label.Name != bound && l.cfg.IgnoreLabelKeys.Match(label.Name)
		})
	}
	if l.cfg.Honor == HonorExported {
		labels = l.export(labels)
	}
	var exposedNames []string // that win over the target's, if they are to
	if l.cfg.Honor == HonorExposed {
		for _, label := range labels {
			exposedNames = append(exposedNames, label.Name)
		}
	}
	for _, label := range l.cfg.Target {
		if label.Name != bound && !slices.Contains(exposedNames, label.Name) {
			labels = set(labels, label)
		}
	}
	if p := l.cfg.NamePrefix; p != "" && !strings.HasPrefix(f.name, p) {
		name = p + "_" + name
	}
	return l.finish(name, labels, exposedNames, true)
}

// family is the name under which a family's series are sent, but for relabeling.
func (l *Labeler) family(exposed string) string {
	name := exposed
	if p := l.cfg.NamePrefix; p != "" && !strings.HasPrefix(name, p) {
		name = p + "_" + name
	}
	if !l.cfg.AnyName {
		name = kinglet.ToLegacyName(rewriteName(name), true)
	}
	return l.cfg.MetricsNamePrefix + name
}

// report makes the final labels of one of the target's own series (up and
// scrape_*).
func (l *Labeler) report(name string) labeled {
	made, err := l.finish(name, slices.Clone(l.cfg.Target), nil, false)
	if err != nil {
		return labeled{}
	}
	return made
}

// finish does the steps that the page's series and the target's own share.
func (l *Labeler) finish(name string, labels []kinglet.Label, exposedNames []string, fromPage bool) (labeled, error) {
	if !l.cfg.AnyName {
		name = rewriteName(name)
	}
	if l.cfg.Drop.Match(name) || (l.cfg.Pass != nil && !l.cfg.Pass.Match(name)) {
		return labeled{}, nil
	}
	values := l.enumOf(name)
	name = l.cfg.MetricsNamePrefix + name
	for _, label := range l.instance {
		if !slices.Contains(exposedNames, label.Name) {
			labels = set(labels, label)
		}
	}
	for _, gone := range l.deleted {
		labels = slices.DeleteFunc(labels, func(label kinglet.Label) bool { return label.Name == gone })
	}
	for _, label := range l.global {
		if indexOf(labels, label.Name) < 0 {
			labels = append(labels, label)
		}
	}
	if l.cfg.Hostname != "" && indexOf(labels, HostnameLabel) < 0 {
		labels = append(labels, kinglet.Label{Name: HostnameLabel, Value: l.cfg.Hostname})
	}
	labels, keep, err := l.relabel(name, labels, fromPage)
	if err != nil || !keep {
		return labeled{}, err
	}
	return labeled{labels: normalize(labels, l.cfg.AnyName), values: values}, nil
}

// relabel runs the rules. Categraf's relabel_configs cannot take the metric
// name away; metric_relabel_configs can, which fails the scrape.
func (l *Labeler) relabel(name string, labels []kinglet.Label, fromPage bool) ([]kinglet.Label, bool, error) {
	labels = append(labels, kinglet.Label{Name: kinglet.MetricNameLabel, Value: name})
	labels, keep := l.cfg.Relabel.Process(labels)
	if !keep {
		return nil, false, nil
	}
	if i := indexOf(labels, kinglet.MetricNameLabel); i < 0 || labels[i].Value == "" {
		labels = set(labels, kinglet.Label{Name: kinglet.MetricNameLabel, Value: name})
	}
	if !fromPage {
		return labels, true, nil
	}
	labels, keep = l.cfg.MetricRelabel.Process(labels)
	if i := indexOf(labels, kinglet.MetricNameLabel); keep && (i < 0 || labels[i].Value == "") {
		return nil, false, errNoName
	}
	return labels, keep, nil
}

// export renames exposed labels that the target has too (RW-129).
func (l *Labeler) export(labels []kinglet.Label) []kinglet.Label {
	own := func(name string) bool { return indexOf(l.cfg.Target, name) >= 0 || indexOf(l.instance, name) >= 0 }
	var conflicts []kinglet.Label
	labels = slices.DeleteFunc(labels, func(label kinglet.Label) bool {
		if !own(label.Name) {
			return false
		}
		if label.Value != "" {
			conflicts = append(conflicts, label)
		}
		return true
	})
	slices.SortStableFunc(conflicts, func(a, b kinglet.Label) int { return cmp.Compare(len(a.Name), len(b.Name)) })
	for _, label := range conflicts {
		for label.Name = "exported_" + label.Name; own(label.Name) || indexOf(labels, label.Name) >= 0; {
			label.Name = "exported_" + label.Name
		}
		labels = append(labels, label)
	}
	return labels
}

// enumOf is the value map for a metric: of several the first that has a value
// wins.
func (l *Labeler) enumOf(name string) map[float64]float64 {
	var values map[float64]float64
	for _, e := range l.cfg.Enums {
		if !e.Metrics.Match(name) {
			continue
		}
		if values == nil {
			values = map[float64]float64{}
		}
		for from, to := range e.Values {
			if _, ok := values[from]; !ok {
				values[from] = to
			}
		}
	}
	return values
}

// boundLabel is the label that belongs to the kind of series and not to the
// exposing program: le of a bucket, quantile of a summary.
func boundLabel(name string, f family) string {
	switch f.kind {
	case kinglet.TypeHistogram, kinglet.TypeGaugeHistogram:
		if strings.HasSuffix(name, "_bucket") {
			return "le"
		}
	case kinglet.TypeSummary:
		return "quantile"
	}
	return ""
}

func cutName(labels []kinglet.Label) (name string, rest []kinglet.Label) {
	if i := indexOf(labels, kinglet.MetricNameLabel); i >= 0 {
		name = labels[i].Value // before Delete moves it
		return name, slices.Delete(labels, i, i+1)
	}
	return "", labels
}

func indexOf(labels []kinglet.Label, name string) int {
	return slices.IndexFunc(labels, func(l kinglet.Label) bool { return l.Name == name })
}

func set(labels []kinglet.Label, label kinglet.Label) []kinglet.Label {
	if i := indexOf(labels, label.Name); i >= 0 {
		labels[i].Value = label.Value
		return labels
	}
	return append(labels, label)
}

func sortedLabels(m map[string]string) []kinglet.Label {
	labels := make([]kinglet.Label, 0, len(m))
	for name, value := range m {
		labels = append(labels, kinglet.Label{Name: name, Value: value})
	}
	slices.SortFunc(labels, byName)
	return labels
}

func byName(a, b kinglet.Label) int { return cmp.Compare(a.Name, b.Name) }
