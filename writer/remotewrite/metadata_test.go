package remotewrite

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/prompb"

	"kinglet"
	"kinglet/conf/unit"
)

func TestMetadataGoesInRequestsOfItsOwn(t *testing.T) {
	body := metadataBody([]*kinglet.Meta{
		{Family: "http.requests", Type: kinglet.TypeCounter, Help: "Requests.", Unit: "1"},
		{Family: "x", Type: kinglet.TypeStateset},
	})
	want := &prompb.WriteRequest{Metadata: []prompb.MetricMetadata{
		{Type: prompb.MetricMetadata_COUNTER, MetricFamilyName: "http_requests", Help: "Requests.", Unit: "1"},
		{Type: prompb.MetricMetadata_STATESET, MetricFamilyName: "x"},
	}}
	if diff := cmp.Diff(want, unpack(t, bodyBytes(body))); diff != "" {
		t.Error(diff)
	}
}

func TestMetadataIsSentNowAndThenAndBlocksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.MetadataInterval = unit.Seconds(60)
		// samples, two of metadata, samples, ..., and the second metadata is refused
		b := newBench(cfg, append(slices.Repeat([]answer{{status: 204}}, 6), answer{hang: true})...)
		var families []*kinglet.Meta
		for i := range maxMetadata + 1 {
			families = append(families, &kinglet.Meta{Family: fmt.Sprint("f", i)})
		}
		b.sender.families = func() []*kinglet.Meta { return families }
		go func() {
			for i := range 5 { // one request of samples each 25 s
				b.append(100, i, 100)
				<-time.After(25 * time.Second)
			}
			b.queue.Close()
		}()
		b.sender.Run(t.Context())
		var kinds string
		for _, r := range b.endpoint.requests {
			if len(r.series) == 0 {
				kinds += "m"
			} else {
				kinds += "s"
			}
		}
		if kinds != "smmsssms" || b.counts["sent"] != 500 {
			t.Errorf("requests were %s, %d samples sent", kinds, b.counts["sent"])
		}
	})
}
