package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

const (
	// queryTimeout ends a query that a person would no longer wait for.
	queryTimeout = 30 * time.Second
	// queryMaxSamples bounds the memory of a query: 16 bytes a sample make 80 MiB.
	queryMaxSamples = 5_000_000
	// outOfOrderWindow lets a request that was sent again arrive late.
	outOfOrderWindow = 10 * time.Minute
)

// store is Prometheus' time-series database and its query engine in a folder
// that is removed when the store is closed.
type store struct {
	dir    string
	db     *tsdb.DB
	engine *promql.Engine
	parser parser.Parser
	counts storeCounts
}

// storeCounts is what arrived since the start.
type storeCounts struct {
	requests, samples, refused atomic.Int64 // refused: samples the database would not take
	wireBytes, rawBytes        atomic.Int64 // request bodies as received, and uncompressed
	firstMs                    atomic.Int64 // when the first sample was stored, in Unix milliseconds; 0 = not yet
}

// openStore makes an empty database in a new folder under dir.
func openStore(dir string) (*store, error) {
	o := tsdb.DefaultOptions()
	o.RetentionDuration = (24 * time.Hour).Milliseconds()
	o.OutOfOrderTimeWindow = outOfOrderWindow.Milliseconds()
	o.NoLockfile = true
	path := filepath.Join(dir, "tsdb")
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the database's folder: %w", err)
	}
	quiet := slog.New(slog.DiscardHandler)
	db, err := tsdb.Open(path, quiet, nil, o, nil)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	p := parser.NewParser(parser.Options{})
	return &store{dir: path, db: db, parser: p, engine: promql.NewEngine(promql.EngineOpts{
		Logger: quiet, MaxSamples: queryMaxSamples, Timeout: queryTimeout, Parser: p,
		EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
	})}, nil
}

// Close ends the database and removes its folder.
func (s *store) Close() error {
	return errors.Join(s.engine.Close(), s.db.Close(), os.RemoveAll(s.dir))
}

// appendSeries stores every sample of series that the database takes. A sample
// that it refuses (too old, or the same instant with another value) makes a
// badSampleError once the others are stored.
func (s *store) appendSeries(ctx context.Context, series []prompb.TimeSeries) error {
	app := s.db.Appender(ctx)
	builder := labels.NewScratchBuilder(16)
	stored, refused := 0, 0
	var first error
	for i := range series {
		ls := series[i].ToLabels(&builder, nil)
		if name, dup := ls.HasDuplicateLabelNames(); dup || ls.Get(model.MetricNameLabel) == "" {
			refused += len(series[i].Samples)
			first = cmp.Or(first, fmt.Errorf("series %s: no name, or label %q twice", ls, name))
			continue
		}
		var ref storage.SeriesRef
		for _, sample := range series[i].Samples {
			next, err := app.Append(ref, ls, sample.Timestamp, sample.Value)
			if err == nil {
				ref = next
				stored++
				continue
			}
			if !isBadSample(err) {
				return errors.Join(fmt.Errorf("append %s: %w", ls, err), app.Rollback())
			}
			refused++
			first = cmp.Or(first, fmt.Errorf("series %s: %w", ls, err))
		}
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("commit %d samples: %w", stored, err)
	}
	if stored > 0 {
		s.counts.firstMs.CompareAndSwap(0, time.Now().UnixMilli())
	}
	s.counts.samples.Add(int64(stored))
	s.counts.refused.Add(int64(refused))
	if first != nil {
		return &badSampleError{refused: refused, first: first}
	}
	return nil
}

// badSampleError says that samples can never be stored, however often they are sent.
type badSampleError struct {
	refused int
	first   error
}

func (e *badSampleError) Error() string {
	return fmt.Sprintf("%d samples refused; the first: %v", e.refused, e.first)
}

func (e *badSampleError) Unwrap() error { return e.first }

func isBadSample(err error) bool {
	for _, bad := range []error{
		storage.ErrOutOfOrderSample, storage.ErrOutOfBounds, storage.ErrTooOldSample, storage.ErrDuplicateSampleForTimestamp,
	} {
		if errors.Is(err, bad) {
			return true
		}
	}
	return false
}

// instant answers a PromQL query at one instant.
func (s *store) instant(ctx context.Context, query string, at time.Time) (*promql.Result, error) {
	q, err := s.engine.NewInstantQuery(ctx, s.db, nil, query, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	return detach(q.Exec(ctx))
}

// between answers a PromQL query at every step from start to end.
func (s *store) between(ctx context.Context, query string, start, end time.Time, step time.Duration) (*promql.Result, error) {
	q, err := s.engine.NewRangeQuery(ctx, s.db, nil, query, start, end, step)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	return detach(q.Exec(ctx))
}

// detach copies what the engine reuses once the query is closed.
func detach(r *promql.Result) (*promql.Result, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	if m, ok := r.Value.(promql.Matrix); ok {
		copied := make(promql.Matrix, len(m))
		for i, series := range m {
			copied[i] = series
			copied[i].Floats = append([]promql.FPoint(nil), series.Floats...)
			copied[i].Histograms = append([]promql.HPoint(nil), series.Histograms...)
		}
		r.Value = copied
	}
	return r, nil
}

// seriesCount is how many series the database holds in memory.
func (s *store) seriesCount() uint64 { return s.db.Head().NumSeries() }

// meter turns a growing count into a rate over the time between two looks.
type meter struct {
	mu    sync.Mutex
	last  int64
	since time.Time
	rate  float64
}

// observe returns the rate in units a second, as of the last look that was at
// least minGap after the one before.
func (m *meter) observe(count int64, now time.Time, minGap time.Duration) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.since.IsZero() {
		m.last, m.since = count, now
		return 0
	}
	if gap := now.Sub(m.since); gap >= minGap {
		m.rate = float64(count-m.last) / math.Max(gap.Seconds(), 1e-9)
		m.last, m.since = count, now
	}
	return m.rate
}
