package sink

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// endpoint parses a URL from the settings that logs or credentials are sent to. credentials names the ones that the
// connection takes, for an admin who has put them into the URL.
func (n Network) endpoint(field, raw, credentials string) (*url.URL, error) {
	if raw == "" {
		return nil, invalid(field, "is missing")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, invalid(field, "is not a valid URL")
	}
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !n.AllowHTTP):
		return nil, invalid(field, "must be an https URL")
	case u.Hostname() == "":
		return nil, invalid(field, "must name a host, as in https://logs.example.com/intake")
	case u.User != nil:
		return nil, invalid(field, "must hold no user name or password, which everybody can read here; %s takes what identifies the connection", credentials)
	case u.Fragment != "":
		return nil, invalid(field, "must have no fragment (#...)")
	case !validPort(u):
		return nil, invalid(field, "must have a port from 1 to 65535, or none")
	case !validHost(u.Hostname()):
		return nil, invalid(field, "must name a host that can exist: letters, digits and hyphens between dots, or a whole IP address")
	}
	return u, nil
}

// validPort says whether a connection can be made to a URL's port. A colon without a port is none.
func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}

// labelForm is a label of a host name. Underscores are no host name's by RFC 952, but name servers have them.
var labelForm = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)

// validHost says whether a host can be looked up or dialled: an IP address, or a name by RFC 1123 whose last label is
// no number, since what ends in a number is meant as an IP address (URL Standard, "ends in a number").
func validHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	name, err := idna.Punycode.ToASCII(strings.TrimSuffix(host, "."))
	if err != nil || len(name) > 253 {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if !labelForm.MatchString(label) {
			return false
		}
	}
	_, err = strconv.ParseUint(labels[len(labels)-1], 0, 64)
	return err != nil
}
