package remotewrite

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"

	"kinglet"
)

// Field tags of the metadata of remote write 1.0 (RW-14, RW-15).
const (
	tagMetadata = 3<<3 | wireBytes // WriteRequest.metadata

	tagMetadataType   = 1<<3 | wireVarint // MetricMetadata
	tagMetadataFamily = 2<<3 | wireBytes
	tagMetadataHelp   = 4<<3 | wireBytes
	tagMetadataUnit   = 5<<3 | wireBytes
)

const (
	maxMetadata     = 2000            // families in one request
	metadataTimeout = 5 * time.Second // samples wait behind it
)

// metadataBody is a 1.0 request that holds families and no samples.
func metadataBody(families []*kinglet.Meta) Body {
	var raw, one []byte
	for _, m := range families {
		one = appendVarint(one[:0], tagMetadataType, uint64(m.Type))
		one = appendBytes(one, tagMetadataFamily, []byte(kinglet.ToLegacyName(m.Family, true)))
		if m.Help != "" {
			one = appendBytes(one, tagMetadataHelp, []byte(m.Help))
		}
		if m.Unit != "" {
			one = appendBytes(one, tagMetadataUnit, []byte(m.Unit))
		}
		raw = appendBytes(raw, tagMetadata, one)
	}
	return oneBody(formPlain, s2.EncodeSnappy(nil, raw), nil)
}

// metadata sends what is known of the families, if it is time. Each request is
// tried once: the same is sent again after the interval. With 2.0 it travels
// with the series instead.
func (s *Sender) metadata(ctx context.Context) {
	if s.metadataEvery <= 0 || s.families == nil || s.protocol.next() == formMessage2 || time.Since(s.metadataSent) < s.metadataEvery {
		return
	}
	s.metadataSent = time.Now()
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	families := s.families()
	slices.SortFunc(families, func(a, b *kinglet.Meta) int { return strings.Compare(a.Family, b.Family) })
	for some := range slices.Chunk(families, maxMetadata) {
		start := time.Now()
		answer, err := s.client.Post(ctx, metadataBody(some), 0)
		s.observer.Requested(statusLabel(answer.Status), time.Since(start))
		if err != nil {
			s.faults.log.Debug("metadata was not taken; it is sent again later", "families", len(some), "error", err)
			return
		}
	}
}
