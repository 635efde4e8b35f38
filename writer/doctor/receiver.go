package doctor

import (
	"context"

	"kinglet/writer/remotewrite"
)

// forms checks the other forms in which samples could be sent.
func (e *examination) forms(ctx context.Context) {
	e.message2(ctx)
	e.zstd(ctx)
}

func (e *examination) message2(ctx context.Context) {
	const name = "write_2.0"
	answer, err := e.client.Probe(ctx, remotewrite.Probe2)
	wanted := e.cfg.ProtobufMessage
	takes := err == nil && answer.Status/100 == 2 && answer.Written.Told
	swallows := err == nil && answer.Status/100 == 2 && !answer.Written.Told
	switch {
	case err != nil:
		e.add(name, Warn, "no answer to remote write 2.0 (%s)", oneLine(err.Error()))
	case takes && wanted == remotewrite.Message1:
		e.add(name, OK, `takes remote write 2.0 too: protobuf_message = "2.0" would send metadata and start timestamps`)
	case takes:
		e.add(name, OK, "takes remote write 2.0, as configured")
	case swallows && wanted == remotewrite.Message2:
		e.add(name, Warn, `answers %d to remote write 2.0 and does not say that it wrote it: set protobuf_message = "1.0", to which kinglet falls back`, answer.Status)
	case swallows:
		e.add(name, OK, "answers %d to remote write 2.0 without saying what it wrote, as those do that store nothing of it: 1.0 is right", answer.Status)
	case wanted == remotewrite.Message2:
		e.add(name, Warn, `answers %d to remote write 2.0%s: set protobuf_message = "1.0", to which kinglet falls back`, answer.Status, said(answer))
	default:
		e.add(name, OK, "answers %d to remote write 2.0: 1.0 is right", answer.Status)
	}
}

func (e *examination) zstd(ctx context.Context) {
	const name = "zstd"
	answer, err := e.client.Probe(ctx, remotewrite.ProbeZstd)
	takes := err == nil && answer.Status/100 == 2
	switch wanted := e.cfg.Compression; {
	case err != nil:
		e.add(name, Warn, "no answer to zstd (%s)", oneLine(err.Error()))
	case takes && wanted == remotewrite.CompressSnappy:
		e.add(name, OK, "answers %d to zstd; snappy, as configured, costs kinglet less CPU", answer.Status)
	case takes:
		e.add(name, OK, "answers %d to zstd", answer.Status)
	case wanted == remotewrite.CompressZstd:
		e.add(name, Warn, `answers %d to zstd%s: set compression = "snappy", to which kinglet falls back`, answer.Status, said(answer))
	default:
		e.add(name, OK, "answers %d to zstd: snappy is right", answer.Status)
	}
}

// receiver checks the profile against what the endpoint shows.
func (e *examination) receiver(ctx context.Context) {
	const name = "profile"
	found := e.client.Identify(ctx, e.cfg)
	switch set := e.cfg.Profile; {
	case set == remotewrite.ProfileAuto && found == remotewrite.ProfileOther:
		e.add(name, Warn, "cannot tell what receives: if you know, set profile; until then kinglet sends with the most careful habits")
	case set == remotewrite.ProfileAuto:
		e.add(name, OK, "%s receives, found out", found)
	case found == remotewrite.ProfileOther || found == set:
		e.add(name, OK, "%s receives, as configured", set)
	case set == remotewrite.ProfileOther:
		e.add(name, OK, "%s receives; profile = %q is more careful than needed", found, set)
	default:
		e.add(name, Warn, "%s seems to receive, not %s: set profile = %q, or auto", found, set, found)
	}
}
