package conf

import (
	"strings"

	"kinglet/writer/heartbeat"
)

// noHeartbeat ends the findings that turn the heartbeat off.
const noHeartbeat = "; without that no heartbeat is sent"

// NoHeartbeat are the findings for which no heartbeat is sent, though it is
// enabled.
func (fs Findings) NoHeartbeat() (why Findings) {
	for _, f := range fs {
		if strings.HasSuffix(f.Message, noHeartbeat) {
			why = append(why, f)
		}
	}
	return why
}

// heartbeat decodes [heartbeat]. A table that cannot work is off, which `kinglet
// check` calls an error: samples are worth more than a host list.
func (l *loader) heartbeat(s section) heartbeat.Config {
	cfg := heartbeat.DefaultConfig()
	if s.value == nil {
		return cfg
	}
	table, ok := s.value.(map[string]any)
	if !ok {
		l.report.errorf(s.node.pos, "heartbeat", "is %s, want a table: write [heartbeat]", describe(s.value, false))
		return cfg
	}
	if !l.newDecoder().table(table, s.node, &cfg, "heartbeat") {
		return cfg
	}
	for _, fault := range flatten(cfg.Validate()) {
		at, key, message := locate(fault, s.node, "heartbeat")
		l.report.mistake(at, key, "%s%s", l.secrets.hide(message), noHeartbeat)
		cfg.Enable = false
	}
	return cfg
}

// hintsForHeartbeat tells what makes a heartbeat of little use.
func (l *loader) hintsForHeartbeat(cfg *Config, s section) {
	if cfg.Heartbeat.Enable && cfg.Global.OmitHostname {
		l.report.warnf(s.node.pos, "heartbeat", "names this host, but [global] omit_hostname keeps the name out of its samples: "+
			"Nightingale will show a host without any")
	}
}
