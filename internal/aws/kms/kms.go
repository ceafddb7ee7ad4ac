// Package kms wraps data keys with the stage's key.
package kms

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/auditrelay/auditrelay/internal/config"
)

// contextKey names the data key in the encryption context, beside the purpose.
const contextKey = "data-key"

// Wrapper implements vault.Wrapper.
type Wrapper struct {
	Client *kms.Client
	KeyARN string
}

// NewKey implements vault.Wrapper.
func (w *Wrapper) NewKey(ctx context.Context, id string) (plain, wrapped []byte, err error) {
	out, err := w.Client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: &w.KeyARN, KeySpec: types.DataKeySpecAes256, EncryptionContext: boundTo(id),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("generate a data key: %w", err)
	}
	return out.Plaintext, out.CiphertextBlob, nil
}

// Unwrap implements vault.Wrapper. The key is named, so that a text that another key has wrapped is refused.
func (w *Wrapper) Unwrap(ctx context.Context, id string, wrapped []byte) (plain []byte, err error) {
	out, err := w.Client.Decrypt(ctx, &kms.DecryptInput{KeyId: &w.KeyARN, CiphertextBlob: wrapped, EncryptionContext: boundTo(id)})
	if err != nil {
		return nil, fmt.Errorf("decrypt a data key: %w", err)
	}
	return out.Plaintext, nil
}

func boundTo(id string) map[string]string {
	return map[string]string{config.KeyPurposeName: config.KeyPurpose, contextKey: id}
}

// Open makes the wrapper of an account.
func Open(account aws.Config, keyARN string) *Wrapper {
	return &Wrapper{Client: kms.NewFromConfig(account), KeyARN: keyARN}
}
