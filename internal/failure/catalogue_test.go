package failure

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// required are the errors of the requirements: the code, the kind and the error as the service names it. All end only when an admin acts.
var required = []Entry{
	{Code: "s3.region_mismatch", Kind: "S3", Status: "301 Moved Permanently", Class: Connection},
	{Code: "s3.role_invalid", Kind: "S3", Status: "403 Forbidden", Class: Connection},
	{Code: "s3.permission_denied", Kind: "S3", Status: "403 Forbidden", Class: Connection},
	{Code: "s3.bucket_not_found", Kind: "S3", Status: "404 Not Found", Class: Connection},
	{Code: "s3.bucket_name_invalid", Kind: "S3", Status: "400 Bad Request", Class: Connection},
	{Code: "http.not_found", Kind: "HTTP", Status: "404 Destination Not Found", Class: Connection},
	{Code: "http.forbidden", Kind: "HTTP", Status: "403 Forbidden", Class: Connection},
	{Code: "http.unauthorized", Kind: "HTTP", Status: "401 Unauthorized", Class: Connection},
	{Code: "azure_monitor.invalid_authorization", Kind: "Azure Monitor", Status: "Invalid Authorization (403 Forbidden)", Class: Connection},
	{Code: "azure_monitor.signature_error", Kind: "Azure Monitor", Status: "Error Building Signature", Class: Connection},
	{Code: "azure_monitor.destination_not_found", Kind: "Azure Monitor", Status: "Streaming Destination Not Found", Class: Connection},
	{Code: "azure_blob.container_not_found", Kind: "Azure Blob", Status: "404 ContainerNotFound", Class: Connection},
	{Code: "azure_blob.account_not_found", Kind: "Azure Blob", Status: "404 ResourceNotFound", Class: Connection},
	{Code: "azure_blob.permission_mismatch", Kind: "Azure Blob", Status: "403 AuthorizationPermissionMismatch", Class: Connection},
	{Code: "azure_blob.invalid_authentication", Kind: "Azure Blob", Status: "401 InvalidAuthenticationInfo", Class: Connection},
}

func TestCatalogueHasTheRequiredErrors(t *testing.T) {
	for _, want := range required {
		got := Find(want.Code)
		got.Description, got.Guidance = "", ""
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Code, diff)
		}
	}
}

func TestCatalogueHasEveryCodeOnce(t *testing.T) {
	declared := constants(t, "catalogue.go")
	var listed []Code
	for _, e := range Catalogue() {
		listed = append(listed, e.Code)
	}
	slices.Sort(declared)
	slices.Sort(listed)
	if diff := cmp.Diff(declared, listed); diff != "" {
		t.Errorf("codes (-declared +listed):\n%s", diff)
	}
}

// constants gives the value of every constant of type Code in a file of this package.
func constants(t *testing.T, file string) (codes []Code) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Code" {
			for _, v := range spec.Values {
				code, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				codes = append(codes, Code(code))
			}
		}
		return true
	})
	if len(codes) < len(required) {
		t.Fatalf("only %d constants of type Code in %s", len(codes), file)
	}
	return codes
}

func TestEntriesAreWellFormed(t *testing.T) {
	code := regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*\.[a-z0-9]+(_[a-z0-9]+)*$`)
	sentence := regexp.MustCompile(`^[A-Z][^.\n]*( [a-z]\.[a-z]\.[^.\n]*)*\.$`)
	prefixes := map[string][]string{"S3": {"s3"}, "HTTP": {"http"}, "Azure Monitor": {"azure_monitor"}, "Azure Blob": {"azure_blob"}, "Google Cloud Storage": {"gcs"}, "Any": {"net", "config"}}
	for _, e := range Catalogue() {
		t.Run(string(e.Code), func(t *testing.T) {
			prefix, _, _ := strings.Cut(string(e.Code), ".")
			if e.Code != Unknown && (!code.MatchString(string(e.Code)) || !slices.Contains(prefixes[e.Kind], prefix)) {
				t.Errorf("the code is not <kind>.<what> for the kind %q", e.Kind)
			}
			if !slices.Contains([]Class{Connection, Transient, Log}, e.Class) {
				t.Errorf("class %q", e.Class)
			}
			if e.Status == "" {
				t.Error("no status")
			}
			if !sentence.MatchString(e.Description) {
				t.Errorf("the description is not one sentence: %q", e.Description)
			}
			if e.Guidance == "" || !strings.HasSuffix(e.Guidance, ".") || strings.Contains(e.Guidance, "\n") {
				t.Errorf("the guidance is no whole sentence: %q", e.Guidance)
			}
		})
	}
}

func TestFindGivesUnknownCodesTheUnknownEntry(t *testing.T) {
	want := Find(Unknown)
	want.Code = "s3.from_a_newer_version"
	if diff := cmp.Diff(want, Find("s3.from_a_newer_version")); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	if Known("s3.from_a_newer_version") || !Known(S3RoleInvalid) {
		t.Error("Known is wrong")
	}
	if want.Class != Transient {
		t.Errorf("an unknown failure is %s; it must be retried and not blamed on the connection", want.Class)
	}
}

func TestCatalogueIsACopy(t *testing.T) {
	Catalogue()[0].Class = Log
	if Catalogue()[0].Class == Log {
		t.Error("a caller can change the catalogue")
	}
}

func TestErrorNeverShowsItsCause(t *testing.T) {
	cause := errors.New(`Post "https://hooks.example/in?token=CANARY": EOF`)
	for _, e := range []*Error{
		{Code: NetReset, Err: cause},
		{Code: HTTPServerError, Detail: "HTTP 503", RetryAfter: time.Minute, Err: cause},
		Of(cause),
	} {
		if strings.Contains(e.Error(), "CANARY") {
			t.Errorf("%q shows the cause", e.Error())
		}
		if !errors.Is(e, cause) {
			t.Errorf("%q does not lead to its cause", e.Error())
		}
	}
}

func TestErrorText(t *testing.T) {
	for want, e := range map[string]*Error{
		"http.server_error: HTTP 503": {Code: HTTPServerError, Detail: "HTTP 503"},
		"net.refused":                 {Code: NetRefused},
	} {
		if e.Error() != want {
			t.Errorf("%q, want %q", e.Error(), want)
		}
	}
}

// A code is general if its status names no single answer of a service. Those of settings and of the network are no answers.
func TestGeneral(t *testing.T) {
	for _, e := range Catalogue() {
		names := regexp.MustCompile(`^[0-9]{3} [A-Z]`).MatchString(e.Status)
		general := !names && slices.Contains([]string{"4xx", "5xx", "3xx Redirect", "401 or 403", "Unexpected status", "Unknown error"}, e.Status)
		if General(e.Code) != general {
			t.Errorf("%s with the status %q: general is %v", e.Code, e.Status, General(e.Code))
		}
	}
}

func TestAnswer(t *testing.T) {
	long := strings.Repeat("ä", 200)
	for name, c := range map[string]struct {
		e    Error
		want string
	}{
		"general":                {Error{Code: S3Refused, Detail: "HTTP 403 QuotaExceeded"}, "HTTP 403 QuotaExceeded"},
		"general, nothing said":  {Error{Code: HTTPServerError}, ""},
		"with a code of its own": {Error{Code: S3BucketNotFound, Detail: "HTTP 404 NoSuchBucket"}, ""},
		"unknown":                {Error{Code: Unknown, Detail: "HTTP 418"}, "HTTP 418"},
		"long":                   {Error{Code: S3Rejected, Detail: long}, long[:2*longestAnswer]},
	} {
		if got := c.e.Answer(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestOf(t *testing.T) {
	plain, classified := errors.New("plain"), &Error{Code: S3BucketNotFound}
	for name, c := range map[string]struct {
		err  error
		want *Error
	}{
		"classified":         {classified, classified},
		"classified, inside": {errors.Join(plain, classified), classified},
		"not classified":     {plain, &Error{Code: Unknown, Err: plain}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Of(c.err); *got != *c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}
