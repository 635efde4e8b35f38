package remotewrite

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"kinglet"
	"kinglet/conf/unit"
	"kinglet/writer/queue"
)

// richRow has all that only 2.0 carries.
func richRow() *kinglet.Row {
	requests := &kinglet.Meta{Family: "http.requests", Type: kinglet.TypeCounter, Help: "Requests.", Unit: "1"}
	latency := &kinglet.Meta{Family: "latency", Type: kinglet.TypeHistogram, Help: "Latency.", Unit: "seconds"}
	shape := kinglet.NewShape([]kinglet.Series{
		{Labels: labels("__name__", "http.requests", "code", "200"), Meta: requests},
		{Labels: labels("__name__", "http.requests", "code", "500"), Meta: requests},
		{Labels: labels("__name__", "latency"), Kind: kinglet.KindHistogram, Meta: latency},
		{Labels: labels("__name__", "custom"), Kind: kinglet.KindHistogram, Meta: latency},
		{Labels: labels("__name__", "up")},
	})
	return &kinglet.Row{
		Shape: shape, TimestampMs: nowMs, Values: []float64{1, kinglet.Stale(), 0, 0, 1},
		StartsMs: []int64{nowMs - 1000, nowMs + 1, nowMs - 2000, 0, 0},
		Histograms: []*kinglet.Histogram{
			nil, nil, {Count: 3, PositiveSpans: []kinglet.Span{{Offset: -1, Length: 1}}, PositiveDeltas: []int64{3}},
			{Count: 2, Schema: schemaCustom, CustomValues: []float64{1, 2.5}, PositiveSpans: []kinglet.Span{{Length: 1}}, PositiveDeltas: []int64{2}}, nil,
		},
		Exemplars: []kinglet.Exemplar{{Column: 0, Labels: labels("trace_id", "200"), Value: 0.5, TimestampMs: nowMs - 1}},
	}
}

func extendedBlocks(rows ...*kinglet.Row) []queue.Block {
	e := newEncoder(100)
	e.Extended = true
	return e.Encode(rows...)
}

func bodyBytes(b Body) (all []byte) {
	for _, p := range b.parts {
		all = append(all, p...)
	}
	return all
}

func TestMessage2HoldsAllThatARowHas(t *testing.T) {
	blocks := extendedBlocks(richRow())
	blocks = append(blocks, extendedBlocks(richRow())...) // two blocks share one table
	body, err := newBody(formMessage2, blocks)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := snappy.Decode(nil, bodyBytes(body))
	if err != nil {
		t.Fatal(err)
	}
	var got writev2.Request
	if err := proto.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	wantSymbols := []string{"", "__name__", "http.requests", "code", "200", "trace_id", "Requests.", "1", "500",
		"latency", "Latency.", "seconds", "custom", "up"}
	if diff := cmp.Diff(wantSymbols, got.Symbols); diff != "" {
		t.Error(diff)
	}
	if len(got.Timeseries) != 10 || body.holds != (contents{samples: 6, histograms: 4, exemplars: 2}) {
		t.Fatalf("got %d series holding %+v", len(got.Timeseries), body.holds)
	}
	first := writev2.TimeSeries{
		LabelsRefs: []uint32{1, 2, 3, 4}, Samples: []writev2.Sample{{Value: 1, Timestamp: nowMs, StartTimestamp: nowMs - 1000}},
		Exemplars: []writev2.Exemplar{{LabelsRefs: []uint32{5, 4}, Value: 0.5, Timestamp: nowMs - 1}},
		Metadata:  writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER, HelpRef: 6, UnitRef: 7},
	}
	if diff := cmp.Diff(first, got.Timeseries[0]); diff != "" {
		t.Error(diff)
	}
	if s := got.Timeseries[1].Samples[0]; math.Float64bits(s.Value) != kinglet.StaleBits || s.StartTimestamp != 0 {
		t.Errorf("got %v, want a marker without a start after its time (RW-102)", s)
	}
	if h := got.Timeseries[2].Histograms[0]; h.StartTimestamp != nowMs-2000 || h.GetCountInt() != 3 || h.PositiveDeltas[0] != 3 {
		t.Errorf("histogram is %v", h)
	}
	if h := got.Timeseries[3].Histograms[0]; !cmp.Equal(h.CustomValues, []float64{1, 2.5}) || h.Schema != schemaCustom {
		t.Errorf("custom histogram is %v", h)
	}
}

func TestExtendedBlocksGoOutAsPlainOnes(t *testing.T) {
	row := richRow()
	body, err := newBody(formPlain, extendedBlocks(row))
	if err != nil {
		t.Fatal(err)
	}
	if body.lost != 1 || body.samples != 4 {
		t.Errorf("%d samples, %d lost; want 4 and the one with custom buckets", body.samples, body.lost)
	}
	want, err := snappy.Decode(nil, AppendBody(nil, newEncoder(100).Encode(NewView(row.Shape).Row(row))))
	if err != nil {
		t.Fatal(err)
	}
	got, err := snappy.Decode(nil, bodyBytes(body))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("differs from what the encoder makes for 1.0:\n%q\n%q", want, got)
	}
}

func TestZstdHoldsTheSameMessage(t *testing.T) {
	blocks := newEncoder(10).Encode(manyRow(25, 1))
	body, err := newBody(formZstd, blocks)
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got, err := d.DecodeAll(bodyBytes(body), nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := snappy.Decode(nil, AppendBody(nil, blocks))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("the messages differ")
	}
}

// wrote is the headers of a receiver that wrote n samples.
func wrote(n int) http.Header {
	h := http.Header{}
	h.Set("X-Prometheus-Remote-Write-Samples-Written", fmt.Sprint(n))
	return h
}

func TestProtocolIsProvenOrFallsBack(t *testing.T) {
	ok := answer{status: 204}
	written := answer{status: 204, header: wrote(60)}
	for _, tt := range []struct {
		name    string
		edit    func(*Config)
		answers []answer
		forms   string // of the requests: 1, 2 or z
		want    counts
	}{
		{"1.0 by default", func(*Config) {}, []answer{ok, ok, ok}, "111", counts{"sent": 180}},
		{"2.0 that is written stays", message(Message2), []answer{written, written, written}, "222", counts{"sent": 180}},
		{"2.0 taken but written by nobody is sent again as 1.0", message(Message2), []answer{ok, ok, ok, ok}, "2111", counts{"sent": 180, "retried fallback": 1}},
		{"415 falls back", message(Message2), []answer{{status: 415}, ok, ok, ok}, "2111", counts{"sent": 180, "retried fallback": 1}},
		{"400 before proof falls back", message(Message2), []answer{{status: 400}, ok, ok, ok}, "2111", counts{"sent": 180, "retried fallback": 1}},
		{"400 after proof is a refusal", message(Message2), []answer{written, {status: 400, header: wrote(20)}, written}, "222", counts{"sent": 140, "dropped rejected": 40}},
		{"400 that tells what was written is a refusal", message(Message2), []answer{{status: 400, header: wrote(20)}, written, written}, "222", counts{"sent": 140, "dropped rejected": 40}},
		{"400 that tells of nothing written is one too", message(Message2), []answer{{status: 400, header: wrote(0)}, written, written}, "222", counts{"sent": 120, "dropped rejected": 60}},
		{"400 that wrote a part is not repeated though 400 is to be", func(c *Config) { c.ProtobufMessage, c.RetryStatus = Message2, []int{400} },
			[]answer{{status: 400, header: wrote(20)}, written, written}, "222", counts{"sent": 140, "dropped rejected": 40}},
		{"400 that wrote a part ends the first try of auto", message(MessageAuto), []answer{ok, {status: 400, header: wrote(20)}, written}, "122", counts{"sent": 140, "dropped rejected": 40}},
		{"415 that wrote a part is a refusal", message(Message2), []answer{{status: 415, header: wrote(20)}, written, written}, "222", counts{"sent": 140, "dropped rejected": 40}},
		{"413 that wrote a part is not split", message(Message2), []answer{{status: 413, header: wrote(20)}, written, written}, "222", counts{"sent": 140, "dropped too_large": 40}},
		{"429 that wrote a part is repeated whole", message(Message2), []answer{{status: 429, header: wrote(20)}, written, written, written}, "2222", counts{"sent": 180, "retried 429": 1}},
		{"bad data proves nothing", message(Message2), []answer{{status: 400}, {status: 400}, written, written}, "2122", counts{"sent": 120, "dropped rejected": 60, "retried fallback": 1}},
		{"fewer written is a success with a count", message(Message2), []answer{{status: 200, header: wrote(50)}, written, written}, "222", counts{"sent": 170, "dropped not_written": 10}},
		{"5xx repeats 2.0", message(Message2), []answer{{status: 503, header: wrote(10)}, written, written, written}, "2222", counts{"sent": 180, "retried 5xx": 1}},
		{"auto begins with 1.0 and goes on with what was proven", message(MessageAuto), []answer{ok, written, written}, "122", counts{"sent": 180}},
		{"auto stays with 1.0", message(MessageAuto), []answer{ok, ok, ok, ok}, "1211", counts{"sent": 180, "retried fallback": 1}},
		{"zstd that is taken stays", func(c *Config) { c.Compression = CompressZstd }, []answer{ok, {status: 400}, ok}, "zzzzzzzzz", counts{"sent": 180}}, // that sample by sample is taken after all
		{"zstd that is refused falls back", func(c *Config) { c.Compression = CompressZstd }, []answer{{status: 400}, ok, ok, ok}, "z111", counts{"sent": 180, "retried fallback": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := DefaultConfig()
				tt.edit(&cfg)
				b := newBench(cfg, tt.answers...)
				for i := range 3 {
					e := newEncoder(100)
					e.Extended = b.sender.WantsExtended()
					b.queue.Append(e.Encode(manyRow(60, i))[0])
				}
				b.run(t)
				if got := formsOf(b.endpoint.requests); got != tt.forms {
					t.Errorf("requests were %s, want %s", got, tt.forms)
				}
				for key := range b.counts {
					if strings.HasPrefix(key, "requests") {
						delete(b.counts, key)
					}
				}
				if diff := cmp.Diff(tt.want, b.counts); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func message(m string) func(*Config) { return func(c *Config) { c.ProtobufMessage = m } }

func formsOf(requests []received) (forms string) {
	for _, r := range requests {
		switch {
		case r.header.Get("Content-Encoding") == "zstd" && r.header.Get("X-VictoriaMetrics-Remote-Write-Version") == "1":
			forms += "z"
		case r.header.Get("Content-Type") == "application/x-protobuf" && r.header.Get("X-Prometheus-Remote-Write-Version") == "0.1.0":
			forms += "1"
		case r.header.Get("Content-Type") == "application/x-protobuf;proto=io.prometheus.write.v2.Request" &&
			r.header.Get("X-Prometheus-Remote-Write-Version") == "2.0.0":
			forms += "2"
		default:
			forms += "?"
		}
	}
	return forms
}

func TestOldSamplesAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.MaxAge = unit.Seconds(60)
		var answers []answer
		for range 30 { // two minutes and more
			answers = append(answers, answer{status: 503})
		}
		b := newBench(cfg, answers...)
		now := func(after int64) *kinglet.Row {
			row := manyRow(60, 1)
			row.TimestampMs = startMs + after
			return row
		}
		for _, after := range []int64{-61_000, 0, 300_000} {
			b.queue.Append(newEncoder(100).Encode(now(after))[0])
		}
		b.run(t)
		if b.counts["dropped max_age"] != 120 || b.counts["sent"] != 60 {
			t.Errorf("counts are %v", b.counts)
		}
	})
}

// startMs is when a bubble's clock begins.
const startMs = 946_684_800_000

func FuzzTranscode(f *testing.F) {
	for _, blocks := range [][]queue.Block{extendedBlocks(richRow()), newEncoder(100).Encode(manyRow(3, 1))} {
		raw, err := unpackBlocks(blocks)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		stream, _ := compress(raw, nil)
		b := queue.Block{Stream: stream, RawLen: len(raw), Samples: 1, Extended: true}
		if len(raw) == 0 {
			return
		}
		for _, form := range []form{formPlain, formMessage2, formZstd} {
			_, _ = newBody(form, []queue.Block{b}) // damaged input must not panic
		}
	})
}
