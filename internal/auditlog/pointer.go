package auditlog

import (
	"encoding/json"
)

// Pointer leads from a queue message to a log that was too large for it, in the format of AWS's SQS Extended Client libraries:
//
//	["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"…","s3Key":"…"}]
//
// The first element is the name of a Java class; version 1 of the Java client and of the Python one write "com.amazon.sqs.javamessaging.MessageS3Pointer".
type Pointer struct {
	Bucket string `json:"s3BucketName"`
	Key    string `json:"s3Key"`
}

// pointerClass is what version 2 of the libraries writes before a pointer.
const pointerClass = "software.amazon.payloadoffloading.PayloadS3Pointer"

// body is the message that holds the pointer and nothing else.
func (p Pointer) body() []byte {
	text, err := json.Marshal([]any{pointerClass, p})
	if err != nil {
		panic("auditlog: two texts cannot be written as JSON: " + err.Error())
	}
	return text
}

// ParsePointer reads a message body that may be a pointer. ok is false when it is none; the error, an *Invalid, says what is wrong with one that
// has the form of a pointer.
func ParsePointer(body []byte) (p Pointer, ok bool, err error) {
	if len(body) == 0 || body[0] != '[' { // a log is an object
		return Pointer{}, false, nil
	}
	var pair []json.RawMessage
	malformed := json.Unmarshal(body, &pair)
	if malformed != nil || len(pair) != 2 {
		return Pointer{}, false, nil //nolint:nilerr // Decode says what is wrong with it
	}
	switch string(pair[0]) {
	case `"software.amazon.payloadoffloading.PayloadS3Pointer"`, `"com.amazon.sqs.javamessaging.MessageS3Pointer"`:
	default:
		return Pointer{}, false, nil
	}
	if json.Unmarshal(pair[1], &p) != nil || p.Bucket == "" || p.Key == "" {
		return Pointer{}, true, invalid("the pointer to the log must name s3BucketName and s3Key")
	}
	return p, true, nil
}
