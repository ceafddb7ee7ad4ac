package foreign

import (
	"fmt"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/events"
)

// Source is a system whose audit events are known.
type Source struct {
	Name  string // as --from names it
	Title string
	Form  Form
	// Records are the names of the arrays in which the system's files and answers keep events. Its events
	// have no array of such a name themselves.
	Records []string
	// Page is where the system documents its events.
	Page string
}

// Sources are all of them, by name. An id is what the system's documentation calls unique; where it promises
// less, the event's hash is part of it.
func Sources() []Source {
	list := []Source{
		{
			Name: "1password", Title: "1Password Events API", Records: []string{"items"},
			Form: Form{ID: [][]string{{"uuid"}}, Time: []string{"timestamp"}},
			Page: "https://developer.1password.com/docs/events-api/reference",
		},
		{
			Name: "atlassian", Title: "Atlassian organizations", Records: []string{"data"},
			Form: Form{ID: [][]string{{"id"}}, Time: []string{"attributes.time"}},
			Page: "https://developer.atlassian.com/cloud/admin/organization/rest/api-group-events/",
		},
		{ // A stream has the log in "data", the Management API has it bare.
			Name: "auth0", Title: "Auth0 log streams and Management API", Records: []string{"logs"},
			Form: Form{ID: [][]string{{"log_id"}, {"data.log_id"}, {"_id"}}, Time: []string{"data.date", "date"}},
			Page: "https://auth0.com/docs/customize/log-streams/custom-log-streams",
		},
		{
			Name: "cloudtrail", Title: "AWS CloudTrail", Records: []string{"Records"},
			Form: Form{ID: [][]string{{"eventID"}}, Time: []string{"eventTime"}},
			Page: "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-examples.html",
		},
		{ // Diagnostic settings write "time" and "properties", Microsoft Graph the event bare. Times without a zone are UTC.
			Name: "entra", Title: "Microsoft Entra ID", Records: []string{"records", "value"},
			Form: Form{
				ID:   [][]string{{"properties.id"}, {"id"}, {SHA256}},
				Time: []string{"time", "activityDateTime", "createdDateTime"}, Zone: time.UTC, MonthFirst: true,
			},
			Page: "https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs-schema",
		},
		{ // The insert id is unique within one project and timestamp; the project stands in the log's name.
			Name: "gcp", Title: "Google Cloud audit logs", Records: []string{"entries"},
			Form: Form{ID: [][]string{{"insertId", "timestamp", "logName"}, {SHA256}}, Time: []string{"timestamp", "receiveTimestamp"}},
			Page: "https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry",
		},
		{ // Older exports have no document id.
			Name: "github", Title: "GitHub audit log",
			Form: Form{ID: [][]string{{"_document_id"}, {SHA256}}, Time: []string{"@timestamp", "created_at"}},
			Page: "https://docs.github.com/en/rest/enterprise-admin/audit-log",
		},
		{
			Name: "gitlab", Title: "GitLab audit events",
			Form: Form{ID: [][]string{{"id"}}, Time: []string{"created_at"}},
			Page: "https://docs.gitlab.com/user/compliance/audit_event_schema",
		},
		{ // The qualifier tells events of one time and application apart.
			Name: "google_workspace", Title: "Google Workspace Reports API", Records: []string{"items"},
			Form: Form{ID: [][]string{{"id.applicationName", "id.time", "id.uniqueQualifier", "id.customerId"}, {SHA256}}, Time: []string{"id.time"}},
			Page: "https://developers.google.com/admin-sdk/reports/reference/rest/v1/activities",
		},
		{ // An audit id is one request's, with an event for each stage; a client may choose it (Audit-ID).
			Name: "kubernetes", Title: "Kubernetes API server", Records: []string{"items"},
			Form: Form{ID: [][]string{{"auditID", "stage", SHA256}}, Time: []string{"stageTimestamp", "requestReceivedTimestamp"}},
			Page: "https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/",
		},
		{ // metadata.uid is optional.
			Name: "ocsf", Title: "Open Cybersecurity Schema Framework",
			Form: Form{ID: [][]string{{"metadata.uid"}, {SHA256}}, Time: []string{"time"}},
			Page: "https://schema.ocsf.io/1.7.0/objects/metadata",
		},
		{ // CreationTime has no zone and is UTC.
			Name: "office365", Title: "Office 365 Management Activity API",
			Form: Form{ID: [][]string{{"Id"}}, Time: []string{"CreationTime"}, Zone: time.UTC},
			Page: "https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema",
		},
		{
			Name: "okta", Title: "Okta System Log",
			Form: Form{ID: [][]string{{"uuid"}}, Time: []string{"published"}},
			Page: "https://developer.okta.com/docs/api/openapi/okta-management/management/tags/systemlog",
		},
		{
			Name: "salesforce", Title: "Salesforce Real-Time Event Monitoring", Records: []string{"records"},
			Form: Form{ID: [][]string{{"EventIdentifier"}}, Time: []string{"EventDate"}},
			Page: "https://developer.salesforce.com/docs/platform/platform-events/guide/sforce-api-objects-logineventstream.html",
		},
		{
			Name: "slack", Title: "Slack Audit Logs API", Records: []string{"entries"},
			Form: Form{ID: [][]string{{"id"}}, Time: []string{"date_create"}},
			Page: "https://docs.slack.dev/reference/audit-logs-api/methods-actions-reference",
		},
		{ // The request and its response have one id.
			Name: "vault", Title: "HashiCorp Vault audit devices",
			Form: Form{ID: [][]string{{"request.id", "type", SHA256}, {SHA256}}, Time: []string{"time"}},
			Page: "https://developer.hashicorp.com/vault/docs/audit/schema",
		},
	}
	for i := range list {
		list[i].Form.Type = events.UserActivity
	}
	return list
}

// FindSource gives the source of a name. The error names those that there are.
func FindSource(name string) (Source, error) {
	var names []string
	for _, s := range Sources() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Source{}, fmt.Errorf("--from knows no %q; it knows %s", name, strings.Join(names, ", "))
}
