// Package admin is the management API: one http.Handler over workspaces, destinations, their connections, what waits for them and what was
// given up. The function of the same name and the local runner serve it. Its document, docs/openapi.json, is made from the Go types here.
//
// Errors are problem+json (RFC 9457) whose detail is a sentence that says what to do. Credentials go in and never come out.
package admin
