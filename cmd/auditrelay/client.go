package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/aws/profile"
	"github.com/auditrelay/auditrelay/internal/legible"
)

const (
	localAddress = "http://127.0.0.1:8686"
	apiVariable  = "AUDITRELAY_API"
	// signedService is what signatures of requests to API Gateway are for.
	signedService = "execute-api"
	// callTimeout is longer than the API waits for the function behind it.
	callTimeout = time.Minute
)

// reach are the flags that say where the API is.
type reach struct {
	api, local string
}

func (r *reach) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&r.api, "api", "", "the address of the management API; requests are signed with your AWS credentials (default $"+apiVariable+")")
	cmd.PersistentFlags().StringVar(&r.local, "local", "", "talk to auditrelay local, at "+localAddress+" unless another address is given (--local=URL)")
	cmd.PersistentFlags().Lookup("local").NoOptDefVal = localAddress
}

// open makes a client of the flags.
func (r *reach) open(ctx context.Context) (*client, error) {
	switch {
	case r.local != "" && r.api != "":
		return nil, usageError("give either --api or --local, not both")
	case r.local != "":
		return newClient("--local", r.local)
	}
	address := r.api
	if address == "" {
		address = os.Getenv(apiVariable)
	}
	if address == "" {
		return nil, usageError("say where the API is: --local for auditrelay local, or --api with the address that cdk deploy printed as ApiUrl (or set " + apiVariable + ")")
	}
	c, err := newClient("--api", address)
	if err != nil {
		return nil, err
	}
	account, err := profile.Open(ctx)
	if err != nil {
		return nil, err
	}
	if c.region = regionOf(c.base.Host); c.region == "" {
		c.region = account.Region
	}
	c.account = &account
	return c, nil
}

// client calls the management API. It follows no redirect: the API sends none, and one to elsewhere would take the body with it.
type client struct {
	base *url.URL
	http *http.Client
	// account signs the requests; nil for auditrelay local.
	account *aws.Config
	region  string
}

func newClient(flag, address string) (*client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, usageError(flag + " must be an address such as " + localAddress + " or https://….execute-api.eu-central-1.amazonaws.com/api")
	}
	if flag == "--api" && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, usageError(flag + " must begin with https://: a request holds a signature and may hold credentials. Plain http is for this machine alone")
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{base: u, http: &http.Client{Timeout: callTimeout, CheckRedirect: stay}}, nil
}

// loopback says whether a host is this machine, without asking a name server.
func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && address.Unmap().IsLoopback()
}

// regionOf reads the region out of an API's own host name: <id>.execute-api.<region>.amazonaws.com, or another
// domain in other partitions. A domain of the operator's names none.
func regionOf(host string) string {
	parts := strings.Split(host, ".")
	if len(parts) > 3 && parts[1] == signedService {
		return parts[2]
	}
	return ""
}

// refusal is the API's answer to what it does not do.
type refusal struct{ admin.Problem }

// Error is the API's sentence in the words of the command line.
func (r *refusal) Error() string {
	return strings.NewReplacer("verify=false skips", "--no-verify skips", "GET /v1/destinations lists", "auditrelay destination list shows",
		"GET /v1/workspaces lists", "auditrelay workspace list shows").Replace(legible.Line(r.Detail))
}

// NotThere says whether there is no such thing. It implements doctor.NotThere.
func (r *refusal) NotThere() bool { return r.Status == http.StatusNotFound }

// call is one request. Body and into are JSON; either may be nil.
type call struct {
	method, path string
	query        url.Values
	body, into   any
	ifMatch      string
	create       bool
}

// do sends a request and answers the ETag.
func (c *client) do(ctx context.Context, ask call) (etag string, err error) {
	var body []byte
	if ask.body != nil {
		if body, err = json.Marshal(ask.body); err != nil {
			return "", fmt.Errorf("write the request: %w", err)
		}
	}
	u := c.base.JoinPath(ask.path)
	u.RawQuery = ask.query.Encode()
	r, err := http.NewRequestWithContext(ctx, ask.method, u.String(), bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("make the request: %w", err)
	}
	r.Header.Set("User-Agent", "auditrelay-cli")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if ask.ifMatch != "" {
		r.Header.Set("If-Match", ask.ifMatch)
	}
	if ask.create {
		r.Header.Set("If-None-Match", "*")
	}
	if err := c.sign(ctx, r, body); err != nil {
		return "", err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return "", c.unreachable(err)
	}
	defer resp.Body.Close()
	return resp.Header.Get("ETag"), c.read(resp, ask.into)
}

// largestAnswer bounds what is read: 1,000 items of some KB.
const largestAnswer = 32 << 20

func (c *client) read(resp *http.Response, into any) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base.Host, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		var p refusal
		if json.Unmarshal(text, &p.Problem) == nil && p.Detail != "" {
			return &p
		}
		if resp.StatusCode == http.StatusForbidden {
			return fmt.Errorf("%s answers 403 Forbidden: your AWS credentials lack execute-api:Invoke on the management API, or the "+
				"address is not its ApiUrl with the path; the stack's policy OperatorPolicyArn has the permission", c.base.Host)
		}
		return fmt.Errorf("%s answers %s; is it the address of the management API?", c.base.Host, resp.Status)
	}
	if into == nil || len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s answers something other than the management API: %w", c.base.Host, err)
	}
	return nil
}

func (c *client) unreachable(err error) error {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	if c.account == nil {
		return fmt.Errorf("cannot reach %s: %w; start it with: auditrelay local", c.base.Host, err)
	}
	return fmt.Errorf("cannot reach %s: %w", c.base.Host, err)
}

// sign signs a request to the API with Signature Version 4.
func (c *client) sign(ctx context.Context, r *http.Request, body []byte) error {
	if c.account == nil {
		return nil
	}
	credentials, err := c.account.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("find your AWS credentials, which sign the request: %w; see aws configure, or set AWS_PROFILE", err)
	}
	if c.region == "" {
		return usageError("the address does not name its AWS region; set AWS_REGION")
	}
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(hash[:]), signedService, c.region, time.Now()); err != nil {
		return fmt.Errorf("sign the request: %w", err)
	}
	return nil
}

// now is the API's time: that of the virtual clock, if it is a local runner's.
func (c *client) now(ctx context.Context) time.Time {
	if c.account == nil {
		var clock struct{ Now time.Time }
		if _, err := c.do(ctx, call{method: http.MethodGet, path: "/clock", into: &clock}); err == nil {
			return clock.Now
		}
	}
	return time.Now()
}

// pages reads a whole list, or up to limit of it; 0 is no limit.
func pages[T any](ctx context.Context, c *client, path string, query url.Values, limit int) ([]T, error) {
	const page = 1000
	all := make([]T, 0)
	if query == nil {
		query = make(url.Values)
	}
	for {
		size := page
		if limit > 0 {
			size = min(page, limit-len(all))
		}
		query.Set("limit", fmt.Sprint(size))
		var answer struct {
			Items []T
			Next  *string
		}
		if _, err := c.do(ctx, call{method: http.MethodGet, path: path, query: query, into: &answer}); err != nil {
			return nil, err
		}
		all = append(all, answer.Items...)
		if answer.Next == nil || (limit > 0 && len(all) >= limit) {
			return all, nil
		}
		query.Set("next", *answer.Next)
	}
}
