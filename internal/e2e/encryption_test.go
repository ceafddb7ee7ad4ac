//go:build e2e

package e2e

import (
	"strings"

	"github.com/auditrelay/auditrelay/internal/aws/authorization"
)

// keyNeeds says what the calls need of the keys that their resources are encrypted with, asked for by the service in the caller's name.
func (v *values) keyNeeds(needs []need) []need {
	var more []need
	for _, n := range needs {
		key := v.keyOf(n.resource)
		if key == "" {
			continue
		}
		service, _, _ := strings.Cut(n.action, ":")
		for _, action := range authorization.Encrypted(n.action) {
			via := map[string][]string{"kms:ViaService": {service + "." + region + "." + suffix}}
			more = append(more, need{action: action, resource: key, context: via})
		}
	}
	return more
}

// keyOf is the key that the template encrypts a resource with, or none.
func (v *values) keyOf(resource string) string {
	for _, kind := range []string{"AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::S3::Bucket"} {
		for _, id := range v.all(kind) {
			if own := v.arn(id); resource == own || strings.HasPrefix(resource, own+"/") {
				return v.keyIn(v.Resources[id].Properties)
			}
		}
	}
	return ""
}

// keyIn finds the key anywhere in a resource's properties, since each type has its own place for it.
func (v *values) keyIn(properties any) string {
	switch p := properties.(type) {
	case map[string]any:
		for name, value := range p {
			switch name {
			case "KmsMasterKeyId", "KMSMasterKeyId", "KMSMasterKeyID":
				return v.text(v.eval(value))
			}
			if key := v.keyIn(value); key != "" {
				return key
			}
		}
	case []any:
		for _, item := range p {
			if key := v.keyIn(item); key != "" {
				return key
			}
		}
	}
	return ""
}
