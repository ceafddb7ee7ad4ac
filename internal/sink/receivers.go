package sink

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Receivers are the settings of a kind that say where its credentials are sent, as dotted paths. Whoever changes one
// must bring the credentials: stored ones are write-only, and would be had by sending them elsewhere.
func Receivers(k directory.Kind) []string {
	switch k {
	case directory.HTTP:
		return []string{"url", "oauth.token_url"}
	case directory.S3, directory.GCS:
		return []string{"endpoint"}
	case directory.AzureBlob:
		return []string{"account", "endpoint", "authority_host", "cloud"}
	case directory.AzureMonitor:
		return []string{"endpoint", "workspace_id", "authority_host", "cloud"}
	}
	return nil
}

// Readdressed gives those of a destination's Receivers whose values differ between two readings of its settings.
func Readdressed(before, after directory.Destination) []string {
	old, now := members(before.Settings), members(after.Settings)
	var moved []string
	for _, path := range Receivers(after.Kind) {
		if at(old, path) != at(now, path) {
			moved = append(moved, path)
		}
	}
	return moved
}

// Hosts are the hosts that a destination's settings name, and with them its credentials may be sent to; the service
// itself where they name none.
func Hosts(d directory.Destination) []string {
	m := members(d.Settings)
	var hosts []string
	for _, path := range Receivers(d.Kind) {
		text, ok := at(m, path).(string)
		if !ok || text == "" {
			continue
		}
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			text = u.Host
		}
		hosts = append(hosts, text)
	}
	if bucket, ok := at(m, "bucket").(string); ok {
		hosts = append(hosts, bucket)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func members(object json.RawMessage) map[string]any {
	var m map[string]any
	_ = json.Unmarshal(object, &m) // what is no object has no members
	return m
}

// at gives the text, number or truth at a dotted path, nil if there is none.
func at(m map[string]any, path string) any {
	name, rest, deeper := strings.Cut(path, ".")
	v, ok := m[name]
	if !ok {
		return nil
	}
	if deeper {
		inner, _ := v.(map[string]any)
		return at(inner, rest)
	}
	switch v.(type) {
	case string, float64, bool:
		return v
	}
	return nil
}
