package admin_test

import (
	"net/http"
	"testing"
)

// TestAMisspeltTypeIsWarnedOf stores it as it was asked for, and says so in every answer about the destination until it is corrected.
func TestAMisspeltTypeIsWarnedOf(t *testing.T) {
	w := newWorld(t)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/acme", `{"kind":"standalone"}`)
	put := w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/siem", w.siem(`"log_types":["user_activity","jon_summary","login"]`))
	get := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", "")
	list := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations", "")
	for path, r := range map[string]reply{"": put, "get": get, "items.0.": list} {
		if path == "get" {
			path = ""
		}
		for field, want := range map[string]string{
			"warnings.0.field": "log_types[1]", "warnings.0.code": "log_type_misspelt",
			"warnings.0.message": `"jon_summary" is not a published log type; did you mean "job_summary"?`,
			"warnings.1.field":   "log_types[2]", "warnings.1.code": "log_type_not_published",
		} {
			if v := r.json(t, path+field); v != want {
				t.Errorf("%s%s is %s, want %s", path, field, v, want)
			}
		}
	}
	w.want(t, http.StatusOK, http.MethodPut, "/v1/destinations/siem", get.text) // what GET answers can be put back
	got := w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/siem", `{"log_types":["user_activity","job_summary"]}`)
	if v := got.json(t, "warnings"); v != "null" {
		t.Errorf("when it is corrected: %s", got.text)
	}
}
