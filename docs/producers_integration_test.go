//go:build integration

package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/aws/emulator"
)

// TestProducersSendLogs runs the programs of docs/producers.md against an SQS emulator, and reads what came as deliver does. What needs a library that is
// not on this machine is only compiled.
func TestProducersSendLogs(t *testing.T) {
	account := emulator.Start(t, emulator.Moto)
	client := sqs.NewFromConfig(account)
	for _, s := range snippets(t, "docs/producers.md") {
		name := fmt.Sprintf("%s, line %d", s.language, s.line)
		switch {
		case s.language == "java":
			t.Run(name, func(t *testing.T) { compileJava(t, s) })
		case s.language == "python" && strings.Contains(s.text, "sqs_extended_client"):
			t.Run(name, func(t *testing.T) { run(t, nil, "python3", "-m", "py_compile", source(t, "send.py", s.text)) })
		case s.language == "go" || s.language == "python" || s.language == "js":
			t.Run(name, func(t *testing.T) {
				made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("ingest-" + s.language)})
				if err != nil {
					t.Fatal(err)
				}
				environment := []string{
					"INGEST_URL=" + *made.QueueUrl, "AWS_ENDPOINT_URL=" + *account.BaseEndpoint, "AWS_REGION=" + account.Region, "AWS_DEFAULT_REGION=" + account.Region,
					"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
				}
				switch s.language {
				case "go":
					run(t, environment, buildGo(t, s))
				case "python":
					run(t, environment, "python3", source(t, "send.py", s.text))
				case "js":
					run(t, environment, "node", beside(t, s.text))
				}
				received(t, client, *made.QueueUrl)
			})
		}
	}
}

// received holds that one valid log of the workspace orbit is on the queue, in its group.
func received(t *testing.T, client *sqs.Client, queue string) {
	t.Helper()
	got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &queue, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameMessageGroupId},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Messages) != 1 {
		t.Fatalf("%d messages came", len(got.Messages))
	}
	m := got.Messages[0]
	log, err := auditlog.Decode([]byte(*m.Body))
	if err != nil {
		t.Fatalf("%v: %s", err, *m.Body)
	}
	want := []string{"ua-1001", "orbit", "user_activity", `{"event":"login"}`, "orbit"}
	var payload any
	if err := json.Unmarshal(log.Payload, &payload); err != nil {
		t.Fatal(err)
	}
	compact, _ := json.Marshal(payload)
	if diff := cmp.Diff(want, []string{log.ID, log.WorkspaceID, log.Type, string(compact), m.Attributes["MessageGroupId"]}); diff != "" {
		t.Errorf("what came (-want +got):\n%s", diff)
	}
}

func run(t *testing.T, environment []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func source(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// beside writes a module of Node into a folder that leads to the repository's packages.
func beside(t *testing.T, text string) string {
	t.Helper()
	path := source(t, "send.mjs", text)
	packages, err := filepath.Abs(filepath.Join(root, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(packages, filepath.Join(filepath.Dir(path), "node_modules")); err != nil {
		t.Fatal(err)
	}
	return path
}

// javaLibraries are what the programs call of AWS's libraries, with nothing inside: npm and Go bring none for Java, so the programs are compiled and not run.
func javaLibraries() map[string]string {
	return map[string]string{
		"software/amazon/awssdk/services/sqs/SqsClient.java": `package software.amazon.awssdk.services.sqs;
import java.util.function.Consumer;
import software.amazon.awssdk.services.sqs.model.SendMessageRequest;
public interface SqsClient {
    static SqsClient create() { return null; }
    Object sendMessage(Consumer<SendMessageRequest.Builder> request);
}`,
		"software/amazon/awssdk/services/sqs/model/SendMessageRequest.java": `package software.amazon.awssdk.services.sqs.model;
public interface SendMessageRequest {
    interface Builder {
        Builder queueUrl(String url);
        Builder messageGroupId(String id);
        Builder messageBody(String body);
    }
}`,
		"software/amazon/awssdk/services/s3/S3Client.java": `package software.amazon.awssdk.services.s3;
public interface S3Client {
    static S3Client create() { return null; }
}`,
		"com/amazon/sqs/javamessaging/ExtendedClientConfiguration.java": `package com.amazon.sqs.javamessaging;
import software.amazon.awssdk.services.s3.S3Client;
public class ExtendedClientConfiguration {
    public ExtendedClientConfiguration withPayloadSupportEnabled(S3Client s3, String bucket) { return this; }
    public ExtendedClientConfiguration withS3KeyPrefix(String prefix) { return this; }
}`,
		"com/amazon/sqs/javamessaging/AmazonSQSExtendedClient.java": `package com.amazon.sqs.javamessaging;
import java.util.function.Consumer;
import software.amazon.awssdk.services.sqs.SqsClient;
import software.amazon.awssdk.services.sqs.model.SendMessageRequest;
public class AmazonSQSExtendedClient implements SqsClient {
    public AmazonSQSExtendedClient(SqsClient sqs, ExtendedClientConfiguration configuration) {}
    public Object sendMessage(Consumer<SendMessageRequest.Builder> request) { return null; }
}`,
	}
}

func compileJava(t *testing.T, s snippet) {
	t.Helper()
	dir := t.TempDir()
	files := javaLibraries()
	files["Program.java"] = s.text
	args := []string{"-d", filepath.Join(dir, "classes")}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	run(t, nil, "javac", args...)
}
