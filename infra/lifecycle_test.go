package infra

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testLifecycle holds that no object goes before the messages that point to it, whatever the queues keep, and
// that the docs say so.
//
// Sources: SQS Developer Guide, "Setting-up dead-letter queue retention" (a message of a standard queue keeps
// its time of sending when it is moved to a dead-letter queue) and "Configuring a dead-letter queue redrive"
// (one that is moved back is a new message).
func testLifecycle(t *testing.T, tmpl template) {
	const spare = 1
	week := lifetime.Seconds()
	kept := func(queue string) float64 { // counted from when the message was sent, wherever it lies
		of := func(id string) float64 {
			return tmpl.one(t, "AWS::SQS::Queue", id).at("MessageRetentionPeriod").(float64)
		}
		return max(of(queue), of(queue+"DeadLetters"))
	}
	days := func(seconds float64) float64 { return seconds/day.Seconds() + spare }
	produced := days(kept("Ingest") + kept("Ingest") + week)
	rejected := days(kept("Rejected") + kept("Ingest") + week) // sent back to ingest on the last day
	want := jsonOf(t, fmt.Sprintf(`[
		{"Id":"payloads","Status":"Enabled","Prefix":"payloads/","ExpirationInDays":%g},
		{"Id":"deliveries","Status":"Enabled","Prefix":"deliveries/","ExpirationInDays":%g},
		{"Id":"rejected","Status":"Enabled","Prefix":"rejected/","ExpirationInDays":%g},
		{"Id":"abandoned","Status":"Enabled","AbortIncompleteMultipartUpload":{"DaysAfterInitiation":1}}]`, produced, days(week), rejected))
	rules := tmpl.one(t, "AWS::S3::Bucket", "Payloads").at("LifecycleConfiguration", "Rules")
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Errorf("lifecycle (-want +got):\n%s", diff)
	}
	// said is how a page says for how long an object stays, and of how many days that must be.
	for page, said := range map[string]map[*regexp.Regexp]float64{
		"security.md":  {regexp.MustCompile(`(\d+) days if its pointer never arrives`): produced, regexp.MustCompile(`(\d+) days in the bucket`): rejected, regexp.MustCompile(`lifecycle rule of (\d+) days`): days(week)},
		"runbook.md":   {regexp.MustCompile("`rejected/`, for (\\d+) days"): rejected},
		"producers.md": {regexp.MustCompile(`object stays for (\d+) days`): produced},
		"scale.md":     {regexp.MustCompile(`stay (\d+) days`): produced},
	} {
		text, err := os.ReadFile("../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		for sentence, days := range said {
			found := sentence.FindAllSubmatch(text, -1)
			if len(found) == 0 {
				t.Errorf("%s does not say %q", page, sentence)
			}
			for _, f := range found {
				if string(f[1]) != fmt.Sprint(days) {
					t.Errorf("%s says %q, and it is %g days", page, f[0], days)
				}
			}
		}
	}
}
