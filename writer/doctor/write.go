package doctor

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"kinglet"
	"kinglet/conf/httpclient"
	"kinglet/writer/remotewrite"
)

// ProbeName is the metric that is written, and the only one.
const ProbeName = "kinglet_doctor_probe"

// oldBy is the age of the old sample: as after a short outage, and within the
// time of all stores that take samples out of order at all.
const oldBy = 2 * time.Minute

// write writes two samples of two series, one of now and an old one, and looks
// what became of them.
func (e *examination) write(ctx context.Context) {
	query := cmp.Or(e.options.QueryURL, e.cfg.QueryURL)
	if !e.options.Write {
		const not = "not done: it writes two samples of " + ProbeName + ", which --write allows"
		e.add("write", Skip, not)
		e.add("old_samples", Skip, not)
		e.add("read_back", Skip, not)
		return
	}
	id := rand.Text()
	now := time.Now().Truncate(time.Millisecond)
	old := now.Add(-oldBy)
	answer, err := e.client.Probe(ctx, remotewrite.Probe1, e.row(id, "old", old), e.row(id, "new", now))
	switch {
	case err != nil:
		e.add("write", Fail, "no answer (%s)", oneLine(err.Error()))
		return
	case answer.Status/100 != 2:
		e.add("write", Fail, "answered %d%s to two samples of %s", answer.Status, said(answer), ProbeName)
		return
	}
	e.add("write", OK, `answered %d to two samples of %s{probe="%s"}`, answer.Status, ProbeName, id)
	if query == "" {
		const not = "not done: want query_url, or --query-url, of the store's query API"
		e.add("old_samples", Skip, not)
		e.add("read_back", Skip, not)
		return
	}
	e.readBack(ctx, query, id, old, now)
}

// row is one sample of the doctor's own, with the writer's external labels.
func (e *examination) row(id, age string, at time.Time) *kinglet.Row {
	labels := []kinglet.Label{
		{Name: kinglet.MetricNameLabel, Value: ProbeName}, {Name: "age", Value: age}, {Name: "probe", Value: id},
	}
	if e.options.Hostname != "" {
		labels = append(labels, kinglet.Label{Name: "agent_hostname", Value: e.options.Hostname})
	}
	for name, value := range e.cfg.ExternalLabels {
		taken := slices.ContainsFunc(labels, func(l kinglet.Label) bool { return l.Name == name })
		if !taken && value != "" {
			labels = append(labels, kinglet.Label{Name: name, Value: value})
		}
	}
	slices.SortFunc(labels, func(a, b kinglet.Label) int { return cmp.Compare(a.Name, b.Name) })
	return &kinglet.Row{
		Shape: kinglet.NewShape([]kinglet.Series{{Labels: labels}}), TimestampMs: at.UnixMilli(), Values: []float64{1},
	}
}

// readBack looks for both samples until they are found.
func (e *examination) readBack(ctx context.Context, query, id string, old, now time.Time) {
	cfg, err := e.queryConfig(query)
	if err != nil {
		e.add("read_back", Fail, "%s", oneLine(err.Error()))
		return
	}
	doer, err := remotewrite.NewHTTP(cfg)
	if err != nil {
		e.add("read_back", Fail, "query_url: %s", oneLine(err.Error()))
		return
	}
	defer doer.Forget()
	client := remotewrite.NewClient(cfg, doer, e.options.UserAgent)
	ctx, cancel := context.WithTimeout(ctx, e.options.ReadBack)
	defer cancel()
	var found map[string]time.Time // by age
	for {
		body, queryErr := client.Query(ctx, query, fmt.Sprintf(`%s{probe="%s"}[1h]`, ProbeName, id))
		if queryErr == nil {
			found, queryErr = samplesOf(body)
		}
		if ctx.Err() == nil {
			err = queryErr // not that we ran out of time
		}
		if len(found) == 2 {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
			continue
		}
		break
	}
	e.judgeReadBack(found, old, now, err)
}

func (e *examination) judgeReadBack(found map[string]time.Time, old, now time.Time, err error) {
	fresh, isFresh := found["new"]
	aged, isAged := found["old"]
	switch {
	case err != nil && len(found) == 0:
		e.add("read_back", Fail, "the query API does not answer (%s): mend query_url, below which /api/v1/query is", oneLine(err.Error()))
		return
	case !isFresh && !isAged:
		e.add("read_back", Fail, "what was written is not found within %v, though it was acknowledged: is query_url that of the same store and tenant?", e.options.ReadBack)
		return
	case !isFresh:
		e.add("read_back", Fail, "the sample of now is not found within %v, though it was acknowledged", e.options.ReadBack)
	case !near(fresh, now):
		e.add("read_back", Warn, "the sample of now is found, with another time than it had, %v off", fresh.Sub(now).Round(time.Second))
	default:
		e.add("read_back", OK, "what was written is found")
	}
	switch {
	case !isAged:
		e.add("old_samples", Fail, "a sample %v old was acknowledged and is not found: what waits through an outage would be lost", oldBy)
	case near(aged, old):
		e.add("old_samples", OK, "a sample %v old has kept its time", oldBy)
	default:
		e.add("old_samples", Warn, "a sample %v old was stored as of %v later: the server stamps samples itself, so what waits through an outage lands at its end. In Nightingale set ForceUseServerTS = false under [Pushgw]", oldBy, aged.Sub(old).Round(10*time.Second))
	}
}

// near allows for stores that keep whole seconds.
func near(a, b time.Time) bool { return a.Sub(b).Abs() <= time.Second }

// samplesOf gives the time of the last sample of each age.
func samplesOf(body []byte) (map[string]time.Time, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Values [][2]json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, errors.New("the answer is no JSON of a query API")
	}
	found := map[string]time.Time{}
	for _, series := range answer.Data.Result {
		if len(series.Values) == 0 {
			continue
		}
		at, err := strconv.ParseFloat(string(series.Values[len(series.Values)-1][0]), 64)
		if err != nil {
			return nil, errors.New("the answer has a sample without a time")
		}
		found[series.Metric["age"]] = time.UnixMilli(int64(at * 1000))
	}
	return found, nil
}

// queryConfig has the writer's credentials where that goes to the writer's own
// host, else those of the query URL alone.
func (e *examination) queryConfig(query string) (remotewrite.Config, error) {
	cfg := e.cfg
	to, err := url.Parse(query)
	if err != nil {
		return cfg, errors.New("query_url cannot be read: want http://HOST:PORT")
	}
	own, err := url.Parse(cfg.URL)
	if err != nil || own.Scheme != to.Scheme || own.Hostname() != to.Hostname() {
		cfg.User, cfg.Pass, cfg.PassFile, cfg.BearerToken, cfg.BearerTokenFile = "", "", "", "", ""
		cfg.OAuth2, cfg.Headers = httpclient.OAuth2{}, nil
		cfg.Cert, cfg.Key = "", ""
	}
	cfg.URL = query
	return cfg, nil
}
