package local

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ownHost lets requests through that call the listener by a name of its own, and answers 421 to all others.
//
// A web page's browser sends the page's host. If an attacker's name server says that the page's name is now
// at 127.0.0.1, the browser takes this listener for the page, and neither Origin nor Sec-Fetch-Site tells:
// the request is of the same origin. Only the name in Host is foreign.
func ownHost(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if !isOwn(r.Host, called, names) {
			problem(w, http.StatusMisdirectedRequest,
				"auditrelay local answers at localhost and at the address that it listens at; "+
					"if it has another name, in a container for example, start it with --host NAME")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isOwn says whether a listener may be called by the host of a request, whatever the port: it is localhost,
// an address of loopback, the very address that was called, or one of names. An address is no name that an
// attacker could point elsewhere.
func isOwn(host string, called net.Addr, names []string) bool {
	host = hostname(host)
	own := func(name string) bool { return strings.EqualFold(name, host) }
	if own("localhost") || host != "" && slices.ContainsFunc(names, own) {
		return true
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	at, ok := called.(*net.TCPAddr)
	return address.Unmap().IsLoopback() || ok && address.Unmap() == at.AddrPort().Addr().Unmap().WithZone("")
}

// hostname is a host without its port and without the brackets of an IPv6 address.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}
